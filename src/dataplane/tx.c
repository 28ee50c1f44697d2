/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/tx.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "dataplane/network_state.h"
#include "dataplane/pack.h"
#include "dataplane/reader.h"
#include "util/quota.h"

/* Reads between two looks at the clock. */
#define READS_PER_ROUND 16
/* What one peer may have of the queue of frames, or the others' reports would find no room. */
#define PEERS_PART 2

struct posted_frame {
	struct bond *bond;
	struct frame frame;
	nsec_t at;
};

struct tx {
	struct network *network;
	_Atomic bool stop;
	_Atomic bool is_bulk;  /* what the link that received last carries */
	struct ring *frames;   /* for the first reader */
	uint32_t peers_frames; /* of each peer at the most */
	struct reader *readers;
	unsigned n_readers;
};

static int init_reader(struct tx *t, unsigned number)
{
	struct network *n = t->network;
	struct reader *r = &t->readers[number];

	r->network = n;
	r->tx = t;
	pthread_mutex_init(&r->turn, NULL);
	r->number = number;
	r->bell.fd = -1;
	r->read_bytes = n->cell_room - sizeof(*r->read) - PARCEL_SLACK;
	return waker_init(&r->waker);
}

int tx_new(struct tx **ret, struct network *n)
{
	struct tx *t = calloc(1, sizeof(*t));
	unsigned count = 1 + n->n_more_queues;
	int r;

	if (!t)
		return -ENOMEM;
	t->network = n;
	if (posix_memalign((void **)&t->readers, _Alignof(struct reader),
			   count * sizeof(*t->readers))) {
		free(t);
		return -ENOMEM;
	}
	memset(t->readers, 0, count * sizeof(*t->readers));
	t->peers_frames = n->settings->sizes.event_queue / 2 / PEERS_PART;
	r = ring_new(&t->frames, n->settings->sizes.event_queue / 2, sizeof(struct posted_frame));
	for (; r == 0 && t->n_readers < count; t->n_readers++)
		r = init_reader(t, t->n_readers);
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
	for (size_t i = 0; i < t->network->n_bonds; i++)
		forget(t->network->bonds[i]);
	for (unsigned i = 0; i < t->n_readers; i++) {
		struct reader *r = &t->readers[i];

		filling_drop(&r->open);
		if (r->read)
			pool_give(t->network->bursts, r->read);
		bell_deinit(&r->bell);
		waker_deinit(&r->waker);
		pthread_mutex_destroy(&r->turn);
	}
	free(t->readers);
	ring_free(t->frames);
	free(t);
}

void tx_kick(struct tx *t)
{
	for (unsigned i = 0; i < t->n_readers; i++) {
		struct reader *r = &t->readers[i];

		atomic_store_explicit(&r->has_kick, true, memory_order_release);
		waker_wake(&r->waker);
	}
}

void tx_wake_held_up(struct tx *t)
{
	atomic_thread_fence(memory_order_seq_cst);
	for (unsigned i = 0; i < t->n_readers; i++) {
		struct reader *r = &t->readers[i];

		if (atomic_load_explicit(&r->is_held_up, memory_order_relaxed))
			waker_wake(&r->waker);
	}
}

/* Does anybody wait for room on a path? */
static bool is_any_waiting(const struct tx *t)
{
	for (unsigned i = 0; i < t->n_readers; i++) {
		if (atomic_load_explicit(&t->readers[i].is_waiting, memory_order_relaxed))
			return true;
	}
	return false;
}

bool tx_post_frame(struct tx *t, struct bond *bond, const struct frame *frame, nsec_t at)
{
	const struct posted_frame p = {bond, *frame, at};

	if (!quota_push(&bond->frames_queued, t->peers_frames, t->frames, &p))
		return false;
	/* Others do not look here before they send: without its reports a path looks silent. */
	if (frame->type == FRAME_REPAIR || t->n_readers > 1 || is_any_waiting(t))
		waker_wake(&t->readers[0].waker);
	return true;
}

