/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/handshaker.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/monitor.h"
#include "dataplane/network_state.h"
#include "dataplane/tx.h"

/* With this part of the queue waiting we are under load (as in the kernel) ... */
#define UNDER_LOAD_SHARE 8
/* ... and stay so for a while. */
#define UNDER_LOAD_LASTS NSEC_PER_SEC
/*
 * So long it then lets messages gather, so that it is not woken for each of a flood: a millisecond,
 * and less with a queue that would be full before.
 */
#define UNDER_LOAD_PAUSE NSEC_PER_MSEC
#define UNDER_LOAD_PAUSE_EACH (NSEC_PER_MSEC / 256)
/* Messages between two looks at timers and pokes. */
#define MESSAGES_PER_ROUND 16

struct message {
	struct origin from;
	uint16_t len;
	uint8_t bytes[sizeof(struct wg_initiation)];
};

struct handshaker {
	struct network *network;
	struct thread thread;
	struct waker waker;
	_Atomic bool stop;
	struct ring *messages;
	_Atomic(struct peer *) poked; /* newest first, by next_poked; each at most once */
	struct errands errands;
	nsec_t under_load_until;
};

int handshaker_new(struct handshaker **ret, struct network *n)
{
	struct handshaker *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	h->network = n;
	h->waker.fd = -1;
	r = ring_new(&h->messages, n->settings->sizes.handshake_queue, sizeof(struct message));
	if (r == 0)
		r = waker_init(&h->waker);
	if (r < 0) {
		handshaker_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

void handshaker_free(struct handshaker *h)
{
	if (!h)
		return;
	waker_deinit(&h->waker);
	ring_free(h->messages);
	free(h);
}

bool handshaker_post(struct handshaker *h, struct link *l, const struct endpoint *from,
		     const void *msg, size_t len)
{
	struct message m = {
		.from = {.link = l->number, .remote = from->remote, .local = from->local},
		.len = (uint16_t)len,
	};

	memcpy(m.bytes, msg, len);
	if (!ring_push(h->messages, &m))
		return false;
	waker_wake(&h->waker);
	return true;
}

static void poke(void *ctx, struct peer *p)
{
	struct network *n = ctx;
	struct handshaker *h = n->handshaker;

	p->next_poked = atomic_load_explicit(&h->poked, memory_order_relaxed);
	/* release: its link to the next */
	while (!atomic_compare_exchange_weak_explicit(&h->poked, &p->next_poked, p,
						      memory_order_release, memory_order_relaxed))
		continue;
	waker_wake(&h->waker);
}

static bool send_to_peer(void *ctx, struct peer *p, unsigned nth, const void *msg, size_t len)
{
	bool has_more;

	(void)ctx;
	rcu_begin();
	has_more = bond_send_message_rcu(bond_of(p), nth, p->n_unanswered, msg, len);
	rcu_end();
	return has_more;
}

static void send_trial(void *ctx, struct peer *p, const void *msg, size_t len)
{
	(void)ctx;
	rcu_begin();
	bond_send_trial_rcu(bond_of(p), msg, len);
	rcu_end();
}

static void reply(void *ctx, const struct origin *to, const void *msg, size_t len)
{
	struct network *n = ctx;
	struct link *l = n->links[to->link]; /* NULL: it has gone in the meantime */
	const struct endpoint endpoint = {.remote = to->remote, .local = to->local};

	if (l)
		link_send_message(l, &endpoint, 0, msg, len);
}

static void send_keepalive(void *ctx, struct peer *p)
{
	(void)ctx;
	rcu_begin();
	bond_send_control_rcu(bond_of(p), NULL, "", 0, clock_now());
	rcu_end();
}

static void session_ready(void *ctx, struct peer *p)
{
	struct network *n = ctx;
	const struct event e = {.kind = EVENT_SESSION, .bond = bond_of(p), .at = clock_now()};

	monitor_post(n, &e);
	tx_kick(n->tx);
}

static void heard_from(void *ctx, struct peer *p, const struct origin *from)
{
	struct network *n = ctx;
	const struct event e = {
		.kind = EVENT_HANDSHAKE,
		.bond = bond_of(p),
		.link = n->links[from->link],
		.from = {.remote = from->remote, .local = from->local},
		.at = clock_now(),
	};

	if (e.link)
		monitor_post(n, &e);
}

static void next_timestamp(void *ctx, uint8_t ret[NOISE_TIMESTAMP_LEN])
{
	struct network *n = ctx;

	timestamp_next(&n->timestamp, clock_wall(), ret);
}

const struct device_calls handshaker_device_calls = {
	.send = send_to_peer,
	.send_trial = send_trial,
	.reply = reply,
	.send_keepalive = send_keepalive,
	.session_ready = session_ready,
	.heard_from = heard_from,
	.timestamp = next_timestamp,
	.poke = poke,
};

static bool is_under_load(struct handshaker *h, nsec_t now)
{
	const struct network_sizes *sizes = &h->network->settings->sizes;

	if (ring_used(h->messages) >= sizes->handshake_queue / UNDER_LOAD_SHARE)
		h->under_load_until = now + UNDER_LOAD_LASTS;
	return now < h->under_load_until;
}

static void handle_messages(struct handshaker *h)
{
	struct network *n = h->network;
	struct message m;

	for (int i = 0; i < MESSAGES_PER_ROUND && ring_pop(h->messages, &m); i++) {
		nsec_t now = clock_now();

		device_receive(n->device, m.bytes, m.len, &m.from, is_under_load(h, now), now,
			       &n->drops);
	}
}

void handshaker_take_pokes(struct handshaker *h)
{
	/* acquire: the links */
	struct peer *p = atomic_exchange_explicit(&h->poked, NULL, memory_order_acquire);
	struct peer *next;

	for (; p; p = next) {
		next = p->next_poked; /* once it is handled, it may be poked again */
		device_handle_pokes(p, clock_now());
	}
}

/* Who has something for us does not wake us meanwhile. */
static void pause_under_load(const struct handshaker *h)
{
	uint32_t room = h->network->settings->sizes.handshake_queue;
	const struct timespec pause = {
		.tv_nsec = nsec_min(UNDER_LOAD_PAUSE, room * UNDER_LOAD_PAUSE_EACH)};

	ppoll(NULL, 0, &pause, NULL);
}

static void wait_for_work(struct handshaker *h, nsec_t until)
{
	struct pollfd fd = {.fd = h->waker.fd, .events = POLLIN};
	nsec_t left = nsec_max(until - clock_now(), 0);
	struct timespec timeout = {.tv_sec = left / NSEC_PER_SEC, .tv_nsec = left % NSEC_PER_SEC};

	waker_sleep(&h->waker);
	if (!atomic_load(&h->stop) && !ring_used(h->messages) && !atomic_load(&h->poked) &&
	    !errands_wait(&h->errands))
		ppoll(&fd, 1, until == NSEC_NEVER ? NULL : &timeout, NULL);
	waker_awake(&h->waker);
}

static void run(void *arg)
{
	struct handshaker *h = arg;
	struct device *d = h->network->device;
	nsec_t until;

	device_start(d, clock_now());
	while (!atomic_load_explicit(&h->stop, memory_order_relaxed)) {
		errands_do(&h->errands);
		handle_messages(h);
		handshaker_take_pokes(h);
		until = device_run_timers(d, clock_now());
		if (ring_used(h->messages))
			continue;
		if (clock_now() < h->under_load_until)
			pause_under_load(h);
		else
			wait_for_work(h, until);
	}
}

int handshaker_start(struct handshaker *h)
{
	int r = thread_start(&h->thread, "vt-handshake", run, h);

	if (r == 0)
		errands_open(&h->errands);
	return r;
}

void handshaker_stop(struct handshaker *h)
{
	atomic_store(&h->stop, true);
	waker_wake(&h->waker);
	thread_join(&h->thread);
	errands_close(&h->errands);
}

void handshaker_send_errand(struct handshaker *h, errand_fn fn, void *arg)
{
	errands_send(&h->errands, &h->waker, fn, arg);
}
