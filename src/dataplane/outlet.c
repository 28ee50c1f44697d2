/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/outlet.h"

#include <errno.h>
#include <stdlib.h>

#include "crypto/keys.h"
#include "dataplane/network_state.h"
#include "dataplane/reader.h"

/* Packets that wait for a session longer than this are of no use to anybody. */
#define SESSION_WAIT_MAX (10 * NSEC_PER_SEC)
/* Cells that what is read at once may take in a flow queue. */
#define READ_CELLS 4

int outlet_new(struct outlet **ret, struct bond *bond, unsigned n_readers)
{
	struct outlet *o = calloc(1, sizeof(*o) + n_readers * sizeof(o->places[0]));
	int r;

	if (!o)
		return -ENOMEM;
	o->bond = bond;
	o->n_places = n_readers;
	o->main.binding = BINDING_NONE;
	r = spread_new(&o->spread, bond->network->sent);
	if (r == 0 && n_readers > 1)
		r = share_new(&o->share, n_readers);
	if (r < 0) {
		outlet_free(o);
		return r;
	}
	if (o->share)
		o->spread->unsent = &o->share->unsent;
	*ret = o;
	return 0;
}

static void empty_line(struct line *l)
{
	struct burst *b;

	while ((b = l->waiting)) {
		l->waiting = b->next;
		burst_put(b);
	}
	flowq_free(l->queue);
}

void outlet_free(struct outlet *o)
{
	if (!o)
		return;
	empty_line(&o->main);
	for (unsigned i = 0; o->bound && i < PATH_BINDINGS; i++)
		empty_line(&o->bound[i]);
	free(o->bound);
	spread_free(o->spread);
	share_free(o->share);
	for (unsigned i = 0; i < o->n_places; i++)
		free(o->places[i].flows);
	free(o);
}

/* The line of that binding; the main one without memory for it. */
static struct line *line_of(struct outlet *o, uint8_t binding)
{
	if (binding == BINDING_NONE)
		return &o->main;
	if (!o->bound) {
		o->bound = calloc(PATH_BINDINGS, sizeof(*o->bound));
		for (uint8_t i = 0; o->bound && i < PATH_BINDINGS; i++)
			o->bound[i].binding = i;
	}
	return o->bound ? &o->bound[binding] : &o->main;
}

struct line *outlet_next_line(struct outlet *o, uint64_t *bits)
{
	unsigned binding;

	if (!*bits)
		return NULL;
	binding = (unsigned)__builtin_ctzll(*bits);
	*bits &= *bits - 1;
	return &o->bound[binding];
}

/* Something waits in the line from now on, or nothing any more. */
static void note_line(struct outlet *o, const struct line *l)
{
	uint64_t bit;

	if (l == &o->main)
		return;
	bit = 1ULL << l->binding;
	o->waiting_bound = line_is_clear(l) ? o->waiting_bound & ~bit : o->waiting_bound | bit;
}

bool outlet_take_counters_rcu(struct outlet *o, struct keypair *k, uint8_t binding, uint32_t n,
			      uint64_t *ret_first)
{
	return binding == BINDING_NONE ? keypair_take_counters(k, n, ret_first)
				       : bond_take_bound_rcu(o->bond, k, binding, n, ret_first);
}

/*
 * What the links need is not for the flow queues to fill. What they receive into they hold already:
 * left is what may wait in their own queues.
 */
static bool is_pool_low(const struct network *n, size_t needed)
{
	return pool_available(n->bursts) < n->n_links * n->settings->sizes.link.queue + needed;
}

bool outlet_is_full(const struct outlet *o, const struct reader *r)
{
	return flowq_is_full(o->main.queue) || is_pool_low(r->network, READ_CELLS);
}

/* Queues the read as it is; false if that is not worth its cell, or there is no room. */
static bool enqueue_whole(struct flowq *q, struct reader *r)
{
	struct pool *pool = r->network->bursts;
	struct parcel *fresh;

	if (split_bytes_left(&r->read->split) < PARCEL_WHOLE_MIN || is_pool_low(r->network, 1))
		return false;
	fresh = pool_take(pool);
	if (!fresh)
		return false;
	if (!flowq_push_whole(q, r->read, r->now)) {
		pool_give(pool, fresh);
		return false;
	}
	r->read = fresh;
	return true;
}

/* What is bound holds nobody up, and so must not fill what the others need. */
static size_t bound_cells_most(const struct network *n)
{
	return n->settings->sizes.queue_buffers / 2;
}

