/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "links/repair.h"

#include <string.h>

#include "links/fifo.h"

/* The same as the resequencer's: what was measured loses 1/32 with each tick. */
#define DECAY_SHIFT 5
#define PATIENCE_MAX 2

/* Asking is of use. */
static void believe(struct repair *r)
{
	r->trust = REPAIR_TRUST;
	r->pause = REPAIR_PAUSE_MIN;
}

void repair_init(struct repair *r)
{
	memset(r, 0, sizeof(*r));
	r->longest = REPAIR_WAIT_START;
	r->patience = 1;
	believe(r);
}

static struct repair_gap *gap_at(struct repair *r, unsigned at)
{
	return &r->gaps[at % REPAIR_GAPS];
}

/* A quarter more than it took, so that what is a little late is not asked for twice. */
static nsec_t wait_time(const struct repair *r)
{
	nsec_t took = nsec_max(r->longest, r->round_trip);
	nsec_t wait = took + took / 4 + 2 * NSEC_PER_MSEC;

	wait = nsec_max(wait, REPAIR_WAIT_MIN) * r->patience;
	return nsec_min(wait, REPAIR_WAIT_MAX);
}

bool repair_is_on(const struct repair *r, nsec_t now)
{
	return now >= r->paused_until;
}

bool repair_add(struct repair *r, uint64_t begin, uint64_t end, bool is_lost, nsec_t now)
{
	if (r->head - r->tail == REPAIR_GAPS)
		return false;
	*gap_at(r, r->head++) =
		(struct repair_gap){.begin = begin, .end = end, .since = now, .is_lost = is_lost};
	return true;
}

static void remove_gap(struct repair *r, unsigned at)
{
	for (; at != r->tail; at--)
		*gap_at(r, at) = *gap_at(r, at - 1);
	r->tail++;
}

/* Takes one position out of a gap; of two parts that are left, the later is the gap from now on. */
static void cut_gap(struct repair *r, unsigned at, uint64_t position)
{
	struct repair_gap *g = gap_at(r, at);
	struct repair_gap earlier = *g;

	earlier.end = position;
	g->begin = position + 1;
	if (g->begin == g->end) {
		*g = earlier;
		if (g->begin == g->end)
			remove_gap(r, at);
		return;
	}
	/* Without room for both parts, nobody waits for the earlier one any more. */
	if (earlier.begin == earlier.end || r->head - r->tail == REPAIR_GAPS)
		return;
	r->tail--;
	for (unsigned i = r->tail; i != at - 1; i++)
		*gap_at(r, i) = *gap_at(r, i + 1);
	*gap_at(r, at - 1) = earlier;
}

/*
 * Of what was asked for several times, nobody knows which one brought it: the wait is doubled until
 * something comes at the first time of asking (Karn's algorithm).
 */
static void learn(struct repair *r, const struct repair_gap *g, nsec_t now)
{
	believe(r);
	if (g->tries > 1) {
		r->patience = r->patience < PATIENCE_MAX ? 2 * r->patience : PATIENCE_MAX;
		return;
	}
	if (!r->has_measured)
		r->longest = 0;
	r->has_measured = true;
	r->longest = nsec_min(nsec_max(r->longest, now - g->asked), REPAIR_WAIT_MAX);
	r->patience = 1;
}

/*
 * Did asking bring it? Not sooner than after a round trip: then a path of which nothing had been
 * heard, and which the proof left out, brought the packet itself.
 */
static bool is_answer(const struct repair *r, const struct repair_gap *g, nsec_t now)
{
	return g->is_lost && g->tries && now - g->since >= r->round_trip;
}

bool repair_filled(struct repair *r, uint64_t position, nsec_t now)
{
	for (unsigned at = r->tail; at != r->head; at++) {
		const struct repair_gap *g = gap_at(r, at);

		if (position_is_before(position, g->begin))
			return false;
		if (!position_is_before(position, g->end))
			continue;
		if (g->tries) {
			r->filled = position;
			r->filled_at = now;
		}
		if (is_answer(r, g, now))
			learn(r, g, now);
		else if (g->tries && r->trust < REPAIR_TRUST)
			r->trust++; /* by itself or not: waiting was of use */
		cut_gap(r, at, position);
		return true;
	}
	return false;
}

bool repair_late(struct repair *r, uint64_t position, nsec_t now)
{
	for (unsigned i = 0; i < REPAIR_GIVEN_UP; i++) {
		const struct repair_gap *g = &r->given_up[i];

		if (!g->tries || position_is_before(position, g->begin) ||
		    !position_is_before(position, g->end))
			continue;
		believe(r);
		r->paused_until = now;
		r->longest = nsec_min(nsec_max(r->longest, now - g->since), REPAIR_WAIT_MAX);
		r->has_measured = true;
		return true;
	}
	return false;
}

/*
 * What is sent again comes in order, at the pace of the paths that are left: as long as it does,
 * it is no use to count how often the next of it was asked for.
 */
static nsec_t gap_deadline(const struct repair *r, const struct repair_gap *g)
{
	nsec_t deadline = g->since + REPAIR_TRIES * wait_time(r);

	if (r->filled_at && position_is_before(r->filled, g->begin))
		deadline = nsec_max(deadline, r->filled_at + wait_time(r));
	return deadline;
}

nsec_t repair_deadline(const struct repair *r, uint64_t position)
{
	nsec_t deadline = 0;

	for (unsigned at = r->tail; at != r->head; at++) {
		const struct repair_gap *g = &r->gaps[at % REPAIR_GAPS];

		if (!position_is_before(g->begin, position))
			break;
		deadline = nsec_max(deadline, gap_deadline(r, g));
	}
	return deadline;
}

void repair_give_up(struct repair *r, uint64_t position, nsec_t now)
{
	bool is_any = false;

	while (r->head != r->tail && position_is_before(gap_at(r, r->tail)->begin, position)) {
		const struct repair_gap *g = gap_at(r, r->tail++);

		is_any = true;
		if (g->is_lost && g->tries)
			r->given_up[r->n_given_up++ % REPAIR_GIVEN_UP] = *g;
		if (r->trust)
			r->trust--;
	}
	if (is_any && !r->trust) {
		r->paused_until = now + r->pause;
		r->pause = nsec_min(2 * r->pause, REPAIR_PAUSE_MAX);
		r->trust = 1; /* then a single one shows whether it is of any use */
	}
}

void repair_decay(struct repair *r)
{
	r->longest -= r->longest >> DECAY_SHIFT;
}

static nsec_t due_at(const struct repair *r, const struct repair_gap *g)
{
	if (!g->tries)
		return g->since;
	return g->tries < REPAIR_TRIES ? g->asked + wait_time(r) : NSEC_NEVER;
}

bool repair_may_ask(const struct repair *r, nsec_t now)
{
	return now >= r->next_ask;
}

const struct repair_gap *repair_next(struct repair *r, unsigned *at, nsec_t now)
{
	for (; r->tail + *at != r->head; (*at)++) {
		struct repair_gap *g = gap_at(r, r->tail + *at);

		if (due_at(r, g) > now)
			continue;
		g->asked = now;
		g->tries++;
		r->next_ask = now + REPAIR_INTERVAL;
		(*at)++;
		return g;
	}
	return NULL;
}

nsec_t repair_ask_at(const struct repair *r)
{
	nsec_t at = NSEC_NEVER;

	for (unsigned i = r->tail; i != r->head; i++)
		at = nsec_min(at, due_at(r, &r->gaps[i % REPAIR_GAPS]));
	return at == NSEC_NEVER ? at : nsec_max(at, r->next_ask);
}
