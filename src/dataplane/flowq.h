/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Flow queues of one peer: where inner packets wait for a session or for room on a path, so
 * that the flow that fills the paths delays itself and not the others. FQ-CoDel (RFC 8290):
 * flows by hash of the 5-tuple, new ones first, each managed by CoDel (RFC 8289), which marks
 * packets that can be marked (ECN) and drops the others.
 * Owner: the TUN reader. Time comes in as an argument. Allocates nothing but pool cells.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tun/split.h"
#include "util/clock.h"

#define FLOWQ_FLOWS 128
/* What may wait in all, as bytes of packets; full is a read's worth before. */
#define FLOWQ_BYTES_MAX (4 << 20)
#define FLOWQ_BYTES_FULL (FLOWQ_BYTES_MAX - (128 << 10))

struct flowq;
struct pool;

/*
 * A cell of the pool with inner packets: what one read of the interface gave, which is queued as
 * it is and cut when its turn comes; or the queue's own copies of short ones.
 */
struct parcel {
	struct parcel *next;
	nsec_t since;
	size_t head, tail; /* of copies: offsets into data */
	bool is_whole;	   /* a read, as far as `split` has not given it out */
	struct split split;
	_Alignas(16) uint8_t data[];
};

/* Behind the packets in a parcel there is always room for a message's padding. */
#define PARCEL_SLACK 16
/* Shorter reads are copied, for a parcel takes a whole cell. */
#define PARCEL_WHOLE_MIN 16384

struct flowq_stats {
	uint64_t dropped; /* packets, by CoDel or for their age */
	uint64_t marked;
};

/*
 * `cell_bytes` is the room in one of the pool's cells, of which it takes `cells_max` at the most;
 * `key` randomises the hash. 0 or -ENOMEM.
 */
int flowq_new(struct flowq **ret, struct pool *cells, size_t cells_max, size_t cell_bytes,
	      uint64_t key);
/* Drops what waits; NULL is fine. */
void flowq_free(struct flowq *q);

/*
 * What a flow may send in its turn: a burst of so many bytes of sealed packets, the largest being
 * `mtu` bytes long before, so that the receiver can join what belongs together; but no more than
 * the flow queues' users can wait for.
 */
void flowq_set_turn(struct flowq *q, uint64_t burst_bytes, uint32_t mtu);
/* Has the flow that gave the last packet had its turn? */
bool flowq_is_turn_over(const struct flowq *q);
/*
 * The round trip of the longest path in use. A sender that cubic halves, nearly, needs half of it
 * in the queue or the paths run empty, and as much again for when they become faster; a flow waits
 * for itself only. Where all paths are fast (PATHCTL_RATE_FAST) that takes less time, and memory
 * counts.
 */
void flowq_set_timing(struct flowq *q, nsec_t round_trip, bool is_fast);
/* Copies a well-formed IP packet in; false if there is no room. */
bool flowq_push(struct flowq *q, const uint8_t *packet, size_t len, nsec_t now);
/* Takes over a read, of which `split` has something left; false if there is no room. */
bool flowq_push_whole(struct flowq *q, struct parcel *p, nsec_t now);
/*
 * The next packet to send, valid (and the caller's to change, with up to 15 bytes behind it that
 * it puts back) until the next call; NULL.
 */
uint8_t *flowq_pop(struct flowq *q, nsec_t now, size_t *ret_len);
/* Drops what has waited longer than `age`: there was nowhere to send it. */
void flowq_expire(struct flowq *q, nsec_t now, nsec_t age);

bool flowq_is_empty(const struct flowq *q); /* NULL is */
/* Is it time to hold the sender up? */
bool flowq_is_full(const struct flowq *q);
/* Of the pool, with what waits; NULL has none. */
size_t flowq_cells(const struct flowq *q);
/* What happened since it was last asked. */
struct flowq_stats flowq_take_stats(struct flowq *q);
