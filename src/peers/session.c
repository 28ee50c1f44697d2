/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The three sessions of a peer (paper, section 6.3). `current` is sent on. `next` was made by
 * our response and waits for a packet of the peer, which proves that the response arrived.
 * `previous` still receives what was on its way when its successor came.
 */
#include <string.h>

#include "peers/internal.h"

int session_new(struct keypair **ret, struct peer *p, const struct noise_session_keys *keys,
		uint32_t local_index, uint32_t remote_index, nsec_t now)
{
	struct keypair *k;
	int r = keypair_new(&k, keys->send, keys->recv);

	if (r)
		return r;
	k->peer = p;
	k->birth = now;
	k->local_index = local_index;
	k->remote_index = remote_index;
	*ret = k;
	return 0;
}

static void retire(struct peer *p, struct keypair *k)
{
	if (k)
		index_release(&p->device->index, k->local_index);
	keypair_retire(k);
}

/*
 * When two initiations crossed, both sides hold two sessions: their own and `next`. Linux gives
 * up both and starts again; we let one of them win, so that it costs no time. The side with the
 * greater key lets the other's session take over when it is confirmed.
 */
static bool yields_to_next(const struct peer *p)
{
	return memcmp(p->device->identity.public_key, p->remote.public_key, NOISE_PUBLIC_KEY_LEN) >
	       0;
}

void session_add_initiated(struct peer *p, struct keypair *k)
{
	struct keypair *next = rcu_own(&p->next);
	struct keypair *current = rcu_own(&p->current);
	struct keypair *previous = rcu_own(&p->previous);

	k->is_initiator = true;
	atomic_store_explicit(&k->is_confirmed, true, memory_order_relaxed);
	index_publish(&p->device->index, k);
	if (next && !yields_to_next(p)) {
		rcu_publish(&p->next, NULL);
		rcu_publish(&p->previous, next);
		retire(p, current);
	} else {
		rcu_publish(&p->previous, current);
	}
	rcu_publish(&p->current, k);
	retire(p, previous);
}

void session_add_responded(struct peer *p, struct keypair *k)
{
	struct keypair *next = rcu_own(&p->next);
	struct keypair *previous = rcu_own(&p->previous);

	index_publish(&p->device->index, k);
	rcu_publish(&p->next, k);
	rcu_publish(&p->previous, NULL);
	retire(p, next);
	retire(p, previous);
}

bool session_confirm_next(struct peer *p)
{
	struct keypair *next = rcu_own(&p->next);
	struct keypair *previous = rcu_own(&p->previous);

	if (!next || !atomic_load_explicit(&next->is_confirmed, memory_order_relaxed))
		return false;
	rcu_publish(&p->previous, rcu_own(&p->current));
	rcu_publish(&p->current, next);
	rcu_publish(&p->next, NULL);
	retire(p, previous);
	return true;
}

bool session_can_send(struct peer *p, nsec_t now)
{
	struct keypair *current = rcu_own(&p->current);

	return current && keypair_can_send(current, now);
}

void session_drop_all(struct peer *p)
{
	struct keypair *all[] = {rcu_own(&p->current), rcu_own(&p->previous), rcu_own(&p->next)};

	rcu_publish(&p->current, NULL);
	rcu_publish(&p->previous, NULL);
	rcu_publish(&p->next, NULL);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		retire(p, all[i]);
}
