/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The burst that inner packets are sealed into, one after the other, from where they were read:
 * datagrams of one session with consecutive counters, equally long up to a shorter last one.
 * Owner: the TUN reader.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bond;
struct burst;
struct keypair;

/* What packets of one burst have in common, beside session and length. */
struct filling_kind {
	bool is_urgent;
	uint8_t ecn;
	uint8_t binding; /* BINDING_NONE */
};

struct filling {
	struct burst *burst;   /* NULL: none is open; it has a reference to its session */
	uint64_t limit_bytes;  /* that it may have */
	uint64_t next_counter; /* once it has a datagram */
};

/* Takes an empty burst; false when the pool is empty. */
bool filling_open(struct filling *f, struct bond *bond, struct keypair *k, uint64_t limit_bytes,
		  struct filling_kind kind);
/* Takes the burst out, which is the caller's then; NULL: there is none. */
struct burst *filling_take(struct filling *f);
/* Gives it back, if there is one, with what it holds. */
void filling_drop(struct filling *f);
/* Is a datagram of that length, kind, session and counter the open burst's next? */
bool filling_is_next(const struct filling *f, const struct bond *bond, const struct keypair *k,
		     uint64_t counter, uint32_t len, struct filling_kind kind);
/*
 * Appends a packet, which fits, as a datagram of `padded` bytes of plaintext. Behind the packet
 * there is room for the padding, and what lies there is as before afterwards. False if libcrypto
 * refuses.
 */
bool filling_seal(struct filling *f, uint64_t counter, uint8_t *packet, size_t len, size_t padded);

/*
 * Where counters are drawn later, for a whole burst at once: has the open burst room for a datagram
 * of that length, kind and session?
 */
bool filling_has_room(const struct filling *f, const struct bond *bond, const struct keypair *k,
		      uint32_t len, struct filling_kind kind);
/* Puts a packet, for which there is room, into its place as it is, for filling_seal_all(). */
void filling_put(struct filling *f, const uint8_t *packet, size_t len, size_t padded);
/* Seals a burst so filled; its counters are from `first` on. False if libcrypto refuses. */
bool filling_seal_all(struct burst *b);