static void take_frame_rcu(struct reader *r, struct outlet *o, const struct posted_frame *p)
{
	bool is_wanted = false;

	share_lock_rcu(o, r);
	if (p->frame.type == FRAME_REPORT)
		spread_report_rcu(o->spread, rcu_read(&p->bond->paths), &p->frame.report, p->at);
	else
		is_wanted = spread_want(o->spread, &p->frame.repair);
	share_unlock_rcu(o, r);
	/* It may be what another reader's burst waits for, which is for whoever is awake. */
	if (is_wanted || (o->share && share_is_backed_up(o->share)))
		reader_make_busy(r, o);
}

/* The first reader. */
static void take_frames(struct tx *t)
{
	struct posted_frame p;
	struct outlet *o;

	if (!ring_used(t->frames))
		return;
	rcu_begin();
	while (ring_pop(t->frames, &p)) {
		quota_give(&p.bond->frames_queued);
		o = atomic_load_explicit(&p.bond->outlet, memory_order_acquire);
		if (o) /* else it is told of what we never sent */
			take_frame_rcu(&t->readers[0], o, &p);
	}
	rcu_end();
}

/* In an errand: the reader lets go of what has to do with bonds that are removed. */
static void let_go(void *arg)
{
	struct reader *r = arg;
	struct outlet **at = &r->busy;
	struct outlet *o;

	if (r->number == 0)
		take_frames(r->tx); /* after this nobody posts any of these */
	if (r->open.burst && r->open.burst->bond->is_removed)
		filling_drop(&r->open);
	r->last = NULL;
	while ((o = *at)) {
		if (o->bond->is_removed)
			*at = o->places[r->number].next_busy;
		else
			at = &o->places[r->number].next_busy;
	}
}

/*
 * After its errand a reader has none of their bursts in its hands, and gets no more; what it left
 * for others to pass on, these have passed on when they have run theirs.
 */
void tx_remove_bonds(struct tx *t, struct bond **bonds, size_t n)
{
	for (unsigned i = 0; i < t->n_readers; i++) {
		struct reader *r = &t->readers[i];

		errands_send(&r->errands, &r->waker, let_go, r);
	}
	for (size_t i = 0; i < n; i++)
		forget(bonds[i]);
}

/* Asked when it is known to be asleep. */
static bool has_work(struct reader *r, bool was_held_up)
{
	struct tx *t = r->tx;

	if (atomic_load(&t->stop) || atomic_load(&r->has_kick) || errands_wait(&r->errands))
		return true;
	if (was_held_up && !reader_is_held_up(r))
		return true;
	return r->number == 0 && ring_used(t->frames) && is_any_waiting(t);
}

/* Without its turn. */
static void sleep_until_work(struct reader *r, struct pollfd *fds)
{
	nsec_t left = nsec_max(reader_next_retry(r) - r->now, 0);
	struct timespec timeout = {.tv_sec = left / NSEC_PER_SEC, .tv_nsec = left % NSEC_PER_SEC};
	bool has_timeout = r->busy;

	pthread_mutex_unlock(&r->turn);
	ppoll(fds, 2, has_timeout ? &timeout : NULL, NULL);
	pthread_mutex_lock(&r->turn);
}

/* Unless there are packets about that are not to wait long. */
static void choose_patience(struct reader *r)
{
	bool is_bulk = atomic_load_explicit(&r->tx->is_bulk, memory_order_relaxed);

	thread_set_patient(&r->patience, is_bulk && r->now - r->small_at >= SPREAD_SMALL_MEMORY);
}

static void wait_for_work(struct reader *r)
{
	bool was_held_up = reader_is_held_up(r);
	bool is_reading = !was_held_up && !atomic_load(&r->network->has_failed);
	struct pollfd fds[2] = {
		{.fd = r->waker.fd, .events = POLLIN},
		{.fd = is_reading ? r->bell.fd : -1, .events = POLLIN},
	};

	choose_patience(r);
	atomic_store_explicit(&r->is_waiting, r->busy != NULL, memory_order_relaxed);
	atomic_store_explicit(&r->is_held_up, was_held_up, memory_order_relaxed);
	waker_sleep(&r->waker);
	if (!has_work(r, was_held_up))
		sleep_until_work(r, fds);
	waker_awake(&r->waker);
}

