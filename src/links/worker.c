/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Of several workers one has the lead: it alone waits for the socket and takes from it. What is
 * only a few packets it works on by itself, as a single worker does, and nobody else wakes up. If
 * there was more than a batch it gives the lead away, wakes one that sleeps, and works on its batch
 * while that one takes the next. Afterwards it takes the lead again, unless somebody has it, and
 * then it sleeps. So the lead is never with a worker that is busy while there is more to take, and
 * never with nobody for longer than a batch takes. The turnstile puts the batches back in order.
 */
#include "links/worker.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* When the pool of buffers was empty, the next try. */
#define BUFFER_RETRY NSEC_PER_MSEC
/*
 * What is received at once: it is to be opened and written while it is in the cache, the first of
 * it is not to wait for the last, and there is to be something for other workers.
 */
#define BATCH_BYTES (256 << 10)
/*
 * Batches under way for each worker: one that is not let run must not have the others fill all the
 * buffers with what comes after its own.
 */
#define BATCHES_PER_WORKER 2

int workers_init(struct link *l)
{
	uint32_t n = l->settings->workers ? l->settings->workers : 1;
	int r = 0;

	l->workers = calloc(n, sizeof(*l->workers));
	if (!l->workers)
		return -ENOMEM;
	for (; r == 0 && l->n_workers < n; l->n_workers++) {
		struct link_worker *w = &l->workers[l->n_workers];

		w->link = l;
		w->number = l->n_workers;
		r = waker_init(&w->waker);
	}
	return r;
}

void workers_deinit(struct link *l)
{
	for (uint32_t i = 0; i < l->n_workers; i++) {
		struct link_worker *w = &l->workers[i];

		for (int k = 0; k < UDP_BATCH; k++) {
			if (w->spare[k])
				burst_put(w->spare[k]);
		}
		waker_deinit(&w->waker);
	}
	free(l->workers);
	l->workers = NULL;
	l->n_workers = 0;
}

static bool take_lead(struct link_worker *w)
{
	struct link *l = w->link;

	if (w->is_leading)
		return true;
	if (w->number && atomic_load_explicit(&l->is_claimed, memory_order_relaxed))
		return false;
	/* acquire: what the one before us did to may_read and the turnstile */
	w->is_leading = !atomic_exchange_explicit(&l->is_led, true, memory_order_acquire);
	return w->is_leading;
}

static void give_lead(struct link_worker *w)
{
	w->is_leading = false;
	w->is_without_buffers = false;
	atomic_store_explicit(&w->link->is_led, false, memory_order_release);
}

/* Those that only receive come first. If nobody sleeps, whoever is ready first takes the lead. */
static void wake_another(struct link_worker *w)
{
	struct link *l = w->link;

	atomic_thread_fence(memory_order_seq_cst);
	for (uint32_t i = l->n_workers; i-- > 0;) {
		struct waker *other = &l->workers[i].waker;

		if (i != w->number && waker_is_asleep(other)) {
			waker_wake(other);
			return;
		}
	}
}

void worker_claim_lead(struct link *l)
{
	struct link_worker *w = &l->workers[0];

	if (take_lead(w))
		return;
	atomic_store(&l->is_claimed, true);
	while (!take_lead(w)) {
		for (uint32_t i = 1; i < l->n_workers; i++)
			waker_wake(&l->workers[i].waker);
		sched_yield();
	}
	atomic_store(&l->is_claimed, false);
}

/* As many empty bursts as there are to be had, up to `max`, at the front of w->spare. */
static int fill_spare(struct link_worker *w, int max)
{
	int n = 0;

	while (n < max && (w->spare[n] || (w->spare[n] = burst_take(w->link->bursts))))
		n++;
	return n;
}

/* How many messages that is, if they are as long as the last ones were. */
static int batch_size(const struct link *l)
{
	size_t n = l->message_bytes ? BATCH_BYTES / l->message_bytes + 1 : UDP_BATCH;

	return (int)(n < l->sizes.receive_batch ? n : l->sizes.receive_batch);
}