static bool has_bound_room(struct outlet *o, const struct network *n)
{
	uint64_t bits = o->waiting_bound;
	const struct line *l;
	size_t used = 0;

	while ((l = outlet_next_line(o, &bits)))
		used += flowq_cells(l->queue);
	return used < bound_cells_most(n);
}

static bool has_queue(struct line *l, const struct network *n)
{
	uint32_t cells = n->settings->sizes.queue_buffers;
	uint64_t key;

	if (l->queue)
		return true;
	keys_random(&key, sizeof(key));
	return flowq_new(&l->queue, n->bursts, cells, n->cell_room, key) == 0;
}

void outlet_enqueue(struct outlet *o, struct reader *r, uint8_t binding)
{
	struct line *l = line_of(o, binding);
	struct network *n = r->network;
	bool has_room = has_queue(l, n) && (l == &o->main || has_bound_room(o, n));
	uint8_t *packet;
	size_t len;

	if (!has_room || !enqueue_whole(l->queue, r)) {
		while ((packet = split_next(&r->read->split, &len))) {
			if (!has_room || is_pool_low(n, 0) ||
			    !flowq_push(l->queue, packet, len, r->now))
				drops_add(&n->drops, DROP_tx_queue_full, 1);
		}
	}
	note_line(o, l);
	if (!line_is_clear(l))
		reader_make_busy(r, o);
}

static void drop(struct reader *r, enum drop_reason reason, struct burst *b)
{
	drops_add(&r->network->drops, reason, b->n);
	burst_put(b);
}

static void warn_no_path(struct reader *r, const struct bond *bond)
{
	unsigned suppressed;

	if (log_limit_pass(&r->no_path_limit, r->now, 30 * NSEC_PER_SEC, &suppressed))
		log_warn("network %s: peer %s: no remote endpoints to send to; packets are dropped",
			 r->network->settings->name, bond->settings->name);
}

/* Keeps a sealed burst until a path has room. */
static void keep_waiting(struct outlet *o, struct reader *r, struct line *l, struct burst *b)
{
	if (!l->waiting) {
		l->waiting_since = r->now;
		l->waiting_end = &l->waiting;
	}
	b->next = NULL;
	*l->waiting_end = b;
	l->waiting_end = &b->next;
	note_line(o, l);
	reader_make_busy(r, o);
}

/* Sends a sealed burst, or leaves it the caller's. */
static enum spread_result try_send_rcu(struct outlet *o, struct reader *r, struct line *l,
				       struct burst *b)
{
	enum spread_result result =
		spread_send_rcu(o->spread, rcu_read(&o->bond->paths), b, r->now, &l->retry_at);

	if (result != SPREAD_SENT)
		return result;
	if (spread_deadline(o->spread, r->now) != NSEC_NEVER)
		reader_make_busy(r, o);
	burst_put(b);
	return result;
}

void outlet_send_rcu(struct outlet *o, struct reader *r, struct burst *b)
{
	struct line *l = line_of(o, b->binding);

	/* Behind what waits already, so that nothing overtakes. */
	if (l->waiting || try_send_rcu(o, r, l, b) != SPREAD_SENT)
		keep_waiting(o, r, l, b);
}

static nsec_t waiting_max(const struct line *l)
{
	return l->binding == BINDING_NONE ? OUTLET_WAITING_MAX : OUTLET_BOUND_WAITING_MAX;
}

/* Is it sent, or has it waited too long? The second try is the one that misses no room made. */
static bool is_off_our_hands_rcu(struct outlet *o, struct reader *r, struct line *l,
				 struct burst *b)
{
	enum spread_result result = try_send_rcu(o, r, l, b);

	if (result == SPREAD_SENT)
		return true;
	spread_want_room_rcu(rcu_read(&o->bond->paths));
	result = try_send_rcu(o, r, l, b);
	if (result == SPREAD_SENT)
		return true;
	if (r->now - l->waiting_since <= waiting_max(l))
		return false;
	if (result == SPREAD_NO_PATH)
		warn_no_path(r, o->bond);
	drop(r, result == SPREAD_NO_PATH ? DROP_tx_no_path : DROP_tx_ring_full, b);
	return true;
}

/* Tries once more what found no room; true if nothing of it waits any more. */
static bool send_waiting(struct outlet *o, struct reader *r, struct line *l)
{
	struct burst *next;

	rcu_begin();
	for (; l->waiting; l->waiting = next) {
		next = l->waiting->next;
		if (!is_off_our_hands_rcu(o, r, l, l->waiting))
			break;
		l->waiting_since = r->now;
	}
	rcu_end();
	note_line(o, l);
	return !l->waiting;
}

