/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * One session with a peer: the pair of transport keys that a handshake gave. Made and retired
 * by the handshake thread; used by all threads, found by RCU through its peer or its index.
 * Who needs one beyond a read section takes a reference.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "crypto/aead.h"
#include "crypto/replay.h"
#include "util/rcu.h"
#include "wire/wg.h"

struct peer;

struct keypair {
	/* constant */
	struct aead_key *send;
	struct aead_key *recv;
	struct peer *peer;
	nsec_t birth;
	uint32_t local_index;
	uint32_t remote_index;
	bool is_initiator;
	/* atomic */
	_Alignas(64) _Atomic uint64_t tx_counter; /* the next counter to be sent */
	_Atomic uint32_t refs;
	_Atomic uint64_t apart;	   /* the block in use: its next counter << 8 | how many are left */
	_Atomic bool is_confirmed; /* the peer has proven that it has the session too */
	_Atomic bool has_asked_rekey; /* the one request for a successor, repeated by the timers */
	/* the TUN reader, or whoever has the lock of the peer's share */
	uint64_t bound_next; /* of a block for bound packets, of which so many are left */
	uint32_t bound_left;
	/* receive lane */
	_Alignas(64) struct replay *replay; /* made with the first packet, so that idle is small */
	uint32_t rx_session; /* the resequencer's session number; 0: nothing came yet */
	/* RCU */
	struct rcu_link rcu;
};

/* One reference, for its creator. 0, -ENOMEM or -EIO. */
int keypair_new(struct keypair **ret, const uint8_t send[32], const uint8_t recv[32]);
/* Inside a read section, or holding a reference. Never fails. */
struct keypair *keypair_get(struct keypair *k);
/* The last one wipes and frees it. NULL is fine. */
void keypair_put(struct keypair *k);
/*
 * Puts the creator's reference after a grace period: for a session that no reader can find any
 * more. Until then a reader that found it may still get one of its own. NULL is fine.
 */
void keypair_retire(struct keypair *k);

/* May still be received on. */
static inline bool keypair_can_receive(const struct keypair *k, nsec_t now)
{
	return now - k->birth < REJECT_AFTER_TIME;
}

/* May still be sent on (counters apart: see keypair_take_counters()). */
static inline bool keypair_can_send(const struct keypair *k, nsec_t now)
{
	return now - k->birth < REJECT_AFTER_TIME &&
	       atomic_load_explicit(&k->tx_counter, memory_order_relaxed) < REJECT_AFTER_MESSAGES;
}

/* Counters of packets that stand apart from the order come in blocks of so many. */
#define KEYPAIR_BLOCK 64
/* One so far behind the others is given up: the peer's replay window moves on. */
#define KEYPAIR_BLOCK_AGE 16384

/* Takes `n` counters in a row, the first being returned; any thread. False: limit reached. */
static inline bool keypair_take_counters(struct keypair *k, uint32_t n, uint64_t *ret_first)
{
	uint64_t first = atomic_fetch_add_explicit(&k->tx_counter, n, memory_order_relaxed);

	if (first + n > REJECT_AFTER_MESSAGES) {
		atomic_store_explicit(&k->tx_counter, REJECT_AFTER_MESSAGES, memory_order_relaxed);
		return false;
	}
	*ret_first = first;
	return true;
}

/*
 * Takes a counter for a packet that stands apart from the order; any thread. `ret_new` is true if a
 * block began for it, of which the peer is to be told: by a packet with the counter before the one
 * returned, which is the block's first. False: limit reached.
 */
bool keypair_take_apart(struct keypair *k, uint64_t *ret_counter, bool *ret_new);

/* Packets that are bound to paths stand apart, too, and are as many as other data. */
#define KEYPAIR_BOUND_BLOCK 512

/* The same for `n` of these in a row, KEYPAIR_BOUND_BLOCK - 1 at the most. */
bool keypair_take_bound(struct keypair *k, uint32_t n, uint64_t *ret_first, bool *ret_new);
