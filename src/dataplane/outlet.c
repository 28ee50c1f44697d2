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

void outlet_free(struct outlet *o)
{
	struct burst *b;

	if (!o)
		return;
	while ((b = o->waiting)) {
		o->waiting = b->next;
		burst_put(b);
	}
	flowq_free(o->queue);
	spread_free(o->spread);
	share_free(o->share);
	for (unsigned i = 0; i < o->n_places; i++)
		free(o->places[i].flows);
	free(o);
}

/* What the links need to receive and send is not for the flow queues to fill. */
static bool is_pool_low(const struct network *n, size_t needed)
{
	return pool_available(n->bursts) < n->n_links * network_bursts_per_link(n) + needed;
}

bool outlet_is_full(const struct outlet *o, const struct reader *r)
{
	return flowq_is_full(o->queue) || is_pool_low(r->network, READ_CELLS);
}

/* Queues the read as it is; false if that is not worth its cell, or there is no room. */
static bool enqueue_whole(struct outlet *o, struct reader *r)
{
	struct pool *pool = r->network->bursts;
	struct parcel *fresh;

	if (split_bytes_left(&r->read->split) < PARCEL_WHOLE_MIN || is_pool_low(r->network, 1))
		return false;
	fresh = pool_take(pool);
	if (!fresh)
		return false;
	if (!flowq_push_whole(o->queue, r->read, r->now)) {
		pool_give(pool, fresh);
		return false;
	}
	r->read = fresh;
	return true;
}

static bool has_queue(struct outlet *o, const struct network *n)
{
	uint64_t key;

	if (o->queue)
		return true;
	keys_random(&key, sizeof(key));
	return flowq_new(&o->queue, n->bursts, n->settings->sizes.queue_buffers, n->cell_room,
			 key) == 0;
}

