/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "links/link.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "links/worker.h"

/* Bursts sent in a turn, so that a busy worker still receives, and others get back to their work.
 */
#define SENDS_PER_TURN 8

/* What fails for every packet is told of no more often: there is one queue for all such news. */
#define FAILURE_INTERVAL (50 * NSEC_PER_MSEC)

enum turn_end {
	TURN_EMPTY,   /* nothing is left to send */
	TURN_BLOCKED, /* the socket takes no more now */
	TURN_OVER,    /* there may be more */
};

int link_init(struct link *l, uint32_t number, struct link_settings *settings, struct pool *bursts,
	      size_t burst_bytes, const struct link_sizes *sizes, const struct link_calls *calls,
	      void *ctx)
{
	int r;

	assert(sizes->receive_batch && sizes->receive_batch <= UDP_BATCH);
	assert(sizes->queue > LINK_CONTROL_SLOTS);
	memset(l, 0, sizeof(*l));
	l->number = number;
	l->settings = settings;
	l->bursts = bursts;
	l->burst_bytes = burst_bytes;
	l->sizes = *sizes;
	l->calls = calls;
	l->ctx = ctx;
	l->socket.fd = -1;
	atomic_init(&l->has_carrier, true);
	/* Nobody sends until the worker runs. */
	atomic_init(&l->is_sending, true);
	r = ring_new(&l->tx, sizes->queue, sizeof(struct link_tx));
	return r < 0 ? r : workers_init(l);
}

static void drop_tx(struct link *l, const struct link_tx *tx, uint32_t datagrams,
		    enum drop_reason reason)
{
	drops_add(&l->drops, reason, datagrams);
	burst_put(tx->burst);
}

void link_deinit(struct link *l)
{
	struct udp_socket *u = atomic_load(&l->replacement);
	struct link_tx tx;

	while (l->tx && ring_pop(l->tx, &tx))
		drop_tx(l, &tx, tx.burst->n, DROP_tx_link_down);
	if (l->pending.burst)
		drop_tx(l, &l->pending, l->pending.burst->n - l->pending_sent, DROP_tx_link_down);
	workers_deinit(l);
	if (l->socket.fd >= 0)
		close(l->socket.fd);
	if (u && u->fd >= 0)
		close(u->fd);
	free(u);
	ring_free(l->tx);
	l->tx = NULL;
}

int link_set_socket(struct link *l, const struct udp_socket *u)
{
	struct udp_socket *fresh = malloc(sizeof(*fresh));
	struct udp_socket *unused;

	if (!fresh)
		return -ENOMEM;
	*fresh = u ? *u : (struct udp_socket){.fd = -1};
	atomic_store_explicit(&l->is_open, u != NULL, memory_order_relaxed);
	/* release: the worker reads what it points to */
	unused = atomic_exchange_explicit(&l->replacement, fresh, memory_order_acq_rel);
	if (unused && unused->fd >= 0)
		close(unused->fd);
	free(unused);
	waker_wake(&l->workers[0].waker);
	return 0;
}

void link_set_round_trip(struct link *l, nsec_t round_trip)
{
	atomic_store_explicit(&l->coalesce_longest, coalesce_longest(round_trip),
			      memory_order_relaxed);
}

/* The first worker, in its turn. */
static void adopt_socket(struct link *l)
{
	struct udp_socket *u =
		atomic_exchange_explicit(&l->replacement, NULL, memory_order_acq_rel);

	if (!u)
		return;
	worker_claim_lead(l);
	if (l->socket.fd >= 0)
		close(l->socket.fd);
	l->socket = *u;
	free(u);
	memset(&l->sieve, 0, sizeof(l->sieve));
	l->may_read = l->socket.fd >= 0;
	atomic_store_explicit(&l->has_gso, l->socket.has_gso, memory_order_relaxed);
	atomic_store_explicit(&l->has_gro, l->socket.has_gro, memory_order_relaxed);
}

