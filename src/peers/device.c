/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keys.h"
#include "peers/internal.h"
#include "util/container.h"

#define BUCKETS_MIN 16

static void wipe_checker(struct rcu_link *link)
{
	struct device_checker *c = container_of(link, struct device_checker, rcu);

	keys_wipe(c, sizeof(*c));
	free(c);
}

static int set_identity(struct device *d, const uint8_t private_key[32])
{
	struct device_checker *old = rcu_own(&d->checker);
	struct device_checker *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	noise_identity_set(&d->identity, private_key);
	d->has_identity = !keys_is_zero(private_key);
	if (!d->has_identity)
		memset(&d->identity, 0, sizeof(d->identity));
	cookie_checker_init(&c->cookies, d->identity.public_key);
	rcu_publish(&d->checker, c);
	if (old)
		rcu_retire(&old->rcu, wipe_checker);
	return 0;
}

int device_new(struct device **ret, const uint8_t private_key[32], const struct device_calls *calls,
	       void *ctx)
{
	struct device *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->calls = *calls;
	d->ctx = ctx;
	timerq_init(&d->timers);
	d->n_buckets = BUCKETS_MIN;
	d->buckets = calloc(d->n_buckets, sizeof(struct peer *));
	if (!d->buckets || ratelimit_new(&d->ratelimit, false) ||
	    ratelimit_new(&d->cookie_limit, true) || set_identity(d, private_key)) {
		device_free(d);
		return -ENOMEM;
	}
	*ret = d;
	return 0;
}

void device_free(struct device *d)
{
	if (!d)
		return;
	index_deinit(&d->index);
	timerq_deinit(&d->timers);
	ratelimit_free(d->ratelimit);
	ratelimit_free(d->cookie_limit);
	free(d->buckets);
	if (rcu_own(&d->checker))
		wipe_checker(&rcu_own(&d->checker)->rcu);
	keys_wipe(d, sizeof(*d));
	free(d);
}

const uint8_t *device_public_key(const struct device *d)
{
	return d->identity.public_key;
}

static struct peer **bucket_of(struct peer **buckets, size_t n, const uint8_t public_key[32])
{
	uint64_t hash;

	memcpy(&hash, public_key, sizeof(hash));
	return &buckets[(hash ^ hash >> 32) & (n - 1)];
}

struct peer *device_find_peer(struct device *d, const uint8_t public_key[32])
{
	struct peer *p = *bucket_of(d->buckets, d->n_buckets, public_key);

	while (p && memcmp(p->remote.public_key, public_key, NOISE_PUBLIC_KEY_LEN))
		p = p->next_in_bucket;
	return p;
}

static void insert(struct peer **buckets, size_t n, struct peer *p)
{
	struct peer **bucket = bucket_of(buckets, n, p->remote.public_key);

	p->next_in_bucket = *bucket;
	*bucket = p;
}

static int grow(struct device *d)
{
	size_t n = d->n_buckets * 2;
	struct peer **buckets = calloc(n, sizeof(struct peer *));

	if (!buckets)
		return -ENOMEM;
	for (size_t i = 0; i < d->n_buckets; i++) {
		struct peer *p = d->buckets[i];

		while (p) {
			struct peer *after = p->next_in_bucket;

			insert(buckets, n, p);
			p = after;
		}
	}
	free(d->buckets);
	d->buckets = buckets;
	d->n_buckets = n;
	return 0;
}

int device_reserve_peers(struct device *d, size_t n)
{
	int r = timerq_reserve(&d->timers, d->n_peers + n);

	while (!r && d->n_peers + n > d->n_buckets)
		r = grow(d);
	return r;
}

int device_insert_peer(struct device *d, struct peer *p, uint16_t persistent_keepalive,
		       bool is_wanted_up)
{
	const uint8_t *public_key = p->remote.public_key;
	int r;

	if (!memcmp(public_key, d->identity.public_key, NOISE_PUBLIC_KEY_LEN) ||
	    device_find_peer(d, public_key))
		return -EEXIST;
	r = device_reserve_peers(d, 1);
	if (r)
		return r;
	p->device = d;
	p->persistent_keepalive = persistent_keepalive;
	p->is_wanted_up = is_wanted_up;
	cookie_jar_init(&p->cookies, public_key);
	timers_init(p);
	insert(d->buckets, d->n_buckets, p);
	d->n_peers++;
	return 0;
}

/* All that goes on with the peer ends. */
static void end_all(struct peer *p)
{
	handshake_forget(p);
	p->n_attempts = 0;
	p->retransmit_at = NSEC_NEVER;
	p->zero_keys_at = NSEC_NEVER;
	handshake_forget_answer(p);
	session_drop_all(p);
}