bool outlet_may_send_rcu(struct outlet *o, struct reader *r, struct line *l)
{
	bool is_bound = spread_binding_rcu(rcu_read(&o->bond->paths), l->binding) != BINDING_NONE;

	if (!send_waiting(o, r, l) || flowq_is_empty(l->queue))
		return false;
	/* What has lost its paths leaves with all others, and behind them. */
	return is_bound || l == &o->main || send_waiting(o, r, &o->main);
}

uint64_t outlet_burst_bytes(struct outlet *o, const struct reader *r, uint8_t binding)
{
	uint64_t limit;

	if (o->share) {
		limit = share_burst_bytes(o->share, binding);
	} else {
		rcu_begin();
		limit = spread_burst_bytes_rcu(o->spread, rcu_read(&o->bond->paths), binding,
					       r->now);
		rcu_end();
	}
	return limit < r->network->burst_bytes ? limit : r->network->burst_bytes;
}

void outlet_tune_queue(struct outlet *o, const struct reader *r, struct line *l)
{
	nsec_t round_trip;
	bool is_fast;

	rcu_begin();
	round_trip = spread_round_trip_rcu(o->spread, rcu_read(&o->bond->paths), l->binding, r->now,
					   &is_fast);
	rcu_end();
	flowq_set_timing(l->queue, round_trip, is_fast);
	flowq_set_turn(l->queue, outlet_burst_bytes(o, r, l->binding), network_mtu(r->network));
}

/* The peer need not wait for what it asked for and we have not kept. */
static void tell_gone_rcu(struct outlet *o, struct reader *r)
{
	const struct keypair *k = peer_send_session_rcu(&o->bond->peer, r->now);
	struct resend *again = &o->spread->resend;
	uint8_t payload[FRAME_PACKET_MAX];
	size_t len;

	while (k && (len = resend_write_gone(again, k->remote_index, payload, sizeof(payload))))
		bond_send_control_rcu(o->bond, NULL, payload, len, r->now);
}

bool outlet_send_again(struct outlet *o, struct reader *r)
{
	rcu_begin();
	o->is_resending = !spread_resend_rcu(o->spread, rcu_read(&o->bond->paths),
					     r->network->bursts, r->now, &o->resend_at);
	if (o->is_resending)
		spread_want_room_rcu(rcu_read(&o->bond->paths));
	tell_gone_rcu(o, r);
	rcu_end();
	return !o->is_resending;
}

void outlet_expire(struct outlet *o, struct reader *r)
{
	uint64_t bits = o->waiting_bound;
	struct line *l;

	flowq_expire(o->main.queue, r->now, SESSION_WAIT_MAX);
	while ((l = outlet_next_line(o, &bits))) {
		flowq_expire(l->queue, r->now, SESSION_WAIT_MAX);
		note_line(o, l);
	}
}

static void count_line(struct reader *r, struct line *l)
{
	struct flowq_stats stats;

	if (!l->queue)
		return;
	stats = flowq_take_stats(l->queue);
	if (stats.dropped)
		drops_add(&r->network->drops, DROP_tx_queue, stats.dropped);
}

void outlet_count_queue(struct outlet *o, struct reader *r)
{
	count_line(r, &o->main);
	for (unsigned i = 0; o->bound && i < PATH_BINDINGS; i++)
		count_line(r, &o->bound[i]);
}

nsec_t outlet_retry_at(struct outlet *o, const struct reader *r)
{
	nsec_t at = spread_deadline(o->spread, r->now);
	uint64_t bits = o->waiting_bound;
	const struct line *l;
	bool is_queued = !flowq_is_empty(o->main.queue);

	if (o->is_resending)
		at = nsec_min(at, o->resend_at);
	if (o->main.waiting)
		at = nsec_min(at, o->main.retry_at);
	while ((l = outlet_next_line(o, &bits))) {
		is_queued = true;
		if (l->waiting)
			at = nsec_min(at, l->retry_at);
	}
	if (o->is_resending || o->main.waiting)
		return nsec_min(at, r->now + OUTLET_WAITING_MAX);
	if (at != NSEC_NEVER || is_queued)
		at = nsec_min(at, r->now + NSEC_PER_SEC); /* for a session; tx_kick() */
	return at;
}
