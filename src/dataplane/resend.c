/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/resend.h"

#include <string.h>

#include "wire/frame.h"
#include "wire/wg.h"

static void count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

void resend_init(struct resend *r, struct pool *cells)
{
	memset(r, 0, sizeof(*r));
	store_init(&r->store, cells);
	r->credit = RESEND_CREDIT_MAX;
}

void resend_deinit(struct resend *r)
{
	store_deinit(&r->store);
}

static struct resend_place last_of(struct burst *b)
{
	struct wg_data header;

	memcpy(&header, burst_datagram(b, b->n - 1), sizeof(header));
	return (struct resend_place){le32_get(header.receiver_index), le64_get(header.counter)};
}

void resend_keep(struct resend *r, const struct path *p, struct burst *b, nsec_t now)
{
	uint32_t epoch = path_epoch(p);

	if (r->paths[p->slot].epoch != epoch) {
		r->paths[p->slot].epoch = epoch;
		r->paths[p->slot].has_done = false;
	}
	r->paths[p->slot].kept = last_of(b);
	r->outstanding |= 1U << p->slot;
	r->credit += b->len / RESEND_SHARE;
	if (r->credit > RESEND_CREDIT_MAX)
		r->credit = RESEND_CREDIT_MAX;
	store_add(&r->store, epoch, b, now);
}

static bool has_reached(struct resend_place place, struct resend_place goal)
{
	return place.session == goal.session && place.counter >= goal.counter;
}

static void advance(struct resend *r, uint8_t slot, struct resend_place place)
{
	/* Within a session, only forward: a report may be older than what was sent again since. */
	if (!r->paths[slot].has_done || !has_reached(r->paths[slot].done, place))
		r->paths[slot].done = place;
	r->paths[slot].has_done = true;
	if (has_reached(r->paths[slot].done, r->paths[slot].kept))
		r->outstanding &= ~(1U << slot);
}

void resend_reported(struct resend *r, const struct path *p, uint32_t session, uint64_t counter)
{
	if (r->paths[p->slot].epoch == path_epoch(p))
		advance(r, p->slot, (struct resend_place){session, counter});
}

bool resend_want(struct resend *r, uint32_t session, uint64_t first, uint32_t n)
{
	if (r->head - r->tail == RESEND_WANTED || first + n < first) {
		count(&r->refused, n);
		return false;
	}
	r->wanted[r->head % RESEND_WANTED].session = session;
	r->wanted[r->head % RESEND_WANTED].next = first;
	r->wanted[r->head % RESEND_WANTED].end = first + n;
	r->head++;
	return true;
}

/* The first kept run with something of counters [next, end), cut to it. */
static bool find_wanted(const struct resend *r, uint32_t session, uint64_t next, uint64_t end,
			struct store_run *ret)
{
	if (!store_find(&r->store, session, next, end, ret))
		return false;
	if (ret->first < next)
		store_run_skip(ret, next - ret->first);
	if (ret->first + ret->n > end)
		store_run_cut(ret, end - ret->first);
	return true;
}

static void refuse(struct resend *r, uint32_t session, uint64_t first, uint64_t n)
{
	if (!n)
		return;
	count(&r->refused, n);
	if (r->n_gone < RESEND_WANTED)
		r->gone[r->n_gone++] = (struct resend_gone){session, first, (uint32_t)n};
}

size_t resend_write_gone(struct resend *r, uint32_t session, uint8_t *buf, size_t size)
{
	struct frame f = {.type = FRAME_APART};
	size_t len = 0;

	for (; r->n_gone; r->n_gone--) {
		const struct resend_gone *gone = &r->gone[r->n_gone - 1];
		int n;

		if (gone->session != session)
			continue;
		f.apart.counter = gone->first;
		f.apart.n = gone->n;
		n = frame_write(&f, buf + len, size - len);
		if (n < 0)
			break;
		len += (size_t)n;
	}
	return len;
}

/*
 * Is it, or its end, which is then cut off, what a dead path took along, and yet to be sent again?
 */
static bool is_in_turn(const struct resend *r, uint32_t dead, struct store_run *run)
{
	for (uint8_t slot = 0; slot < PATHS_MAX; slot++) {
		struct resend_place done = r->paths[slot].done;

		if (!(r->outstanding & dead & 1U << slot) || r->paths[slot].epoch != run->epoch)
			continue;
		if (!r->paths[slot].has_done)
			return true;
		if (done.session != run->session)
			return false;
		if (run->first > done.counter)
			return true;
		if (run->first + run->n > done.counter + 1)
			store_run_cut(run, done.counter + 1 - run->first);
		return false;
	}
	return false;
}

/*
 * Has it been sent again over a path that works, so that it may be on its way still at `time` (0:
 * at all)? If only its end was, that is cut off.
 */