/* Counts a batch, and what it tells of the next one. */
static void note_batch(struct link *l, struct burst *const *bursts, int n, nsec_t now)
{
	nsec_t longest = atomic_load_explicit(&l->coalesce_longest, memory_order_relaxed);
	uint64_t datagrams = 0;
	size_t bytes = 0;

	for (int i = 0; i < n; i++) {
		datagrams += bursts[i]->n;
		bytes += bursts[i]->len;
	}
	atomic_fetch_add_explicit(&l->rx_datagrams, datagrams, memory_order_relaxed);
	atomic_fetch_add_explicit(&l->rx_bytes, bytes, memory_order_relaxed);
	l->message_bytes = bytes / (size_t)n;
	l->gathers_until = coalesce_until(&l->coalesce, datagrams, longest, now);
	/* Path control is to see when they came, and not when they were taken. */
	if (l->gathers_until && !l->socket.has_stamps)
		udp_stamp(&l->socket);
}

static bool are_too_many_under_way(const struct link *l)
{
	return turnstile_used(&l->order) >= BATCHES_PER_WORKER * l->n_workers;
}

/* The kernel has one counter, for what did not fit and for what a filter has dropped. */
static void count_overflow(struct link *l, uint32_t n)
{
	drops_add(&l->drops, l->sieve.may_have_dropped ? DROP_rx_flood : DROP_rx_socket_overflow,
		  n);
}

/* The worker that leads: as many messages as it gets, into the front of w->spare. */
static int take_batch(struct link_worker *w)
{
	struct link *l = w->link;
	uint32_t overflow = l->socket.overflow;
	int n = are_too_many_under_way(l) ? 0 : fill_spare(w, batch_size(l));
	int got;

	/* No drop: what has come stays in the socket, and the kernel counts what does not fit. */
	w->is_without_buffers = n == 0;
	if (!n)
		return 0;
	got = udp_receive(&l->socket, w->spare, n, l->burst_bytes);
	l->may_read = got == n;
	if (got < 0 && got != -EAGAIN && got != -EINTR)
		link_tell_failure(l, 0, -got);
	if (got <= 0)
		return 0;
	if (l->socket.overflow != overflow)
		count_overflow(l, l->socket.overflow - overflow);
	return got;
}

/* Has the batch opened; returns the chain that is to be delivered. */
static struct burst *work_on(struct link_worker *w, int got, nsec_t now)
{
	struct link *l = w->link;
	struct burst *first = NULL;
	struct burst **end = &first;

	for (int i = 0; i < got; i++) {
		struct burst *b = w->spare[i];

		b->link = l;
		b->received = now - b->waited;
		w->spare[i] = NULL;
		*end = l->calls->received(l->ctx, w, b);
		while (*end)
			end = &(*end)->next;
	}
	/* The rest moves to the front, where fill_spare() looks for it. */
	memmove(w->spare, w->spare + got, (size_t)(UDP_BATCH - got) * sizeof(w->spare[0]));
	memset(w->spare + UDP_BATCH - got, 0, (size_t)got * sizeof(w->spare[0]));
	return first;
}

/* In the worker that passes it on. */
static void deliver(void *ctx, struct burst *chain)
{
	struct link_worker *w = ctx;

	if (chain)
		w->link->calls->deliver(w->link->ctx, w, chain, clock_now());
}

/* Where CPUs are what limits the speed, it lets others finish their turns. */
static void note_bulk(struct link_worker *w, nsec_t now)
{
	struct link *l = w->link;
	uint64_t bytes = atomic_load_explicit(&l->rx_bytes, memory_order_relaxed) +
			 atomic_load_explicit(&l->tx_bytes, memory_order_relaxed);

	thread_set_patient(&w->patience, bulk_look(&l->bulk, bytes, now));
}

/* Receives one batch and hands it on; returns how many messages came. */
static int receive_some(struct link_worker *w)
{
	struct link *l = w->link;
	int got = take_batch(w);
	uint64_t ticket;
	nsec_t now;

	if (!got)
		return 0;
	now = clock_now();
	note_batch(l, w->spare, got, now);
	note_bulk(w, now);
	sieve_look(&l->sieve, l->socket.fd, w->spare, got, now);
	if (l->n_workers == 1) {
		deliver(w, work_on(w, got, now));
		return got;
	}
	ticket = turnstile_enter(&l->order);
	if (l->may_read) {
		give_lead(w);
		wake_another(w);
	}
	turnstile_leave(&l->order, ticket, work_on(w, got, now), deliver, w);
	return got;
}

static struct timespec timespec_of(nsec_t t)
{
	return (struct timespec){.tv_sec = t / NSEC_PER_SEC, .tv_nsec = t % NSEC_PER_SEC};
}