bool link_has_room(const struct link *l)
{
	return ring_used(l->tx) < l->sizes.queue - LINK_CONTROL_SLOTS &&
	       atomic_load_explicit(&l->queued_bytes, memory_order_relaxed) < LINK_QUEUE_BYTES;
}

void link_want_room(struct link *l)
{
	/* Ordered before the caller's last look at link_has_room(), as in waker.h. */
	atomic_store_explicit(&l->is_starved, true, memory_order_seq_cst);
	atomic_thread_fence(memory_order_seq_cst);
}

static bool next_tx(struct link *l)
{
	if (l->pending.burst)
		return true;
	if (!ring_pop(l->tx, &l->pending)) {
		l->pending.burst = NULL;
		return false;
	}
	l->pending_sent = 0;
	atomic_fetch_sub_explicit(&l->queued_bytes, l->pending.burst->len, memory_order_relaxed);
	return true;
}

/* After something was taken from the ring: tell whoever waits for room. */
static void tell_room(struct link *l)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&l->is_starved, memory_order_relaxed) && link_has_room(l) &&
	    atomic_exchange_explicit(&l->is_starved, false, memory_order_acq_rel))
		l->calls->has_room(l->ctx, l);
}

void link_tell_failure(struct link *l, uint32_t path_id, int error)
{
	_Atomic nsec_t *told = &l->failures_told[path_id % LINK_FAILURES_TOLD];
	nsec_t now = clock_now();
	nsec_t before = atomic_load_explicit(told, memory_order_relaxed);

	atomic_store_explicit(&l->last_error, error, memory_order_relaxed);
	if (before && now - before < FAILURE_INTERVAL)
		return;
	atomic_store_explicit(told, now, memory_order_relaxed);
	l->calls->failed(l->ctx, l, path_id, error);
}

/* The pending burst cannot be sent; a full queue is no fault of the link. */
static void fail_tx(struct link *l, int error)
{
	uint32_t left = l->pending.burst->n - l->pending_sent;
	uint32_t path_id = l->pending.path_id;

	if (l->pending.burst->is_mtu_probe && error == EMSGSIZE)
		burst_put(l->pending.burst);
	else
		drop_tx(l, &l->pending, left, DROP_tx_send_error);
	l->pending.burst = NULL;
	if (error == ENOBUFS || error == EMSGSIZE)
		return;
	link_tell_failure(l, path_id, error);
}

static void count_sent(struct link *l, const struct burst *b, uint32_t first, uint32_t n)
{
	uint64_t bytes = (uint64_t)n * b->stride;

	if (first + n == b->n)
		bytes -= (uint64_t)b->n * b->stride - b->len;
	atomic_fetch_add_explicit(&l->tx_datagrams, n, memory_order_relaxed);
	atomic_fetch_add_explicit(&l->tx_bytes, bytes, memory_order_relaxed);
}

/* Sends the pending burst, or what is left of it. False: the socket takes no more now. */
static bool send_pending(struct link *l)
{
	struct burst *b = l->pending.burst;
	uint32_t refused = l->socket.gso_refused;
	int r;

	if (l->socket.fd < 0) {
		drop_tx(l, &l->pending, b->n - l->pending_sent, DROP_tx_link_down);
		l->pending.burst = NULL;
		return true;
	}
	r = udp_send(&l->socket, b, l->pending_sent, &l->pending.to);
	if (r == -EAGAIN || r == -EINTR)
		return false;
	if (l->socket.gso_refused != refused)
		atomic_fetch_add_explicit(&l->gso_refused, 1, memory_order_relaxed);
	atomic_store_explicit(&l->has_gso, l->socket.has_gso, memory_order_relaxed);
	if (r < 0) {
		fail_tx(l, -r);
		return true;
	}
	count_sent(l, b, l->pending_sent, (uint32_t)r);
	l->pending_sent += (uint32_t)r;
	if (l->pending_sent < b->n)
		return true;
	burst_put(b);
	l->pending.burst = NULL;
	return true;
}

