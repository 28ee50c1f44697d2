/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * With a single peer whose queues are full, nothing is read, so that the sender is held up;
 * with several, that one's packets are dropped, so that the others are not.
 */
#include "dataplane/tx.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "dataplane/network_state.h"
#include "dataplane/pack.h"
#include "dataplane/reader.h"
#include "wire/inner.h"

/* Packets that wait for a session longer than this are of no use to anybody. */
#define SESSION_WAIT_MAX (10 * NSEC_PER_SEC)
/* Reads between two looks at the clock. */
#define READS_PER_ROUND 16

struct posted_frame {
	struct bond *bond;
	struct frame frame;
	nsec_t at;
};

struct tx {
	struct network *network;
	struct thread thread;
	struct waker waker;
	struct errands errands;
	_Atomic bool stop;
	_Atomic bool has_kick;
	_Atomic bool is_waiting; /* a report may be what we wait for */
	struct ring *frames;
	struct reader reader;
};

int tx_new(struct tx **ret, struct network *n)
{
	struct tx *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->network = t->reader.network = n;
	t->waker.fd = -1;
	r = ring_new(&t->frames, n->settings->sizes.event_queue / 2, sizeof(struct posted_frame));
	if (r == 0)
		r = waker_init(&t->waker);
	if (r < 0) {
		tx_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

/* Gives back what the way out keeps for a bond. */
static void forget(struct bond *bond)
{
	outlet_free(bond->outlet);
	bond->outlet = NULL;
}

void tx_free(struct tx *t)
{
	if (!t)
		return;
	filling_drop(&t->reader.open);
	for (size_t i = 0; i < t->network->n_bonds; i++)
		forget(t->network->bonds[i]);
	if (t->reader.read)
		pool_give(t->network->bursts, t->reader.read);
	waker_deinit(&t->waker);
	ring_free(t->frames);
	free(t);
}

void tx_kick(struct tx *t)
{
	atomic_store_explicit(&t->has_kick, true, memory_order_release);
	waker_wake(&t->waker);
}

bool tx_post_frame(struct tx *t, struct bond *bond, const struct frame *frame, nsec_t at)
{
	const struct posted_frame p = {bond, *frame, at};

	if (!ring_push(t->frames, &p))
		return false;
	if (frame->type == FRAME_REPAIR ||
	    atomic_load_explicit(&t->is_waiting, memory_order_relaxed))
		waker_wake(&t->waker);
	return true;
}

static void take_frames(struct tx *t)
{
	struct posted_frame p;

	if (!ring_used(t->frames))
		return;
	rcu_begin();
	while (ring_pop(t->frames, &p)) {
		struct outlet *o = p.bond->outlet;

		if (!o)
			continue; /* it is told of what we never sent */
		if (p.frame.type == FRAME_REPORT)
			spread_report_rcu(o->spread, rcu_read(&p.bond->paths), &p.frame.report,
					  p.at);
		else if (spread_want(o->spread, &p.frame.repair))
			reader_make_busy(&t->reader, o);
	}
	rcu_end();
}

void tx_remove_bonds(struct tx *t, struct bond **bonds, size_t n)
{
	struct outlet **at = &t->reader.busy;
	struct outlet *o;

	take_frames(t); /* after this nobody posts any of these */
	if (t->reader.open.burst && t->reader.open.burst->bond->is_removed)
		filling_drop(&t->reader.open);
	while ((o = *at)) {
		if (o->bond->is_removed)
			*at = o->next_busy;
		else
			at = &o->next_busy;
	}
	for (size_t i = 0; i < n; i++)
		forget(bonds[i]);
}

static struct bond *route(struct reader *r, const uint8_t *packet, size_t len)
{
	struct inner inner;
	struct bond *bond;

	if (inner_parse(&inner, packet, len) < 0) {
		drops_add(&r->network->drops, DROP_tx_malformed, 1);
		return NULL;
	}
	rcu_begin();
	bond = allowedips_find(rcu_read(&r->network->allowed_ips), inner.family, inner.destination);
	rcu_end();
	if (!bond)
		drops_add(&r->network->drops, DROP_tx_no_peer, 1);
	return bond;
}

/* Sends what was read, as far as nothing waits before it. */
static void send_read(struct reader *r, struct outlet *o)
{
	struct peer *peer = &o->bond->peer;
	struct split *s = &r->read->split;
	struct keypair *k;
	uint8_t *packet;
	size_t len;

	rcu_begin();
	k = peer_send_session_rcu(peer, r->now);
	while (k && outlet_is_clear(o) && (packet = split_next(s, &len)))
		pack_add_rcu(r, o, k, packet, len);
	rcu_end();
	if (!k)
		peer_poke(peer, POKE_HANDSHAKE);
	if (split_bytes_left(s))
		outlet_enqueue(o, r);
}

/* It comes with the first packet to the peer; NULL without memory. */
static struct outlet *outlet_of(struct bond *bond)
{
	struct outlet *o = atomic_load_explicit(&bond->outlet, memory_order_relaxed);

	if (o || outlet_new(&o, bond) < 0)
		return o;
	/* release: status reads through it */
	atomic_store_explicit(&bond->outlet, o, memory_order_release);
	return o;
}

static void take_read(struct reader *r, const struct virtio_net_hdr *header, size_t len)
{
	struct bond *bond = route(r, r->read->data, len);
	struct outlet *o;

	if (!bond)
		return;
	o = outlet_of(bond);
	if (!o) {
		drops_add(&r->network->drops, DROP_tx_no_buffer, 1);
		return;
	}
	if (len <= SPARSE_BYTES)
		o->spread->small_at = r->now;
	if (split_begin(&r->read->split, header, r->read->data, len) < 0)
		drops_add(&r->network->drops, DROP_tx_malformed, 1);
	else
		send_read(r, o);
}

/* Sends what waits, as far as there is room. */
static void progress(struct reader *r, struct outlet *o)
{
	struct flowq_stats stats;
	struct keypair *k;
	uint8_t *packet;
	size_t len;

	if (!outlet_send_again(o, r) || !outlet_send_waiting(o, r) || flowq_is_empty(o->queue))
		return;
	outlet_tune_queue(o, r);
	rcu_begin();
	k = peer_send_session_rcu(&o->bond->peer, r->now);
	while (k && outlet_send_waiting(o, r) && (packet = flowq_pop(o->queue, r->now, &len))) {
		pack_add_rcu(r, o, k, packet, len);
		/* The receiver joins best what comes in one burst. */
		if (flowq_is_turn_over(o->queue))
			pack_close(r);
	}
	rcu_end();
	if (!k)
		flowq_expire(o->queue, r->now, SESSION_WAIT_MAX);
	stats = flowq_take_stats(o->queue);
	if (stats.dropped)
		drops_add(&r->network->drops, DROP_tx_queue, stats.dropped);
}

static void progress_all(struct reader *r)
{
	struct outlet *o = r->busy;
	struct outlet *next;

	r->busy = NULL;
	for (; o; o = next) {
		next = o->next_busy;
		o->is_busy = false;
		progress(r, o);
		if (outlet_is_waiting(o) || spread_deadline(o->spread, r->now) != NSEC_NEVER)
			reader_make_busy(r, o);
	}
}

/* Would reading more only fill the queues of our one peer further? */
static bool is_held_up(const struct reader *r)
{
	return r->busy && r->network->n_bonds == 1 && outlet_is_waiting(r->busy) &&
	       outlet_is_full(r->busy, r);
}

/* 1: read something; 0: nothing there; -errno: the interface is gone. */
static int read_tun(struct reader *r)
{
	struct virtio_net_hdr header = {0};
	size_t header_len = r->network->tun.has_header ? sizeof(header) : 0;
	struct iovec iov[2] = {{&header, header_len}, {r->read->data, r->read_bytes}};
	ssize_t n = readv(r->network->tun.fd, iov, 2);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if ((size_t)n <= header_len) {
		drops_add(&r->network->drops, DROP_tx_malformed, 1);
		return 1;
	}
	take_read(r, &header, (size_t)n - header_len);
	return 1;
}

/* When the first of the busy bonds is to be looked at again. */
static nsec_t next_retry(const struct reader *r)
{
	nsec_t at = NSEC_NEVER;

	for (const struct outlet *o = r->busy; o; o = o->next_busy) {
		at = nsec_min(at, spread_deadline(o->spread, r->now));
		if (o->waiting || o->is_resending)
			at = nsec_min(at, nsec_min(o->retry_at, r->now + OUTLET_WAITING_MAX));
		else
			at = nsec_min(at, r->now + NSEC_PER_SEC); /* for a session; tx_kick() */
	}
	return at;
}

static void wait_for_work(struct tx *t)
{
	struct reader *r = &t->reader;
	bool is_reading = !is_held_up(r) && !atomic_load(&t->network->has_failed);
	struct pollfd fds[2] = {
		{.fd = t->waker.fd, .events = POLLIN},
		{.fd = is_reading ? t->network->tun.fd : -1, .events = POLLIN},
	};
	nsec_t left = nsec_max(next_retry(r) - r->now, 0);
	struct timespec timeout = {.tv_sec = left / NSEC_PER_SEC, .tv_nsec = left % NSEC_PER_SEC};

	atomic_store_explicit(&t->is_waiting, r->busy != NULL, memory_order_relaxed);
	waker_sleep(&t->waker);
	if (!atomic_load(&t->stop) && !atomic_load(&t->has_kick) && !errands_wait(&t->errands) &&
	    !(r->busy && ring_used(t->frames)))
		ppoll(fds, 2, r->busy ? &timeout : NULL, NULL);
	waker_awake(&t->waker);
	/* A vanished interface shows as an error condition that never goes away. */
	if (fds[1].revents & (POLLERR | POLLHUP | POLLNVAL))
		network_fail(t->network, "the tunnel interface has vanished");
}

static void run(void *arg)
{
	struct tx *t = arg;
	struct reader *r = &t->reader;
	int got;

	/* Pacing wants to wake up in time. */
	prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
	while (!atomic_load_explicit(&t->stop, memory_order_relaxed)) {
		r->now = clock_now();
		errands_do(&t->errands);
		take_frames(t);
		/* The kick itself says nothing: all that waits is looked at in any case. */
		atomic_store_explicit(&t->has_kick, false, memory_order_relaxed);
		atomic_thread_fence(memory_order_seq_cst);
		progress_all(r);
		got = 1;
		for (int i = 0; i < READS_PER_ROUND && got > 0 && !is_held_up(r); i++)
			got = read_tun(r);
		if (got == 1 && !is_held_up(r))
			continue;
		/* What found no room on closing gets its second look before we sleep. */
		do {
			pack_close(r);
			progress_all(r);
		} while (r->open.burst);
		if (got < 0)
			network_fail(t->network, "the tunnel interface has vanished");
		wait_for_work(t);
	}
}

int tx_start(struct tx *t)
{
	const struct network *n = t->network;
	struct reader *reader = &t->reader;
	int r;

	reader->read = pool_take(n->bursts);
	reader->read_bytes = n->cell_room - sizeof(*reader->read) - PARCEL_SLACK;
	r = reader->read ? thread_start(&t->thread, "vt-tun", run, t) : -ENOMEM;
	if (r == 0)
		errands_open(&t->errands);
	return r;
}

void tx_stop(struct tx *t)
{
	atomic_store(&t->stop, true);
	waker_wake(&t->waker);
	thread_join(&t->thread);
	errands_close(&t->errands);
}

void tx_visit(struct tx *t, errand_fn visit, void *arg)
{
	errands_send(&t->errands, &t->waker, visit, arg);
}
