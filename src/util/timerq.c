/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "util/timerq.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void timerq_init(struct timerq *q)
{
	memset(q, 0, sizeof(*q));
}

void timerq_deinit(struct timerq *q)
{
	free(q->heap);
	timerq_init(q);
}

int timerq_reserve(struct timerq *q, size_t timers)
{
	struct timer **heap;

	if (timers < q->room)
		return 0;
	if (timers < q->room * 3 / 2)
		timers = q->room * 3 / 2;
	heap = realloc(q->heap, (timers + 1) * sizeof(struct timer *)); /* [0] stays unused */
	if (!heap)
		return -ENOMEM;
	q->heap = heap;
	q->room = timers + 1;
	return 0;
}

int timerq_add_room(struct timerq *q, size_t timers)
{
	int r = timerq_reserve(q, q->wanted + timers);

	if (r == 0)
		q->wanted += timers;
	return r;
}

void timerq_take_room(struct timerq *q, size_t timers)
{
	q->wanted -= timers;
}

static void place(struct timerq *q, struct timer *t, size_t position)
{
	q->heap[position] = t;
	t->position = position;
}

static void sift_up(struct timerq *q, struct timer *t, size_t position)
{
	while (position > 1 && q->heap[position / 2]->deadline > t->deadline) {
		place(q, q->heap[position / 2], position);
		position /= 2;
	}
	place(q, t, position);
}

static void sift_down(struct timerq *q, struct timer *t, size_t position)
{
	size_t child;

	while ((child = position * 2) <= q->used) {
		if (child < q->used && q->heap[child + 1]->deadline < q->heap[child]->deadline)
			child++;
		if (q->heap[child]->deadline >= t->deadline)
			break;
		place(q, q->heap[child], position);
		position = child;
	}
	place(q, t, position);
}

void timerq_disarm(struct timerq *q, struct timer *t)
{
	size_t position = t->position;
	struct timer *last;

	if (!position)
		return;
	t->position = 0;
	last = q->heap[q->used--];
	if (last == t)
		return;
	if (position > 1 && q->heap[position / 2]->deadline > last->deadline)
		sift_up(q, last, position);
	else
		sift_down(q, last, position);
}

void timerq_arm(struct timerq *q, struct timer *t, nsec_t deadline)
{
	timerq_disarm(q, t);
	assert(q->used + 1 < q->room);
	t->deadline = deadline;
	sift_up(q, t, ++q->used);
}

nsec_t timerq_next(const struct timerq *q)
{
	return q->used ? q->heap[1]->deadline : NSEC_NEVER;
}

nsec_t timerq_run(struct timerq *q, nsec_t now)
{
	/* At most one round: a handler that re-arms itself for the past must not spin. */
	for (size_t budget = q->used; budget && timerq_next(q) <= now; budget--) {
		struct timer *t = q->heap[1];

		timerq_disarm(q, t);
		t->fire(t, now);
	}
	return timerq_next(q);
}
