/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "links/delays.h"

#include "util/number.h"

/* While nothing is known of the round trip. */
#define ROUND_TRIP_START (100 * NSEC_PER_MSEC)
#define ROUND_TRIP_SPAN (10 * NSEC_PER_SEC)
#define BASE_SPAN (20 * NSEC_PER_SEC)
#define STANDING_SPAN_MIN (20 * NSEC_PER_MSEC)
/* Five times the standing queue's span. */
#define SETTLED_SPANS 5
/* The jitter's weight of one report; how far it may go; how much of it a queue may show. */
#define JITTER_WEIGHT (1.0 / 64)
#define JITTER_GROWTH 3
#define JITTER_PEAKS 4
/* A queue that is long for some time. */
#define SETTLED_QUEUES 3
/* What has stayed although we gave way is not ours; up to so much it is put up with. */
#define TOLERATED_MAX (25 * NSEC_PER_MSEC)
/*
 * A delay that grows by so much from one report to the next, without a pause in sending, and stays
 * when we give way, is no queue of others, which grows more slowly: the path has become longer.
 */
#define JUMP_MIN (20 * NSEC_PER_MSEC)
#define JUMP_PAUSE (20 * NSEC_PER_MSEC)
#define JUMP_DOUBT_STEPS 3
/* It may be so long before it is taken for a queue. */
#define JUMP_MEMORY (500 * NSEC_PER_MSEC)

static struct span_min span_min_of(nsec_t value, nsec_t now)
{
	return (struct span_min){value, NSEC_NEVER, now};
}

static nsec_t min_get(const struct span_min *m)
{
	return nsec_min(m->now, m->before);
}

static void min_add(struct span_min *m, nsec_t value, nsec_t span, nsec_t now)
{
	if (now - m->since > span) {
		m->before = now - m->since > 2 * span ? NSEC_NEVER : m->now;
		m->now = NSEC_NEVER;
		m->since = now;
	}
	m->now = nsec_min(m->now, value);
}

void delays_init(struct delays *d, nsec_t now)
{
	struct span_min none = span_min_of(NSEC_NEVER, now);

	*d = (struct delays){.base = none, .standing = none, .settled = none, .round_trip = none};
}

nsec_t delays_round_trip(const struct delays *d)
{
	nsec_t rtt = min_get(&d->round_trip);

	return rtt == NSEC_NEVER ? ROUND_TRIP_START : rtt;
}

nsec_t delays_one_way(const struct delays *d)
{
	return min_get(&d->base) + d->tolerated;
}

static void note_jump(struct delays *d, const struct delay_sample *sample, nsec_t delay, nsec_t now)
{
	if (d->is_known && delay - d->last > JUMP_MIN && sample->sent - d->last_at < JUMP_PAUSE) {
		d->jump = delay - d->last;
		d->jumped_at = now;
		d->steps_since_jump = 0;
		d->highest = delay;
	}
	d->highest = nsec_max(d->highest, delay);
	d->last = delay;
	d->last_at = sample->sent;
}

/* What exceeds it by far is a queue that grows, and must not hide itself by being taken for it. */
static void note_jitter(struct delays *d)
{
	double above = (double)(min_get(&d->standing) - min_get(&d->settled));
	double most = smaller((double)DELAYS_QUEUE + JITTER_GROWTH * d->jitter,
			      (double)DELAYS_JITTER_MAX);

	d->jitter += JITTER_WEIGHT * (smaller(above, most) - d->jitter);
}

void delays_add(struct delays *d, const struct delay_sample *sample, nsec_t now)
{
	/* With the time that its record took to pass, which PATHCTL_BURST bounds. */
	nsec_t delay = sample->arrived - sample->sent;
	nsec_t span = nsec_max(delays_round_trip(d), STANDING_SPAN_MIN);

	if (sample->is_copy) {
		/* It may be the original that has come, late: that makes no path shorter. */
		if (!d->is_known)
			return;
		delay = nsec_max(delay, min_get(&d->base));
	} else {
		note_jump(d, sample, delay, now);
		min_add(&d->base, delay, BASE_SPAN, now);
		min_add(&d->round_trip, now - sample->sent, ROUND_TRIP_SPAN, now);
	}
	min_add(&d->standing, delay, span / 2, now);
	min_add(&d->settled, delay, SETTLED_SPANS * span / 2, now);
	if (!sample->is_draining)
		note_jitter(d);
	d->tolerated = nsec_min(d->tolerated, min_get(&d->settled) - min_get(&d->base));
	d->queue = nsec_max(min_get(&d->standing) - delays_one_way(d), 0);
	d->is_known = true;
}

bool delays_exceed(const struct delays *d, double queues)
{
	return (double)d->queue > queues * (double)DELAYS_QUEUE + JITTER_PEAKS * d->jitter;
}

static double settled_queue(const struct delays *d)
{
	return (double)(min_get(&d->settled) - delays_one_way(d));
}

bool delays_have_queue(const struct delays *d)
{
	return settled_queue(d) > SETTLED_QUEUES * (double)DELAYS_QUEUE + d->jitter;
}

bool delays_have_been_short(const struct delays *d)
{
	return settled_queue(d) < (double)DELAYS_QUEUE / 2 + d->jitter;
}

bool delays_are_short(const struct delays *d)
{
	return (double)d->queue < (double)DELAYS_QUEUE / 2 + d->jitter;
}

/* A path that has become slower goes on being so after its queue's first growth. */
void delays_step(struct delays *d, bool is_slower)
{
	if (d->steps_since_jump && d->steps_since_jump <= JUMP_DOUBT_STEPS && is_slower)
		d->jump = 0;
	d->steps_since_jump++;
}

/*
 * What has come at once, in the round trips before it was taken for a queue, has not grown since
 * and is still there.
 */
static bool is_longer(const struct delays *d, nsec_t rest, nsec_t since)
{
	nsec_t highest = d->highest - min_get(&d->base);
	nsec_t memory = nsec_max(SETTLED_SPANS * delays_round_trip(d), JUMP_MEMORY);

	return d->jump && highest < d->jump + d->jump / 2 && rest > d->jump / 2 &&
	       since - d->jumped_at < memory;
}

static void become_longer(struct delays *d, nsec_t by, nsec_t now)
{
	d->base = span_min_of(min_get(&d->base) + by, now);
	d->round_trip = span_min_of(min_get(&d->round_trip) + by, now);
	d->tolerated = d->jump = 0;
}

enum delays_verdict delays_settle(struct delays *d, nsec_t since, nsec_t now)
{
	nsec_t rest = min_get(&d->settled) - min_get(&d->base);

	if (is_longer(d, rest, since)) {
		become_longer(d, rest, now);
		return DELAYS_LONGER;
	}
	if (rest > TOLERATED_MAX)
		return DELAYS_QUEUED;
	d->tolerated = rest;
	return DELAYS_TOLERATED;
}