/* The worker has been woken for that, and sends what is queued when it has done it. */
static bool awaits_socket(const struct link *l)
{
	return atomic_load_explicit(&l->replacement, memory_order_relaxed);
}

static enum turn_end send_some(struct link *l)
{
	for (int i = 0; i < SENDS_PER_TURN; i++) {
		if (!next_tx(l))
			return TURN_EMPTY;
		/* After the burst was taken: if a socket was given before it, it is for that one.
		 */
		if (awaits_socket(l))
			return TURN_OVER;
		if (!send_pending(l))
			return TURN_BLOCKED;
		tell_room(l);
	}
	return TURN_OVER;
}

static bool take_turn(struct link *l)
{
	/* acquire: what the one before us did to socket and pending burst */
	return !atomic_exchange_explicit(&l->is_sending, true, memory_order_acquire);
}

/* The fence orders "give up the turn, look at the ring" against "queue, try to take the turn". */
static void end_turn(struct link *l, enum turn_end end)
{
	atomic_store_explicit(&l->is_blocked, end == TURN_BLOCKED, memory_order_relaxed);
	atomic_store_explicit(&l->is_sending, false, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
}

/*
 * After something was queued: sends it, unless somebody is sending, who looks again when its
 * turn is over. So nothing waits for a thread to wake up; what is left is the worker's, and what
 * follows a new socket does not go over the old one.
 */
void link_flush(struct link *l)
{
	enum turn_end end;

	atomic_thread_fence(memory_order_seq_cst);
	while (ring_used(l->tx) && !atomic_load_explicit(&l->is_blocked, memory_order_relaxed)) {
		if (awaits_socket(l) || !take_turn(l))
			return;
		end = send_some(l);
		end_turn(l, end);
		if (end != TURN_EMPTY || awaits_socket(l)) {
			waker_wake(&l->workers[0].waker);
			return;
		}
	}
}

bool link_enqueue(struct link *l, struct burst *b, const struct endpoint *to, uint32_t path_id)
{
	const struct link_tx tx = {.burst = b, .to = *to, .path_id = path_id};

	burst_get(b);
	atomic_fetch_add_explicit(&l->queued_bytes, b->len, memory_order_relaxed);
	if (!ring_push(l->tx, &tx)) {
		atomic_fetch_sub_explicit(&l->queued_bytes, b->len, memory_order_relaxed);
		burst_put(b);
		return false;
	}
	return true;
}

bool link_push(struct link *l, struct burst *b, const struct endpoint *to, uint32_t path_id)
{
	if (!link_enqueue(l, b, to, path_id))
		return false;
	link_flush(l);
	return true;
}

void link_send_message(struct link *l, const struct endpoint *to, uint32_t path_id, const void *msg,
		       size_t len)
{
	struct burst *b = burst_take(l->bursts);

	if (!b) {
		drops_add(&l->drops, DROP_tx_no_buffer, 1);
		return;
	}
	memcpy(b->data, msg, len);
	b->len = b->stride = (uint32_t)len;
	b->n = 1;
	if (!link_push(l, b, to, path_id))
		drops_add(&l->drops, DROP_tx_ring_full, 1);
	burst_put(b);
}

bool link_work_turn(struct link *l)
{
	enum turn_end end;

	if (!take_turn(l))
		return false;
	adopt_socket(l);
	end = send_some(l);
	end_turn(l, end);
	return end == TURN_OVER;
}

static void settle(void *arg)
{
	struct link *l = arg;

	if (!l->workers[0].errands.is_served)
		return;
	while (!take_turn(l))
		sched_yield();
	adopt_socket(l);
	end_turn(l, TURN_OVER);
}

void link_settle(struct link *l)
{
	link_send_errand(&l->workers[0], settle, l);
}