void device_unlink_peer(struct device *d, struct peer *p)
{
	struct peer **at = bucket_of(d->buckets, d->n_buckets, p->remote.public_key);

	while (*at != p)
		at = &(*at)->next_in_bucket;
	*at = p->next_in_bucket;
	d->n_peers--;
	timerq_disarm(&d->timers, &p->timer);
	end_all(p);
	atomic_fetch_or_explicit(&p->pokes, POKES_CLOSED, memory_order_relaxed);
}

void device_wipe_peer(struct peer *p)
{
	keys_wipe(&p->remote, sizeof(p->remote));
	keys_wipe(&p->cookies, sizeof(p->cookies));
}

/*
 * What was agreed with the old key is worth nothing to us under the new one. Where there was a
 * session there is to be one: the peer cannot know before we tell it.
 */
static void change_identity(struct peer *p, nsec_t now)
{
	struct noise_remote remote = p->remote;
	bool had_session = session_can_send(p, now);

	end_all(p);
	/* Its public key is known to be a good one. */
	noise_remote_set(&p->remote, &p->device->identity, remote.public_key, remote.preshared_key);
	keys_wipe(&remote, sizeof(remote));
	p->last_initiation_sent = now - REKEY_TIMEOUT;
	if (had_session && p->device->has_identity)
		p->retransmit_at = now;
	timers_arm(p, now);
}

int device_set_private_key(struct device *d, const uint8_t private_key[32], nsec_t now)
{
	int r = set_identity(d, private_key);

	if (r)
		return r;
	for (size_t i = 0; i < d->n_buckets; i++) {
		for (struct peer *p = d->buckets[i]; p; p = p->next_in_bucket)
			change_identity(p, now);
	}
	return 0;
}

void device_set_preshared_key(struct peer *p, const uint8_t preshared_key[32])
{
	memcpy(p->remote.preshared_key, preshared_key, sizeof(p->remote.preshared_key));
}

void device_set_keepalive(struct peer *p, uint16_t persistent_keepalive, nsec_t now)
{
	bool begins = persistent_keepalive && !p->persistent_keepalive;

	p->persistent_keepalive = persistent_keepalive;
	if (begins && session_can_send(p, now))
		timers_send_keepalive(p, now);
	timers_arm(p, now);
}

void device_set_wanted_up(struct peer *p, bool is_wanted_up, nsec_t now)
{
	bool begins = is_wanted_up && !p->is_wanted_up;

	p->is_wanted_up = is_wanted_up;
	if (begins && !session_can_send(p, now))
		handshake_want(p, now);
	timers_arm(p, now);
}

bool device_check_mac1(const struct device *d, const void *msg, size_t len)
{
	bool is_valid;

	rcu_begin();
	is_valid = cookie_check_mac1(&rcu_read(&d->checker)->cookies, msg, len);
	rcu_end();
	return is_valid;
}

struct keypair *device_session_rcu(const struct device *d, uint32_t local_index)
{
	return index_session_rcu(&d->index, local_index);
}

void device_handle_pokes(struct peer *p, nsec_t now)
{
	unsigned pokes;

	/* Only this thread closes them. */
	if (atomic_load_explicit(&p->pokes, memory_order_relaxed) & POKES_CLOSED)
		return;
	pokes = atomic_exchange_explicit(&p->pokes, 0, memory_order_acq_rel);
	if (pokes & POKE_CONFIRMED)
		handshake_confirm_next(p, now);
	if (pokes & POKE_HANDSHAKE)
		handshake_want(p, now);
	if (pokes & POKE_PATH)
		handshake_over_new_path(p, now);
	if (pokes & POKE_TRIAL)
		handshake_try_path(p, now);
	if (pokes & POKE_WATCH)
		atomic_store_explicit(&p->is_watched, true, memory_order_relaxed);
	timers_arm(p, now);
}

void device_resume_peer(struct peer *p, nsec_t at, nsec_t now)
{
	if (!p->device->has_identity)
		return;
	p->retransmit_at = at;
	timers_arm(p, now);
}

void device_start(struct device *d, nsec_t now)
{
	for (size_t i = 0; i < d->n_buckets; i++) {
		for (struct peer *p = d->buckets[i]; p; p = p->next_in_bucket) {
			if (!p->is_wanted_up)
				continue;
			handshake_want(p, now);
			timers_arm(p, now);
		}
	}
}

nsec_t device_run_timers(struct device *d, nsec_t now)
{
	return timerq_run(&d->timers, now);
}
