/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "peers/keypair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/container.h"

static void keypair_free(struct keypair *k)
{
	aead_key_free(k->send);
	aead_key_free(k->recv);
	replay_free(k->replay);
	free(k);
}

int keypair_new(struct keypair **ret, const uint8_t send[32], const uint8_t recv[32])
{
	struct keypair *k;
	int r;

	if (posix_memalign((void **)&k, _Alignof(struct keypair), sizeof(*k)))
		return -ENOMEM;
	memset(k, 0, sizeof(*k));
	atomic_init(&k->refs, 1);
	r = aead_key_new(&k->send, send);
	if (!r)
		r = aead_key_new(&k->recv, recv);
	if (r) {
		keypair_free(k);
		return r;
	}
	*ret = k;
	return 0;
}

struct keypair *keypair_get(struct keypair *k)
{
	atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
	return k;
}

void keypair_put(struct keypair *k)
{
	/* acquire and release: whoever frees it comes after every use by the others */
	if (k && atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) == 1)
		keypair_free(k);
}

static void put_retired(struct rcu_link *link)
{
	keypair_put(container_of(link, struct keypair, rcu));
}

void keypair_retire(struct keypair *k)
{
	if (k)
		rcu_retire(&k->rcu, put_retired);
}

/* Two counters of a new block are used at once: to tell of it, and for the packet itself. */
static bool begin_block(struct keypair *k, uint64_t word, uint64_t *ret_counter)
{
	uint64_t first;

	if (!keypair_take_counters(k, KEYPAIR_BLOCK, &first))
		return false;
	/* Who loses this race uses only the two: the rest of the block is never sent. */
	atomic_compare_exchange_strong_explicit(&k->apart, &word,
						(first + 2) << 8 | (KEYPAIR_BLOCK - 2),
						memory_order_relaxed, memory_order_relaxed);
	*ret_counter = first + 1;
	return true;
}

bool keypair_take_apart(struct keypair *k, uint64_t *ret_counter, bool *ret_new)
{
	uint64_t word = atomic_load_explicit(&k->apart, memory_order_relaxed);
	uint64_t newest = atomic_load_explicit(&k->tx_counter, memory_order_relaxed);

	while (word & 0xff && newest - (word >> 8) < KEYPAIR_BLOCK_AGE) {
		if (!atomic_compare_exchange_weak_explicit(&k->apart, &word, word + (1 << 8) - 1,
							   memory_order_relaxed,
							   memory_order_relaxed))
			continue;
		*ret_counter = word >> 8;
		*ret_new = false;
		return true;
	}
	if (!begin_block(k, word, ret_counter))
		return false;
	*ret_new = true;
	return true;
}

bool keypair_take_bound(struct keypair *k, uint32_t n, uint64_t *ret_first, bool *ret_new)
{
	uint64_t newest = atomic_load_explicit(&k->tx_counter, memory_order_relaxed);

	*ret_new = k->bound_left < n || newest - k->bound_next >= KEYPAIR_BLOCK_AGE;
	if (*ret_new) {
		if (!keypair_take_counters(k, KEYPAIR_BOUND_BLOCK, &k->bound_next)) {
			k->bound_left = 0;
			return false;
		}
		k->bound_next++;
		k->bound_left = KEYPAIR_BOUND_BLOCK - 1;
	}
	*ret_first = k->bound_next;
	k->bound_next += n;
	k->bound_left -= n;
	return true;
}
