/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/share.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/network_state.h"
#include "dataplane/pack.h"
#include "dataplane/reader.h"
#include "dataplane/tx.h"

/* Tries before a reader goes to sleep for the lock: it is held for about a microsecond. */
#define LOCK_TRIES 100
/* Full bursts taken from the flow queues at once, where no flow's turn ends before. */
#define COLLECT_MAX 2
/* What is bound begins with bursts of so many bytes. */
#define BOUND_BURST_START 8192

int share_new(struct share **ret, unsigned n_readers)
{
	struct share *s;

	if (posix_memalign((void **)&s, _Alignof(struct share), sizeof(*s)))
		return -ENOMEM;
	memset(s, 0, sizeof(*s));
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->has_passed, NULL);
	s->n_readers = n_readers;
	atomic_init(&s->burst_bytes, UINT64_MAX);
	*ret = s;
	return 0;
}

void share_free(struct share *s)
{
	if (!s)
		return;
	pthread_cond_destroy(&s->has_passed);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

uint64_t share_burst_bytes(const struct share *s, uint8_t binding)
{
	uint32_t bound;

	if (binding == BINDING_NONE)
		return atomic_load_explicit(&s->burst_bytes, memory_order_relaxed);
	bound = atomic_load_explicit(&s->bound_burst_bytes[binding], memory_order_relaxed);
	return bound ? bound : BOUND_BURST_START;
}

/* With the lock: a burst of that binding has been sent. */
static void note_burst_bytes_rcu(struct outlet *o, const struct reader *r, uint8_t binding)
{
	struct share *s = o->share;
	uint64_t bytes =
		spread_burst_bytes_rcu(o->spread, rcu_read(&o->bond->paths), binding, r->now);

	if (binding == BINDING_NONE)
		atomic_store_explicit(&s->burst_bytes, bytes, memory_order_relaxed);
	else
		atomic_store_explicit(&s->bound_burst_bytes[binding],
				      bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX,
				      memory_order_relaxed);
}

static void lock(struct share *s, struct reader *r)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (pthread_mutex_trylock(&s->lock) == 0)
			return;
	}
	reader_count(&r->waits, 1);
	pthread_mutex_lock(&s->lock);
}

void share_lock_rcu(struct outlet *o, struct reader *r)
{
	if (o->share)
		lock(o->share, r);
}

static void set(_Atomic bool *claim, bool is_true)
{
	if (atomic_load_explicit(claim, memory_order_relaxed) != is_true)
		atomic_store_explicit(claim, is_true, memory_order_relaxed);
}

void share_unlock_rcu(struct outlet *o, struct reader *r)
{
	struct share *s = o->share;
	struct unsent unsent;
	bool was_full;
	bool is_full;

	if (!s)
		return;
	unsent = s->unsent;
	s->unsent.n = 0;
	was_full = atomic_load_explicit(&s->is_full, memory_order_relaxed);
	is_full = outlet_is_waiting(o) && outlet_is_full(o, r);
	set(&s->is_backed_up, !line_is_clear(&o->main));
	if (atomic_load_explicit(&s->waiting_bound, memory_order_relaxed) != o->waiting_bound)
		atomic_store_explicit(&s->waiting_bound, o->waiting_bound, memory_order_relaxed);
	set(&s->is_full, is_full);
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < unsent.n; i++)
		link_flush(unsent.links[i]);
	if (was_full && !is_full)
		tx_wake_held_up(r->network->tx);
}

/* A chain that was let through the turnstile, by whichever reader. */
static void pass(void *ctx, struct burst *b)
{
	struct reader *r = ctx;
	struct burst *next;

	for (; b; b = next) {
		next = b->next;
		outlet_send_rcu(b->bond->outlet, r, b);
	}
}

/* With the lock: the burst's counters. False: the session is used up, and the burst is dropped. */
static bool draw_rcu(struct reader *r, struct burst *b)
{
	if (outlet_take_counters_rcu(b->bond->outlet, b->session, b->binding, b->n, &b->first))
		return true;
	pack_drop(r, b, DROP_tx_no_session);
	return false;
}

static bool has_room(const struct share *s)
{
	return turnstile_used(&s->order) < TURNSTILE_SLOTS - 1;
}

