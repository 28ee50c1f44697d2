/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A binary heap by arrival; packets of one time stay in the order in which they came.
 */
#include "delay.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

struct travelling {
	nsec_t arrival;
	uint64_t turn;
	void *packet;
};

struct delay {
	nsec_t newest_arrival; /* of those not held back */
	nsec_t jitter_from;    /* the jitter runs from one value to the next in that time */
	nsec_t jitter_to;
	nsec_t jitter_values[2];
	uint64_t turns;
	size_t used;
	size_t room;
	struct travelling heap[]; /* [0] stays unused */
};

int delay_new(struct delay **ret, size_t packets)
{
	struct delay *d = malloc(sizeof(*d) + (packets + 1) * sizeof(d->heap[0]));

	if (!d)
		return -ENOMEM;
	*d = (struct delay){.room = packets};
	*ret = d;
	return 0;
}

void delay_free(struct delay *d)
{
	free(d);
}

static nsec_t draw_jitter(const struct settings *s, struct chance *chance)
{
	return (nsec_t)(chance_unit(chance) * (double)s->jitter);
}

/* A line of slope -1..1, because it takes `jitter` to change by at most that much. */
static nsec_t jitter_at(struct delay *d, nsec_t time, const struct settings *s,
			struct chance *chance)
{
	double part;

	if (time >= d->jitter_to) {
		bool is_continued = time < d->jitter_to + s->jitter;

		d->jitter_from = is_continued ? d->jitter_to : time;
		d->jitter_to = d->jitter_from + s->jitter;
		d->jitter_values[0] = is_continued ? d->jitter_values[1] : draw_jitter(s, chance);
		d->jitter_values[1] = draw_jitter(s, chance);
	}
	part = (double)(time - d->jitter_from) / (double)(d->jitter_to - d->jitter_from);
	return d->jitter_values[0] +
	       (nsec_t)(part * (double)(d->jitter_values[1] - d->jitter_values[0]));
}

static bool is_earlier(const struct travelling *a, const struct travelling *b)
{
	return a->arrival != b->arrival ? a->arrival < b->arrival : a->turn < b->turn;
}

static void heap_insert(struct delay *d, struct travelling t)
{
	size_t i;

	for (i = ++d->used; i > 1 && is_earlier(&t, &d->heap[i / 2]); i /= 2)
		d->heap[i] = d->heap[i / 2];
	d->heap[i] = t;
}

static void heap_remove_first(struct delay *d)
{
	struct travelling last = d->heap[d->used--];
	size_t i = 1;

	for (size_t child; (child = i * 2) <= d->used; i = child) {
		if (child < d->used && is_earlier(&d->heap[child + 1], &d->heap[child]))
			child++;
		if (!is_earlier(&d->heap[child], &last))
			break;
		d->heap[i] = d->heap[child];
	}
	d->heap[i] = last;
}

bool delay_push(struct delay *d, nsec_t start, void *packet, const struct settings *s,
		struct chance *chance, bool *ret_held)
{
	nsec_t arrival = start + s->delay;

	if (d->used == d->room)
		return false;
	*ret_held = chance_hits(chance, s->reorder);
	if (s->jitter && s->jitter_reorders)
		arrival += draw_jitter(s, chance);
	else if (s->jitter)
		arrival += jitter_at(d, start, s, chance);
	if (!s->jitter_reorders)
		arrival = nsec_max(arrival, d->newest_arrival);
	if (*ret_held)
		arrival += s->reorder_by;
	else
		d->newest_arrival = nsec_max(arrival, d->newest_arrival);
	heap_insert(d, (struct travelling){arrival, d->turns++, packet});
	return true;
}

void *delay_pop(struct delay *d, nsec_t now)
{
	void *packet;

	if (d->used == 0 || d->heap[1].arrival > now)
		return NULL;
	packet = d->heap[1].packet;
	heap_remove_first(d);
	return packet;
}

nsec_t delay_next(const struct delay *d)
{
	return d->used ? d->heap[1].arrival : NSEC_NEVER;
}

size_t delay_used(const struct delay *d)
{
	return d->used;
}