/* Until the clock is to be looked at again. Returns as reader_read() does. */
static int read_some(struct reader *r)
{
	int got = 1;

	for (int i = 0; i < READS_PER_ROUND && got > 0 && !reader_is_held_up(r); i++)
		got = reader_read(r);
	return got;
}

/* Before we sleep: what finds no room when it is closed gets a second look. */
static void close_open(struct reader *r)
{
	do {
		pack_close(r);
		reader_progress(r);
	} while (r->open.burst);
}

static void run(void *arg)
{
	struct reader *r = arg;
	struct tx *t = r->tx;
	int got;

	/* Pacing wants to wake up in time. */
	prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
	pthread_mutex_lock(&r->turn);
	while (!atomic_load_explicit(&t->stop, memory_order_relaxed)) {
		r->now = clock_now();
		errands_do(&r->errands);
		if (r->number == 0)
			take_frames(t);
		/* The kick itself says nothing: all that waits is looked at in any case. */
		atomic_store_explicit(&r->has_kick, false, memory_order_relaxed);
		atomic_thread_fence(memory_order_seq_cst);
		reader_progress(r);
		got = read_some(r);
		if (got == 1 && !reader_is_held_up(r))
			continue;
		close_open(r);
		if (got < 0)
			network_fail(r->network, "the tunnel interface has vanished");
		wait_for_work(r);
	}
	pthread_mutex_unlock(&r->turn);
}

void tx_note_bulk(struct tx *t, bool is_bulk)
{
	if (atomic_load_explicit(&t->is_bulk, memory_order_relaxed) != is_bulk)
		atomic_store_explicit(&t->is_bulk, is_bulk, memory_order_relaxed);
}

bool tx_expect_answer(struct tx *t)
{
	struct reader *r = &t->readers[0];

	/* Of several queues nobody knows which one it comes out of. */
	if (t->n_readers > 1 || !waker_is_asleep(&r->waker) || pthread_mutex_trylock(&r->turn))
		return false;
	if (r->busy) {
		pthread_mutex_unlock(&r->turn);
		return false;
	}
	bell_mute(&r->bell);
	return true;
}

void tx_read_answer(struct tx *t)
{
	struct reader *r = &t->readers[0];

	r->now = clock_now();
	reader_read(r);
	pack_close(r);
	if (r->busy)
		waker_wake(&r->waker);
	bell_unmute(&r->bell);
	pthread_mutex_unlock(&r->turn);
}

static int start(struct reader *r)
{
	char name[16] = "vt-tun";
	int result;

	if (r->number)
		snprintf(name, sizeof(name), "vt-tun.%u", r->number % 1000);
	r->fd = network_queue(r->network, r->number);
	r->read = pool_take(r->network->bursts);
	result = r->read ? bell_init(&r->bell, r->fd) : -ENOMEM;
	if (result == 0)
		result = thread_start(&r->thread, name, run, r);
	if (result == 0)
		errands_open(&r->errands);
	return result;
}

int tx_start(struct tx *t)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < t->n_readers; i++)
		r = start(&t->readers[i]);
	if (r < 0)
		tx_stop(t);
	return r;
}

void tx_stop(struct tx *t)
{
	atomic_store(&t->stop, true);
	for (unsigned i = 0; i < t->n_readers; i++)
		waker_wake(&t->readers[i].waker);
	for (unsigned i = 0; i < t->n_readers; i++) {
		struct reader *r = &t->readers[i];

		if (!r->errands.is_served)
			continue;
		thread_join(&r->thread);
		errands_close(&r->errands);
	}
}

unsigned tx_n_queues(const struct tx *t)
{
	return t->n_readers;
}

void tx_queue_status(const struct tx *t, unsigned queue, struct queue_status *ret)
{
	const struct reader *r = &t->readers[queue];

	ret->packets = atomic_load_explicit(&r->packets, memory_order_relaxed);
	ret->bytes = atomic_load_explicit(&r->bytes, memory_order_relaxed);
	ret->waits = atomic_load_explicit(&r->waits, memory_order_relaxed);
}