void outlet_enqueue(struct outlet *o, struct reader *r)
{
	struct network *n = r->network;
	bool has_room = has_queue(o, n);
	uint8_t *packet;
	size_t len;

	if (!has_room || !enqueue_whole(o, r)) {
		while ((packet = split_next(&r->read->split, &len))) {
			if (!has_room || is_pool_low(n, 0) ||
			    !flowq_push(o->queue, packet, len, r->now))
				drops_add(&n->drops, DROP_tx_queue_full, 1);
		}
	}
	if (!flowq_is_empty(o->queue))
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
static void keep_waiting(struct outlet *o, struct reader *r, struct burst *b)
{
	if (!o->waiting) {
		o->waiting_since = r->now;
		o->waiting_end = &o->waiting;
	}
	b->next = NULL;
	*o->waiting_end = b;
	o->waiting_end = &b->next;
	reader_make_busy(r, o);
}

/* Sends a sealed burst, or leaves it the caller's. */
static enum spread_result try_send_rcu(struct outlet *o, struct reader *r, struct burst *b)
{
	enum spread_result result =
		spread_send_rcu(o->spread, rcu_read(&o->bond->paths), b, r->now, &o->retry_at);

	if (result != SPREAD_SENT)
		return result;
	if (spread_deadline(o->spread, r->now) != NSEC_NEVER)
		reader_make_busy(r, o);
	burst_put(b);
	return result;
}

void outlet_send_rcu(struct outlet *o, struct reader *r, struct burst *b)
{
	/* Behind what waits already, so that nothing overtakes. */
	if (o->waiting || try_send_rcu(o, r, b) != SPREAD_SENT)
		keep_waiting(o, r, b);
}

/* Is it sent, or has it waited too long? The second try is the one that misses no room made. */
static bool is_off_our_hands_rcu(struct outlet *o, struct reader *r, struct burst *b)
{
	enum spread_result result = try_send_rcu(o, r, b);

	if (result == SPREAD_SENT)
		return true;
	spread_want_room_rcu(rcu_read(&o->bond->paths));
	result = try_send_rcu(o, r, b);
	if (result == SPREAD_SENT)
		return true;
	if (r->now - o->waiting_since <= OUTLET_WAITING_MAX)
		return false;
	if (result == SPREAD_NO_PATH)
		warn_no_path(r, o->bond);
	drop(r, result == SPREAD_NO_PATH ? DROP_tx_no_path : DROP_tx_ring_full, b);
	return true;
}

bool outlet_send_waiting(struct outlet *o, struct reader *r)
{
	struct burst *next;

	rcu_begin();
	for (; o->waiting; o->waiting = next) {
		next = o->waiting->next;
		if (!is_off_our_hands_rcu(o, r, o->waiting))
			break;
		o->waiting_since = r->now;
	}
	rcu_end();
	return !o->waiting;
}

uint64_t outlet_burst_bytes(struct outlet *o, const struct reader *r)
{
	uint64_t limit;

	if (o->share) {
		limit = atomic_load_explicit(&o->share->burst_bytes, memory_order_relaxed);
	} else {
		rcu_begin();
		limit = spread_burst_bytes_rcu(o->spread, rcu_read(&o->bond->paths), r->now);
		rcu_end();
	}
	return limit < r->network->burst_bytes ? limit : r->network->burst_bytes;
}

void outlet_tune_queue(struct outlet *o, const struct reader *r)
{
	nsec_t round_trip;
	bool is_fast;

	rcu_begin();
	round_trip = spread_round_trip_rcu(o->spread, rcu_read(&o->bond->paths), r->now, &is_fast);
	rcu_end();
	flowq_set_timing(o->queue, round_trip, is_fast);
	flowq_set_turn(o->queue, outlet_burst_bytes(o, r), network_mtu(r->network));
}

/* The peer need not wait for what it asked for and we have not kept. */
static void tell_gone_rcu(struct outlet *o, struct reader *r)
{
	const struct keypair *k = peer_send_session_rcu(&o->bond->peer, r->now);
	uint8_t payload[FRAME_PACKET_MAX];
	struct resend_gone gone;
	struct frame f = {.type = FRAME_APART};
	int len;

	while (resend_take_gone(&o->spread->resend, &gone)) {
		if (!k || k->remote_index != gone.session)
			continue;
		f.apart.counter = gone.first;
		f.apart.n = gone.n;
		len = frame_write(&f, payload, sizeof(payload));
		if (len > 0)
			bond_send_control_rcu(o->bond, NULL, payload, (size_t)len, r->now);
	}
}

bool outlet_send_again(struct outlet *o, struct reader *r)
{
	rcu_begin();
	o->is_resending = !spread_resend_rcu(o->spread, rcu_read(&o->bond->paths),
					     r->network->bursts, r->now, &o->retry_at);
	if (o->is_resending)
		spread_want_room_rcu(rcu_read(&o->bond->paths));
	tell_gone_rcu(o, r);
	rcu_end();
	return !o->is_resending;
}

void outlet_expire(struct outlet *o, struct reader *r)
{
	flowq_expire(o->queue, r->now, SESSION_WAIT_MAX);
}

void outlet_count_queue(struct outlet *o, struct reader *r)
{
	struct flowq_stats stats;

	if (!o->queue)
		return;
	stats = flowq_take_stats(o->queue);
	if (stats.dropped)
		drops_add(&r->network->drops, DROP_tx_queue, stats.dropped);
}

nsec_t outlet_retry_at(const struct outlet *o, const struct reader *r)
{
	nsec_t at = spread_deadline(o->spread, r->now);

	if (o->waiting || o->is_resending)
		return nsec_min(at, nsec_min(o->retry_at, r->now + OUTLET_WAITING_MAX));
	if (at != NSEC_NEVER || !flowq_is_empty(o->queue))
		at = nsec_min(at, r->now + NSEC_PER_SEC); /* for a session; tx_kick() */
	return at;
}