/* Is there something to send, or to change, that nobody but the first worker will? */
static bool has_turn(struct link *l)
{
	if (atomic_load(&l->is_sending))
		return false; /* whoever is will wake us for what is left */
	return atomic_load(&l->replacement) || (ring_used(l->tx) && !atomic_load(&l->is_blocked));
}

/* Asked when it is known to be asleep. */
static bool has_work(struct link_worker *w)
{
	struct link *l = w->link;

	if (atomic_load(&l->stop) || errands_wait(&w->errands))
		return true;
	if (w->number)
		return w->is_leading && atomic_load(&l->is_claimed);
	return has_turn(l);
}

/* Until when it leaves what comes in the socket, though it leads; 0: it waits for it. */
static nsec_t left_until(const struct link_worker *w, nsec_t now)
{
	const struct link *l = w->link;

	if (!w->is_leading)
		return 0;
	if (w->is_without_buffers)
		return now + BUFFER_RETRY; /* nobody tells when there are some again */
	return now < l->gathers_until ? l->gathers_until : 0;
}

/* What it waits for at the socket. */
static short socket_events(const struct link_worker *w, bool is_left)
{
	short events = 0;

	if (w->is_leading && !is_left)
		events |= POLLIN;
	if (w->number == 0 && atomic_load(&w->link->is_blocked))
		events |= POLLOUT;
	return events;
}

static void wait_for_work(struct link_worker *w, nsec_t until, nsec_t now)
{
	struct link *l = w->link;
	struct pollfd fds[2] = {{.fd = w->waker.fd, .events = POLLIN}, {.fd = -1}};
	nsec_t left = left_until(w, now);
	struct timespec timeout;

	if (left)
		until = nsec_min(until, left);
	timeout = timespec_of(nsec_max(until - now, 0));

	waker_sleep(&w->waker);
	if (has_work(w)) {
		waker_awake(&w->waker);
		return;
	}
	fds[1].events = socket_events(w, left);
	/* Who does not wait for it must not look at it: the first worker may change it. */
	if (fds[1].events)
		fds[1].fd = l->socket.fd;
	ppoll(fds, 2, until == NSEC_NEVER ? NULL : &timeout, NULL);
	if (w->is_leading && (fds[1].revents || left))
		l->may_read = true;
	waker_awake(&w->waker);
}

static void run(void *arg)
{
	struct link_worker *w = arg;
	struct link *l = w->link;
	bool may_send = false;
	nsec_t until;
	nsec_t now;
	int got;

	if (w->number == 0)
		atomic_store_explicit(&l->is_sending, false, memory_order_release);
	while (!atomic_load_explicit(&l->stop, memory_order_relaxed)) {
		errands_do(&w->errands);
		if (w->number == 0)
			may_send = link_work_turn(l);
		else if (w->is_leading &&
			 atomic_load_explicit(&l->is_claimed, memory_order_relaxed))
			give_lead(w);
		got = 0;
		if (take_lead(w) && l->socket.fd >= 0 && (l->may_read || may_send))
			got = receive_some(w);
		now = clock_now();
		until = l->calls->batch_done(l->ctx, w, now);
		if (w->is_leading)
			until = nsec_min(until, sieve_lift(&l->sieve, l->socket.fd, now));
		if (!may_send && !got)
			wait_for_work(w, until, now);
	}
	/* The first may still be changing the socket. */
	if (w->is_leading)
		give_lead(w);
}

static int start(struct link_worker *w)
{
	char name[16];
	int r;

	if (w->number)
		snprintf(name, sizeof(name), "vt-link-%u.%u", w->link->number % 100,
			 w->number % 1000);
	else
		snprintf(name, sizeof(name), "vt-link-%u", w->link->number);
	r = thread_start(&w->thread, name, run, w);
	if (r == 0)
		errands_open(&w->errands);
	return r;
}

int link_start(struct link *l)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < l->n_workers; i++)
		r = start(&l->workers[i]);
	if (r < 0)
		link_stop(l);
	return r;
}

void link_stop(struct link *l)
{
	atomic_store(&l->stop, true);
	for (uint32_t i = 0; i < l->n_workers; i++)
		waker_wake(&l->workers[i].waker);
	for (uint32_t i = 0; i < l->n_workers; i++) {
		struct link_worker *w = &l->workers[i];

		if (!w->errands.is_served)
			continue;
		thread_join(&w->thread);
		errands_close(&w->errands);
	}
}

void link_send_errand(struct link_worker *w, errand_fn fn, void *arg)
{
	errands_send(&w->errands, &w->waker, fn, arg);
}