static bool was_sent_again(struct store_run *run, uint32_t dead, nsec_t time)
{
	const struct store_again *a = run->again;

	if (a->slots & dead || time >= a->until || a->end <= run->first ||
	    run->first + run->n <= a->first)
		return false;
	if (run->first < a->first) {
		store_run_cut(run, a->first - run->first);
		return false;
	}
	store_run_cut(run, a->end - run->first);
	return true;
}

/*
 * What the peer has asked for; what cannot be had any more, or is too much, is refused. What is
 * sent again anyway is passed over: it was asked for when nothing came, and would be sent twice.
 * So is what has been: on a slow path that is left, copies of it would hold up all the rest.
 */
static bool next_wanted(struct resend *r, uint32_t dead, nsec_t now, struct store_run *ret)
{
	for (; r->head != r->tail; r->tail++) {
		uint32_t session = r->wanted[r->tail % RESEND_WANTED].session;
		uint64_t *next = &r->wanted[r->tail % RESEND_WANTED].next;
		uint64_t end = r->wanted[r->tail % RESEND_WANTED].end;

		while (*next != end && find_wanted(r, session, *next, end, ret) &&
		       ret->stride <= r->credit) {
			refuse(r, session, *next, ret->first - *next);
			*next = ret->first;
			if (!is_in_turn(r, dead, ret) && !was_sent_again(ret, dead, now))
				return true;
			*next += ret->n;
		}
		refuse(r, session, *next, end - *next);
	}
	return false;
}

/*
 * The first run given to the path, from there on, that is neither reported nor sent again. Has
 * something been met that is?
 */
static bool next_from(const struct resend *r, uint8_t slot, struct store_cursor at,
		      struct store_run *ret, bool *ret_met)
{
	struct resend_place done = r->paths[slot].done;
	struct store_run run;
	bool has_run = false;

	*ret_met = false;
	while (store_next(&r->store, &at, &run)) {
		if (run.epoch != r->paths[slot].epoch)
			continue;
		if (r->paths[slot].has_done && run.session == done.session &&
		    run.first <= done.counter) {
			/* All before this one is done, and of this one the beginning. */
			*ret_met = true;
			has_run = run.first + run.n > done.counter + 1;
			if (has_run)
				store_run_skip(&run, done.counter + 1 - run.first);
			*ret = run;
		} else if (!has_run) {
			*ret = run;
			has_run = true;
		}
	}
	return has_run;
}

/* Mostly what is done lies where its counter says; else it may lie before that. */
static bool next_of_path(const struct resend *r, uint8_t slot, struct store_run *ret)
{
	struct store_cursor at;
	bool has_met, has_run;

	store_seek(&r->store, r->paths[slot].done.counter, &at);
	has_run = next_from(r, slot, at, ret, &has_met);
	return has_met ? has_run : next_from(r, slot, (struct store_cursor){0}, ret, &has_met);
}

static struct resend_place end_of(const struct store_run *run)
{
	return (struct resend_place){run->session, run->first + run->n - 1};
}

bool resend_next(struct resend *r, uint32_t dead, nsec_t now, struct resend_item *ret)
{
	ret->slot = PATH_SLOT_NONE;
	if (next_wanted(r, dead, now, &ret->run))
		return true;
	for (uint8_t slot = 0; slot < PATHS_MAX; slot++) {
		if (!(r->outstanding & dead & 1U << slot))
			continue;
		ret->slot = slot;
		while (next_of_path(r, slot, &ret->run)) {
			if (!was_sent_again(&ret->run, dead, 0))
				return true;
			/* It was asked for before the path was known to be dead. */
			advance(r, slot, end_of(&ret->run));
		}
		r->outstanding &= ~(1U << slot); /* too old to be kept still */
	}
	return false;
}

/* What touches is remembered as one. */
static void note_again(struct store_again *a, struct store_again next)
{
	if (a->until && next.first <= a->end && a->first <= next.end) {
		next.first = a->first < next.first ? a->first : next.first;
		next.end = a->end > next.end ? a->end : next.end;
		next.until = nsec_max(a->until, next.until);
		next.slots |= a->slots;
	}
	*a = next;
}

void resend_done(struct resend *r, const struct resend_item *item, uint32_t n, uint64_t bytes,
		 uint8_t slot, nsec_t until)
{
	uint64_t first = item->run.first;

	note_again(item->run.again, (struct store_again){first, first + n, until, 1U << slot});
	count(&r->packets, n);
	count(&r->bytes, bytes);
	if (item->slot != PATH_SLOT_NONE) {
		advance(r, item->slot, (struct resend_place){item->run.session, first + n - 1});
		return;
	}
	r->wanted[r->tail % RESEND_WANTED].next = first + n;
	r->credit -= bytes < r->credit ? bytes : r->credit;
}