/* With the lock, which is let go meanwhile: whoever is before us may be long in coming. */
static void wait_for_room(struct share *s, struct reader *r)
{
	while (!has_room(s)) {
		reader_count(&r->waits, 1);
		pthread_cond_wait(&s->has_passed, &s->lock);
	}
}

/*
 * With the lock, which is let go meanwhile: seals a chain whose counters have been drawn. It then
 * has its turn, now or when those before it have had theirs.
 */
static void seal_and_pass_rcu(struct outlet *o, struct reader *r, struct burst *chain)
{
	struct share *s = o->share;
	uint64_t ticket = turnstile_enter(&s->order);
	uint8_t binding = chain->binding;
	bool had_room;

	share_unlock_rcu(o, r);
	chain = pack_seal(r, chain);
	lock(s, r);
	had_room = has_room(s);
	turnstile_leave(&s->order, ticket, chain, pass, r);
	if (!had_room)
		pthread_cond_broadcast(&s->has_passed);
	note_burst_bytes_rcu(o, r, binding);
}

void share_send_rcu(struct outlet *o, struct reader *r, struct burst *b)
{
	lock(o->share, r);
	wait_for_room(o->share, r);
	if (draw_rcu(r, b))
		seal_and_pass_rcu(o, r, b);
	share_unlock_rcu(o, r);
}

/* With the lock: takes a flow's turn from the flow queues, with all its counters. */
static struct burst *collect_rcu(struct outlet *o, struct reader *r, struct line *l,
				 struct keypair *k)
{
	struct burst *first = NULL;
	struct burst **end = &first;
	unsigned n = 0;
	struct burst *b;
	uint8_t *packet;
	size_t len;

	while ((packet = flowq_pop(l->queue, r->now, &len))) {
		b = pack_gather_rcu(r, o, k, l->binding, packet, len);
		if (b && draw_rcu(r, b)) {
			*end = b;
			end = &b->next;
			n++;
		}
		if (flowq_is_turn_over(l->queue) || n == COLLECT_MAX)
			break;
	}
	b = pack_take(r);
	if (b && draw_rcu(r, b))
		*end = b;
	return first;
}

/* With the lock: sends what of a line may be sent now. */
static void send_line_rcu(struct outlet *o, struct reader *r, struct line *l, struct keypair *k)
{
	struct burst *chain;

	for (;;) {
		wait_for_room(o->share, r);
		if (l == &o->main && !outlet_send_again(o, r))
			return;
		if (!outlet_may_send_rcu(o, r, l) || !k)
			return;
		outlet_tune_queue(o, r, l);
		chain = collect_rcu(o, r, l, k);
		if (chain)
			seal_and_pass_rcu(o, r, chain);
	}
}

static void send_bound_rcu(struct outlet *o, struct reader *r, struct keypair *k)
{
	uint64_t bits = o->waiting_bound;
	struct line *l;

	while ((l = outlet_next_line(o, &bits)))
		send_line_rcu(o, r, l, k);
}

/* With the lock: sends what may be sent now. */
static void send_some_rcu(struct outlet *o, struct reader *r)
{
	struct keypair *k = peer_send_session_rcu(&o->bond->peer, r->now);
	bool is_main_first = o->is_main_first;

	o->is_main_first = !is_main_first;
	if (!is_main_first)
		send_bound_rcu(o, r, k);
	send_line_rcu(o, r, &o->main, k);
	if (is_main_first)
		send_bound_rcu(o, r, k);
	if (!k)
		outlet_expire(o, r);
}

/* With the lock: who looks after it, if it is not yet looked after in time? */
static nsec_t keep(struct share *s, struct reader *r, nsec_t at)
{
	if (at == NSEC_NEVER) {
		s->keeper = NULL;
		return NSEC_NEVER;
	}
	if (s->keeper && s->keeper != r && s->keeper_at <= at)
		return NSEC_NEVER;
	s->keeper = r;
	s->keeper_at = at;
	return at;
}

nsec_t share_progress(struct outlet *o, struct reader *r)
{
	nsec_t at;

	pack_close(r);
	rcu_begin();
	lock(o->share, r);
	send_some_rcu(o, r);
	outlet_count_queue(o, r);
	at = keep(o->share, r, outlet_retry_at(o, r));
	share_unlock_rcu(o, r);
	rcu_end();
	return at;
}
