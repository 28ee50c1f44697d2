/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Session indices: the numbers by which packets name our sessions and handshakes. Two levels;
 * the low 20 bits of an index are its slot, the upper ones are random with each use, so that a
 * late packet doesn't meet the slot's next owner. Slots never move: any thread looks sessions
 * up without a lock. Owner of all else: the handshake thread.
 */
#pragma once

#include <stdint.h>

#include "peers/keypair.h"

#define INDEX_CHUNK_BITS 10
#define INDEX_CHUNK_SLOTS (1U << INDEX_CHUNK_BITS)
#define INDEX_CHUNKS 1024U
#define INDEX_SLOT_MASK (INDEX_CHUNKS * INDEX_CHUNK_SLOTS - 1)

struct index_slot {
	RCU_SLOT(struct keypair) keypair;
	struct peer *peer; /* the slot is taken: by this peer's handshake or session */
	uint32_t index;
};

struct index_table {
	RCU_SLOT(struct index_slot) chunks[INDEX_CHUNKS]; /* added one by one, never removed */
	uint32_t n_chunks;
	uint32_t n_taken;
};

/* A zeroed table is an empty one. */
void index_deinit(struct index_table *t);
/* Takes an index (never 0) for a handshake of `p`. 0, -ENOMEM, or -ENOSPC when all are taken. */
int index_take(struct index_table *t, struct peer *p, uint32_t *ret_index);
/* The handshake has become a session: from here on index_session_rcu() finds it. */
void index_publish(struct index_table *t, struct keypair *k);
void index_release(struct index_table *t, uint32_t index);

/* The peer whose handshake, but not yet session, it is; or NULL. */
struct peer *index_handshake(const struct index_table *t, uint32_t index);
/* The peer whose handshake or session it is; or NULL. */
struct peer *index_peer(const struct index_table *t, uint32_t index);

/* Any thread. */
static inline struct keypair *index_session_rcu(const struct index_table *t, uint32_t index)
{
	uint32_t slot = index & INDEX_SLOT_MASK;
	const struct index_slot *chunk = rcu_read(&t->chunks[slot >> INDEX_CHUNK_BITS]);
	struct keypair *k;

	if (!chunk)
		return NULL;
	k = rcu_read(&chunk[slot & (INDEX_CHUNK_SLOTS - 1)].keypair);
	return k && k->local_index == index ? k : NULL;
}
