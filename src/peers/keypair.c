/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "peers/keypair.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

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
	keypair_put((struct keypair *)((char *)link - offsetof(struct keypair, rcu)));
}

void keypair_retire(struct keypair *k)
{
	if (k)
		rcu_retire(&k->rcu, put_retired);
}
