/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Link: one local uplink. Whoever queues a burst also sends it, unless somebody else is sending;
 * what is left (the socket is full, or there was a lot) is sent by the first worker. The workers
 * (usually just one) receive in batches, and process each batch all the way to the TUN interface
 * before they receive the next (run to completion). The monitor thread opens and replaces the
 * socket; a link may be without one for a while.
 */
#pragma once

#include <stdatomic.h>

#include "links/bulk.h"
#include "links/coalesce.h"
#include "links/sieve.h"
#include "links/socket.h"
#include "links/turnstile.h"
#include "util/drops.h"
#include "util/errand.h"
#include "util/ring.h"
#include "util/thread.h"
#include "util/waker.h"

/* Bytes that wait in the ring: the queue belongs here and not in a modem, but must be short. */
#define LINK_QUEUE_BYTES (192 << 10)
/* Slots that data leaves free for pings, their answers and handshake messages. */
#define LINK_CONTROL_SLOTS 8
/* Paths whose failures are reported separately. */
#define LINK_FAILURES_TOLD 32

struct link;
struct link_worker;

struct link_calls {
	/*
	 * A burst has come (see its link, from, received); it now belongs to the callee. Returns
	 * what is to be delivered of it, through `next`; NULL: nothing. Several workers may call
	 * this at the same time.
	 */
	struct burst *(*received)(void *ctx, struct link_worker *w, struct burst *b);
	/* What received() has returned for a batch of any worker, in the order in which the
	 * batches came; never two at the same time. It now belongs to the callee. */
	void (*deliver)(void *ctx, struct link_worker *w, struct burst *first, nsec_t now);
	/* After each batch, and before the worker sleeps: returns until when it may sleep
	 * (NSEC_NEVER: for ever). */
	nsec_t (*batch_done)(void *ctx, struct link_worker *w, nsec_t now);
	/* Sending over path `path_id` failed with `error`, or receiving did (0). Not called for
	 * each datagram: once, then repeatedly for as long as it goes on. */
	void (*failed)(void *ctx, struct link *l, uint32_t path_id, int error);
	/* There is room in the ring again after link_push() has refused. */
	void (*has_room)(void *ctx, struct link *l);
};

/* What a link is asked to send. */
struct link_tx {
	struct burst *burst; /* a reference */
	struct endpoint to;
	uint32_t path_id;
};

/* One of the threads of a link. The first also sends what is left, and changes the socket. */
struct link_worker {
	/* constant */
	struct link *link;
	uint32_t number; /* among the link's workers */
	void *user;	 /* the dataplane's */
	struct waker waker;
	struct thread thread;
	struct errands errands;
	/* its own */
	struct burst *spare[UDP_BATCH];
	bool is_leading; /* it has the lead, see worker.c */
	bool is_without_buffers;
	struct patience patience; /* wanted while the link carries bulk */
};

struct link {
	/* constant */
	uint32_t number; /* among the network's links */
	struct link_settings *settings;
	const struct link_calls *calls;
	void *ctx;
	struct pool *bursts;
	size_t burst_bytes;
	struct link_sizes sizes;
	struct ring *tx;
	struct link_worker *workers;
	uint32_t n_workers;
	/* whoever has the lead or the turn; changed by the first worker while it has both */
	struct udp_socket socket; /* fd -1: none */
	/* whoever has the lead */
	bool may_read;
	size_t message_bytes; /* on average, of those received last; 0: none yet */
	struct coalesce coalesce;
	struct bulk bulk;
	nsec_t gathers_until; /* what comes is left in the socket; 0: it is taken at once */
	struct sieve sieve;
	struct turnstile order; /* of the batches, where there are several workers */
	/* whoever has the turn to send */
	struct link_tx pending; /* its burst being partly sent; NULL: none */
	uint32_t pending_sent;
	/* handed to the worker by the monitor */
	_Atomic(struct udp_socket *) replacement;
	/* atomic */
	_Alignas(64) _Atomic size_t queued_bytes;
	_Atomic bool is_starved; /* somebody waits for room */
	_Atomic bool is_sending; /* somebody has the turn to send */
	_Atomic bool is_blocked; /* the socket takes no more; the first worker waits for it */
	_Atomic bool is_led;	 /* somebody has the lead */
	_Atomic bool is_claimed; /* the first worker wants it */
	_Atomic bool stop;
	_Atomic bool is_open;
	_Atomic bool has_carrier; /* its interface has; true where that is not known */
	_Atomic bool has_gso, has_gro;
	_Atomic uint64_t gso_refused; /* bursts, by all its sockets */
	/* when a failure was last reported, by path id; 0: receiving */
	_Atomic nsec_t failures_told[LINK_FAILURES_TOLD];
	_Atomic int last_error;
	_Atomic nsec_t coalesce_longest; /* how long datagrams may wait; 0: not at all */
	_Atomic uint64_t tx_datagrams, tx_bytes, rx_datagrams, rx_bytes;
	struct drops drops;
};

/* 0 or -errno; the link has no socket yet. */
int link_init(struct link *l, uint32_t number, struct link_settings *settings, struct pool *bursts,
	      size_t burst_bytes, const struct link_sizes *sizes, const struct link_calls *calls,
	      void *ctx);
int link_start(struct link *l);
/* Ends the workers, if they run; what is queued is dropped. */
void link_stop(struct link *l);
void link_deinit(struct link *l);
/* Main thread: a worker runs fn(arg), and we wait for it; see errand.h. */
void link_send_errand(struct link_worker *w, errand_fn fn, void *arg);
/* Main thread: returns when the first worker uses the socket that it was given last, and has
 * closed others. */
void link_settle(struct link *l);

/* Monitor: gives the worker a socket (which it then owns), or takes it away (`u` NULL). 0 or
 * -ENOMEM. */
int link_set_socket(struct link *l, const struct udp_socket *u);

/* Monitor: the round trip to the nearest peer over the link; 0: not known. */
void link_set_round_trip(struct link *l, nsec_t round_trip);

/* Any thread: can anything be sent on it? */
static inline bool link_is_usable(const struct link *l)
{
	return atomic_load_explicit(&l->is_open, memory_order_relaxed) &&
	       atomic_load_explicit(&l->has_carrier, memory_order_relaxed);
}

/* Any thread: is it worth pushing more data? */
bool link_has_room(const struct link *l);
/* Any thread: asks for the has_room call. */
void link_want_room(struct link *l);
/*
 * Any thread: queues a burst, of which it takes a reference on success, and sends what is queued
 * if that is nobody else's turn. False, and nothing happens, when the ring is full.
 */
bool link_push(struct link *l, struct burst *b, const struct endpoint *to, uint32_t path_id);
/* The same in two steps, so that a lock can be let go before the second. */
bool link_enqueue(struct link *l, struct burst *b, const struct endpoint *to, uint32_t path_id);
void link_flush(struct link *l);
/* Any thread: sends one datagram. What has no buffer, or no room, is counted as dropped. */
void link_send_message(struct link *l, const struct endpoint *to, uint32_t path_id, const void *msg,
		       size_t len);
