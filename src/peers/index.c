/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "peers/index.h"

#include <errno.h>
#include <stdlib.h>

#include "crypto/keys.h"

void index_deinit(struct index_table *t)
{
	for (uint32_t i = 0; i < t->n_chunks; i++)
		free(rcu_own(&t->chunks[i]));
}

static struct index_slot *slot_at(const struct index_table *t, uint32_t slot)
{
	struct index_slot *chunk = rcu_own(&t->chunks[slot >> INDEX_CHUNK_BITS]);

	return chunk ? &chunk[slot & (INDEX_CHUNK_SLOTS - 1)] : NULL;
}

static struct index_slot *find(const struct index_table *t, uint32_t index)
{
	struct index_slot *s = slot_at(t, index & INDEX_SLOT_MASK);

	return s && s->peer && s->index == index ? s : NULL;
}

/* A quarter stays free, so that a free slot is found by a few random draws. */
static int make_room(struct index_table *t)
{
	struct index_slot *chunk;

	if (t->n_taken < t->n_chunks * (INDEX_CHUNK_SLOTS / 4 * 3))
		return 0;
	if (t->n_chunks == INDEX_CHUNKS)
		return -ENOSPC;
	chunk = calloc(INDEX_CHUNK_SLOTS, sizeof(*chunk));
	if (!chunk)
		return -ENOMEM;
	rcu_publish(&t->chunks[t->n_chunks], chunk);
	t->n_chunks++;
	return 0;
}

int index_take(struct index_table *t, struct peer *p, uint32_t *ret_index)
{
	uint32_t random, slot, index;
	int r = make_room(t);

	if (r)
		return r;
	do {
		keys_random(&random, sizeof(random));
		slot = (random & INDEX_SLOT_MASK) % (t->n_chunks * INDEX_CHUNK_SLOTS);
		index = (random & ~INDEX_SLOT_MASK) | slot;
	} while (!index || slot_at(t, slot)->peer);
	slot_at(t, slot)->peer = p;
	slot_at(t, slot)->index = index;
	t->n_taken++;
	*ret_index = index;
	return 0;
}

void index_publish(struct index_table *t, struct keypair *k)
{
	rcu_publish(&find(t, k->local_index)->keypair, k);
}

void index_release(struct index_table *t, uint32_t index)
{
	struct index_slot *s = find(t, index);

	if (!s)
		return;
	rcu_publish(&s->keypair, NULL);
	s->peer = NULL;
	t->n_taken--;
}

struct peer *index_handshake(const struct index_table *t, uint32_t index)
{
	struct index_slot *s = find(t, index);

	return s && !rcu_own(&s->keypair) ? s->peer : NULL;
}

struct peer *index_peer(const struct index_table *t, uint32_t index)
{
	struct index_slot *s = find(t, index);

	return s ? s->peer : NULL;
}
