/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "links/pathctl.h"

#include <string.h>

/* A step of control needs so much time of deliveries to mean something. */
#define STEP_MIN (10 * NSEC_PER_MSEC)
/* ... and so much data, as long as that takes no longer. */
#define STEP_BYTES (8 * 1500)
#define STEP_SLOW (100 * NSEC_PER_MSEC)
#define BASE_SPAN (20 * NSEC_PER_SEC)
#define STANDING_SPAN_MIN (20 * NSEC_PER_MSEC)
/* Five times the standing queue's span; the jitter's weight of one report; how far it may go. */
#define SETTLED_SPANS 5
#define JITTER_WEIGHT (1.0 / 64)
#define JITTER_PEAKS 4
#define JITTER_GROWTH 3
#define STEP_JITTERS 5
#define PROBE_JITTERS 2
#define ROUND_TRIP_SPAN (10 * NSEC_PER_SEC)
/* The capacity is the maximum over a cycle of phases, but no less than this time. */
#define CAPACITY_SPAN_MIN (250 * NSEC_PER_MSEC)
/* Start: double per round, until so many rounds have not brought this much more. */
#define START_GAIN 2.0
#define START_GROWTH 1.2
#define START_ROUNDS 2
/* When the path has become faster: so much of a probe's gain must have come of it. */
#define RESTART_GAIN 1.5
#define RESTART_SHARE 0.4
/* Then a cycle: ask for more, give back the queue that this made, and hold for the rest. */
#define PHASES 8
#define PHASE_MIN (20 * NSEC_PER_MSEC)
#define PROBE_GAIN_MAX 0.25
#define HOLD_GAIN 0.98
/* A queue so much longer than wanted says that the path has become slower. */
#define DRAIN_QUEUES 2.5
#define DRAIN_SETTLED_QUEUES 3
/* ... and is to be gone in about this time; but not all is stopped. */
#define DRAIN_SPAN (50 * NSEC_PER_MSEC)
#define DRAIN_GAIN_MIN 0.25
/* When it has not become short in this time, it is not ours; up to so much it is put up with. */
#define DRAIN_TIME (500 * NSEC_PER_MSEC)
#define TOLERATED_MAX (25 * NSEC_PER_MSEC)
/*
 * A delay that grows by so much from one report to the next, without a pause in sending, and stays
 * when we give way, is no queue of others, which grows more slowly: the path has become longer.
 */
#define JUMP_MIN (20 * NSEC_PER_MSEC)
#define JUMP_PAUSE (20 * NSEC_PER_MSEC)
#define JUMP_DOUBT_STEPS 3
/* What arrives more slowly than it was sent, by a tenth and by what jitter explains, is too much.
 */
#define SLOWER_SHARE 0.1
#define SLOWER_JITTERS 3
/* Who sends at so much of a path's capacity and sees it arrive more slowly has filled it. */
#define PRESSED_SHARE 0.5
/* ... and who sends at so much of it has gone beyond it. */
#define OVERRUN_SHARE 1.25
/* Less than that, a call for one, shows nothing of what a new path carries; bytes per second. */
#define SPARSE_RATE (50.0 * 1000)
/* How far behind its pace a path may catch up, and the window's share for the report's delay. */
#define PACE_CREDIT (2 * NSEC_PER_MSEC)
#define REPORT_DELAY (15 * NSEC_PER_MSEC)
/* Nothing was sent for so long although it might have been: nothing was there to be sent. */
#define IDLE_TIME (5 * NSEC_PER_MSEC)
#define WINDOW_MIN (64 << 10)
/* Somebody wants more than an unpaced path gives if this much of its capacity is being sent. */
#define FAST_SHARE 0.5
/* Its window has this much of a round trip to spare at least, or a long path's would not grow. */
#define FAST_SPARE 4
/* Silence: so many round trips and reports that were lost, within these bounds. */
#define SILENCE_ROUND_TRIPS 2
#define SILENCE_REPORTS (25 * NSEC_PER_MSEC)
#define SILENCE_MIN (60 * NSEC_PER_MSEC)
#define SILENCE_MAX NSEC_PER_SEC
/* While nothing is known of the round trip. */
#define ROUND_TRIP_START (100 * NSEC_PER_MSEC)

static double larger(double a, double b)
{
	return a > b ? a : b;
}

void pathctl_init(struct pathctl *c, uint32_t way, double share, nsec_t now)
{
	memset(c, 0, sizeof(*c));
	c->way = way;
	c->rate = c->rate_start = larger(PATHCTL_RATE_START * share, PATHCTL_RATE_MIN);
	c->is_starting = true;
	c->start_gain = START_GAIN;
	c->next_send = now;
	c->phase_since = c->capacity_since = now;
	c->progress = now;
	c->base = c->standing = c->settled = c->round_trip =
		(struct pathctl_min){NSEC_NEVER, NSEC_NEVER, now};
}

static nsec_t min_get(const struct pathctl_min *m)
{
	return nsec_min(m->now, m->before);
}

static void min_add(struct pathctl_min *m, nsec_t value, nsec_t span, nsec_t now)
{
	if (now - m->since > span) {
		m->before = now - m->since > 2 * span ? NSEC_NEVER : m->now;
		m->now = NSEC_NEVER;
		m->since = now;
	}
	m->now = nsec_min(m->now, value);
}

nsec_t pathctl_round_trip(const struct pathctl *c)
{
	nsec_t rtt = min_get(&c->round_trip);

	return rtt == NSEC_NEVER ? ROUND_TRIP_START : rtt;
}

/* An hour at most: of a rate that is not known yet, or next to nothing. */
static nsec_t duration(double bytes, double rate)
{
	double seconds = bytes / rate;

	return seconds < 3600 ? (nsec_t)(seconds * (double)NSEC_PER_SEC) : 3600 * NSEC_PER_SEC;
}

uint64_t pathctl_inflight(const struct pathctl *c)
{
	return c->sent_bytes - c->acked_bytes;
}

bool pathctl_is_fast(const struct pathctl *c)
{
	return c->capacity >= PATHCTL_RATE_FAST;
}

/* From sending to the report, as long as it may take without leaving the path idle. */
static nsec_t window_span(const struct pathctl *c)
{
	nsec_t round_trip = pathctl_round_trip(c);
	nsec_t queue = c->is_shared ? PATHCTL_FAST_QUEUE_SHARED : PATHCTL_FAST_QUEUE;

	if (pathctl_is_fast(c))
		return round_trip + nsec_max(queue, round_trip / FAST_SPARE);
	return round_trip + 2 * PATHCTL_QUEUE + REPORT_DELAY;
}

static double window_min(const struct pathctl *c)
{
	if (pathctl_is_fast(c))
		return c->is_shared ? PATHCTL_FAST_BYTES_SHARED : PATHCTL_FAST_BYTES;
	return WINDOW_MIN;
}

/* What goes over the path in that time. */
static double worth(const struct pathctl *c, nsec_t time)
{
	double rate = c->is_starting ? c->rate : c->capacity;

	return rate * (double)time / (double)NSEC_PER_SEC;
}

static double window(const struct pathctl *c)
{
	return larger(worth(c, window_span(c)), window_min(c));
}

double pathctl_standing(const struct pathctl *c)
{
	return larger((double)pathctl_inflight(c) - worth(c, pathctl_round_trip(c)), 0);
}

/* A little goes over each path in any case: what stands may be that of one that has just died. */
static bool is_window_full(const struct pathctl *c, uint64_t bytes, double standing)
{
	uint64_t inflight = pathctl_inflight(c);

	if (!inflight)
		return false;
	return (double)(inflight + bytes) > window(c) ||
	       (inflight + bytes > PATHCTL_FAST_BYTES_SHARED &&
		standing + (double)bytes > PATHCTL_STANDING_BYTES);
}

static struct pathctl_record *record_at(struct pathctl *c, unsigned position)
{
	return &c->records[position % PATHCTL_RECORDS];
}

static bool continues(const struct pathctl_record *last, const struct pathctl_record *next)
{
	bool is_next = next->is_apart ? last->end == next->first : last->end <= next->first;

	return last->session == next->session && is_next && last->is_copy == next->is_copy &&
	       last->is_apart == next->is_apart && next->at - last->at <= PATHCTL_RECORD;
}

/*
 * Was the path waited for, or did it wait? Without anything outstanding no queue is ours; nor is
 * one that would have emptied since we last sent.
 */
static void note_idle(struct pathctl *c, const struct pathctl_record *next)
{
	nsec_t idle = next->at - c->last_sent;

	if (c->acked_bytes == c->sent_bytes) {
		c->progress = next->at; /* the wait for a report begins here */
		c->is_draining = false;
	}
	if (!c->is_blocked && c->capacity < PATHCTL_RATE_FAST &&
	    next->at - c->next_send > IDLE_TIME && idle > c->queue)
		c->idle_mark = c->sent_bytes + next->bytes;
	c->is_blocked = false;
	c->last_sent = next->at;
}

static void record(struct pathctl *c, const struct pathctl_record *next)
{
	struct pathctl_record *last = record_at(c, c->head - 1);

	note_idle(c, next);
	if (c->head == c->tail || !continues(last, next)) {
		if (c->head - c->tail == PATHCTL_RECORDS)
			c->tail++; /* what it told will be told by the next */
		last = record_at(c, c->head++);
		*last = *next;
		last->bytes = 0;
		last->bytes_before = c->sent_bytes;
	}
	last->end = next->end;
	last->bytes += next->bytes;
	c->sent_bytes += next->bytes;
	c->next_send = nsec_max(c->next_send, next->at - PACE_CREDIT) +
		       duration((double)next->bytes, c->rate);
}

void pathctl_sent(struct pathctl *c, uint32_t session, uint64_t counter, uint32_t packets,
		  uint64_t bytes, nsec_t now)
{
	record(c, &(struct pathctl_record){.first = counter,
					   .end = counter + packets,
					   .bytes = bytes,
					   .at = now,
					   .session = session});
}

void pathctl_sent_apart(struct pathctl *c, uint32_t session, uint64_t counter, uint32_t packets,
			uint64_t bytes, nsec_t now)
{
	c->has_apart = true;
	record(c, &(struct pathctl_record){.first = counter,
					   .end = counter + packets,
					   .bytes = bytes,
					   .at = now,
					   .session = session,
					   .is_apart = true});
}

void pathctl_sent_again(struct pathctl *c, uint32_t session, uint64_t counter, uint32_t packets,
			uint64_t bytes, nsec_t now)
{
	record(c, &(struct pathctl_record){.first = counter,
					   .end = counter + packets,
					   .bytes = bytes,
					   .at = now,
					   .session = session,
					   .is_copy = true});
}

static bool holds(const struct pathctl_record *rec, const struct pathctl_report *r)
{
	return rec->session == r->session && rec->first <= r->counter && r->counter < rec->end;
}

/*
 * The place of the record with a reported packet; c->head: there is none. One of what stands apart
 * has just its own counters; others may span a block of these, which they have nothing of.
 */
static unsigned find_record(struct pathctl *c, const struct pathctl_report *r)
{
	unsigned found = c->head;

	for (unsigned at = c->tail; at != c->head; at++) {
		if (!holds(record_at(c, at), r))
			continue;
		if (!c->has_apart || record_at(c, at)->is_apart)
			return at;
		if (found == c->head)
			found = at;
	}
	return found;
}

/*
 * Finds the record of a reported packet and forgets those before it; NULL if there is none.
 * Counters grow from record to record but where something was sent again, or stands apart.
 */
static const struct pathctl_record *acknowledge(struct pathctl *c, const struct pathctl_report *r)
{
	unsigned at = find_record(c, r);

	if (at == c->head)
		return NULL;
	c->tail = at;
	return record_at(c, at);
}

/* The part of a record that lies before and with the packet. */
static double bytes_until(const struct pathctl_record *rec, uint64_t counter)
{
	return (double)rec->bytes * (double)(counter - rec->first + 1) /
	       (double)(rec->end - rec->first);
}

/* What exceeds it by far is a queue that grows, and must not hide itself by being taken for jitter.
 */
static void note_jitter(struct pathctl *c)
{
	double above = (double)(min_get(&c->standing) - min_get(&c->settled));
	double most = (double)PATHCTL_QUEUE + JITTER_GROWTH * c->jitter;

	if (!c->is_draining)
		c->jitter += JITTER_WEIGHT * ((above < most ? above : most) - c->jitter);
}

static void note_jump(struct pathctl *c, const struct pathctl_record *rec, nsec_t delay, nsec_t now)
{
	if (c->has_delay && delay - c->last_delay > JUMP_MIN && rec->at - c->last_at < JUMP_PAUSE) {
		c->jump = delay - c->last_delay;
		c->jumped_at = now;
		c->steps_since_jump = 0;
		c->highest = delay;
	}
	c->highest = c->highest > delay ? c->highest : delay;
	c->last_delay = delay;
	c->last_at = rec->at;
}

static void measure_delay(struct pathctl *c, const struct pathctl_record *rec,
			  const struct pathctl_report *r, nsec_t now)
{
	/* With the time that the record itself took to pass, which PATHCTL_BURST bounds. */
	nsec_t delay = r->arrival - rec->at;
	nsec_t span = nsec_max(pathctl_round_trip(c), STANDING_SPAN_MIN);

	if (rec->is_copy) {
		/* It may be the original that has come, late: that makes no path shorter. */
		if (!c->has_delay)
			return;
		delay = nsec_max(delay, min_get(&c->base));
	} else {
		note_jump(c, rec, delay, now);
		min_add(&c->base, delay, BASE_SPAN, now);
		min_add(&c->round_trip, now - rec->at, ROUND_TRIP_SPAN, now);
	}
	min_add(&c->standing, delay, span / 2, now);
	min_add(&c->settled, delay, SETTLED_SPANS * span / 2, now);
	note_jitter(c);
	c->tolerated = nsec_min(c->tolerated, min_get(&c->settled) - min_get(&c->base));
	c->queue = nsec_max(min_get(&c->standing) - min_get(&c->base) - c->tolerated, 0);
	c->has_delay = true;
}

/* A step must be so long that jitter, and on a slow path a single packet, is small in it. */
static nsec_t step_length(const struct pathctl *c)
{
	nsec_t length = nsec_max(STEP_MIN, pathctl_round_trip(c) / 4);

	if (c->capacity > 0)
		length = nsec_max(length, nsec_min(duration(STEP_BYTES, c->capacity), STEP_SLOW));
	return nsec_max(length, (nsec_t)(STEP_JITTERS * c->jitter));
}

/* And a phase so long that a whole step falls into it. */
static nsec_t phase_length(const struct pathctl *c)
{
	nsec_t length = nsec_max(pathctl_round_trip(c) + REPORT_DELAY, PHASE_MIN);

	return nsec_max(length, 2 * step_length(c));
}

/* A probe asks for no more than would build the wanted queue within its time. */
static double probe_gain(const struct pathctl *c)
{
	double queue = (double)PATHCTL_QUEUE + PROBE_JITTERS * c->jitter;
	double gain = queue / (double)phase_length(c);

	return gain > PROBE_GAIN_MAX ? PROBE_GAIN_MAX : gain;
}

/* Was all that was delivered in this step sent as fast as it was allowed to be? */
static bool is_full_sample(const struct pathctl *c)
{
	return c->is_wanted && c->idle_mark <= c->step_acked;
}

static void note_capacity(struct pathctl *c, double delivered, nsec_t now)
{
	nsec_t span = nsec_max(PHASES * phase_length(c), CAPACITY_SPAN_MIN) / 2;

	/* A rate that was not asked for says nothing, unless it is more than was known. */
	if (!is_full_sample(c) && delivered < c->capacity)
		return;
	if (now - c->capacity_since > span) {
		c->capacity_before = c->capacity_now;
		c->capacity_now = 0;
		c->capacity_since = now;
	}
	if (delivered > c->capacity_now)
		c->capacity_now = delivered;
	c->capacity = larger(c->capacity_now, c->capacity_before);
}

static void set_capacity(struct pathctl *c, double capacity, nsec_t now)
{
	c->capacity = c->capacity_now = capacity;
	c->capacity_before = 0;
	c->capacity_since = now;
}

static bool queue_over(const struct pathctl *c, double queues)
{
	return (double)c->queue > queues * (double)PATHCTL_QUEUE + JITTER_PEAKS * c->jitter;
}

static double settled_queue(const struct pathctl *c)
{
	return (double)(min_get(&c->settled) - min_get(&c->base) - c->tolerated);
}

bool pathctl_has_queue(const struct pathctl *c)
{
	return settled_queue(c) > DRAIN_SETTLED_QUEUES * (double)PATHCTL_QUEUE + c->jitter;
}

static bool is_queue_short(const struct pathctl *c)
{
	return (double)c->queue < (double)PATHCTL_QUEUE / 2 + c->jitter;
}

static void restart(struct pathctl *c)
{
	c->is_starting = true;
	c->start_gain = RESTART_GAIN;
	c->rounds_without_growth = 0;
}

/*
 * A round is over: has the path given more than in the one before? In the cycle, a probe that
 * finds much more says that the path has become faster: then the start begins anew. In the start,
 * a burst that the path could not take tells as much as somebody who wants more: a flow whose
 * window just fills it never does.
 */
static void end_round(struct pathctl *c)
{
	bool is_full = c->is_wanted && c->idle_mark <= c->round_begin;

	is_full |= c->is_starting && c->is_overrun;
	c->is_overrun = false;
	c->round_begin = c->round_mark;
	c->round_mark = c->sent_bytes;
	if (!is_full)
		return;
	if (!c->is_starting && !c->is_draining &&
	    settled_queue(c) < PATHCTL_QUEUE / 2 + c->jitter &&
	    c->capacity > c->round_capacity * (1 + RESTART_SHARE * probe_gain(c))) {
		restart(c);
	}
	if (c->capacity < c->round_capacity * START_GROWTH)
		c->rounds_without_growth++;
	else
		c->rounds_without_growth = 0;
	c->round_capacity = c->capacity;
	if (c->is_starting && c->rounds_without_growth >= START_ROUNDS)
		c->is_starting = false;
}

/*
 * What has come at once, in the round trips before it was taken for a queue, has not grown since
 * and is still there.
 */
static bool is_longer(const struct pathctl *c, nsec_t rest)
{
	nsec_t before = c->drain_since - c->jumped_at;
	nsec_t highest = c->highest - min_get(&c->base);

	return c->jump && highest < c->jump + c->jump / 2 && rest > c->jump / 2 &&
	       before < nsec_max(SETTLED_SPANS * pathctl_round_trip(c), DRAIN_TIME);
}

/* A path that has become slower goes on being so after its queue's first growth. */
static void doubt_jump(struct pathctl *c, bool is_slower)
{
	if (c->steps_since_jump && c->steps_since_jump <= JUMP_DOUBT_STEPS && is_slower)
		c->jump = 0;
	c->steps_since_jump++;
}

/* All delays, and the capacity has shrunk for nothing. */
static void become_longer(struct pathctl *c, nsec_t by, nsec_t now)
{
	c->base = (struct pathctl_min){min_get(&c->base) + by, NSEC_NEVER, now};
	c->round_trip = (struct pathctl_min){min_get(&c->round_trip) + by, NSEC_NEVER, now};
	c->tolerated = c->jump = 0;
	restart(c);
}

/*
 * A queue that stays although we gave way is the path's own delay now, if it is not too long, or
 * came as no queue does.
 */
static void end_drain(struct pathctl *c, nsec_t now)
{
	nsec_t rest = min_get(&c->settled) - min_get(&c->base);
	bool is_over = now - c->drain_since > DRAIN_TIME;

	if (is_over && is_longer(c, rest))
		become_longer(c, rest, now);
	else if (is_over && rest <= TOLERATED_MAX)
		c->tolerated = rest;
	else if (!is_queue_short(c))
		return;
	c->is_draining = false;
	c->phase = 2;
	c->phase_since = now;
}

/*
 * The start allows twice of what arrives, which a flow that has ended its slow start never asks
 * for: it fills the path all the same. What was not sent in a row, as the first packets of all,
 * shows no rate to end with.
 */
static bool is_start_over(const struct pathctl *c)
{
	if (is_full_sample(c))
		return queue_over(c, 1);
	return queue_over(c, DRAIN_QUEUES) && c->delivered > PATHCTL_RATE_START / 2;
}

/*
 * Towards what arrives, but not all at once: a gap in the reports, or in the path, looks the same,
 * until what it held up comes all together.
 */
static void shrink(struct pathctl *c, nsec_t now)
{
	if (c->drain_to < c->capacity)
		set_capacity(c, larger(c->drain_to, c->capacity / 2), now);
}

/* What has arrived since the last step. */
struct arrived {
	uint64_t bytes;
	nsec_t elapsed;
	nsec_t arriving; /* from the first to the last */
	bool is_slower;	 /* than it was sent, by more than jitter explains */
	bool is_pressed; /* it was sent about as fast as the path was thought to be */
	bool is_overrun; /* it was sent much faster, and arrived more slowly */
};

/*
 * A queue on a path that we ask for less than it can give is not ours (others', or a busy peer),
 * unless what we send arrives more slowly than it was sent. Whether more is wanted now does not
 * matter then: a flow whose window is in the queue wants nothing until that is empty, and fills it
 * anew.
 */
static void watch_queue(struct pathctl *c, const struct arrived *a, nsec_t now)
{
	bool is_long = queue_over(c, DRAIN_QUEUES) || pathctl_has_queue(c);
	/* What a sparse flow sends is not what a new path is thought to carry. */
	bool is_sparse = pathctl_is_new(c) && c->delivered < SPARSE_RATE;
	bool is_pressed = a->is_pressed && !is_sparse;
	bool is_ours = (a->is_slower && (c->is_wanted || is_pressed)) || is_full_sample(c);

	if (c->is_starting && is_start_over(c)) {
		c->is_starting = false;
		c->is_draining = true;
		c->drain_to = c->capacity;
		c->drain_since = now;
	} else if (is_long && (c->is_draining ? a->is_slower : is_ours)) {
		if (!c->is_draining)
			c->drain_since = now;
		c->is_starting = false;
		c->is_draining = true;
		c->drain_to = c->delivered;
		shrink(c, now);
	} else if (c->is_draining) {
		if (duration((double)a->bytes, c->capacity) > a->arriving)
			c->drain_to = c->capacity;
		shrink(c, now);
		end_drain(c, now);
	}
}

static double drain_gain(const struct pathctl *c)
{
	return larger(1 - (double)c->queue / (double)DRAIN_SPAN, DRAIN_GAIN_MIN);
}

static double phase_gain(const struct pathctl *c)
{
	if (c->phase == 0)
		return 1 + probe_gain(c);
	return c->phase == 1 ? 1 - probe_gain(c) : HOLD_GAIN;
}

bool pathctl_is_new(const struct pathctl *c)
{
	return c->is_starting && c->start_gain == START_GAIN;
}

static void set_rate(struct pathctl *c, nsec_t now)
{
	if (now - c->phase_since > phase_length(c)) {
		c->phase = (c->phase + 1) % PHASES;
		c->phase_since = now;
	}
	if (c->is_starting)
		c->rate = c->capacity * c->start_gain;
	else
		c->rate = c->capacity * (c->is_draining ? drain_gain(c) : phase_gain(c));
	c->rate = larger(c->rate, pathctl_is_new(c) ? c->rate_start : PATHCTL_RATE_MIN);
	if (c->cap > 0 && c->rate > c->cap)
		c->rate = c->cap;
}

/* Nothing holds up what is sent on a fast path: how much it is tells whether more is wanted. */
static void note_sending(struct pathctl *c, nsec_t elapsed)
{
	double sent = (double)(c->sent_bytes - c->step_sent) * (double)NSEC_PER_SEC;

	if (pathctl_is_fast(c) && sent > c->capacity * FAST_SHARE * (double)elapsed)
		c->is_wanted = true;
}

/*
 * The time that this data took is the longer of two measures: jitter lets some of it arrive
 * together, and then it seems to come faster than it was sent.
 */
static struct arrived arrived_since(const struct pathctl *c, const struct pathctl_record *rec,
				    const struct pathctl_report *r)
{
	nsec_t arriving = r->arrival - c->step_arrival;
	nsec_t sending = rec->at - c->step_at;
	struct arrived a = {r->rx_bytes - c->step_bytes, arriving, arriving, false, false, false};

	if (rec->is_copy)
		return a;
	a.elapsed = nsec_max(arriving, sending);
	a.is_slower = (double)(arriving - sending) >
		      SLOWER_SHARE * (double)arriving + SLOWER_JITTERS * c->jitter;
	a.is_pressed = duration((double)a.bytes, c->capacity * PRESSED_SHARE) > sending;
	a.is_overrun =
		a.is_slower && duration((double)a.bytes, c->capacity * OVERRUN_SHARE) > sending;
	return a;
}

static void control(struct pathctl *c, const struct arrived *a, nsec_t now)
{
	c->delivered = (double)a->bytes * (double)NSEC_PER_SEC / (double)a->elapsed;
	note_sending(c, a->elapsed);
	if (a->elapsed < NSEC_PER_SEC)
		note_capacity(c, c->delivered, now);
	c->is_overrun |= a->is_overrun;
	if (c->acked_bytes >= c->round_mark)
		end_round(c);
	doubt_jump(c, a->is_slower);
	watch_queue(c, a, now);
	set_rate(c, now);
	c->is_wanted = false;
}

static void step(struct pathctl *c, const struct pathctl_record *rec,
		 const struct pathctl_report *r, nsec_t now)
{
	struct arrived a;

	if (c->has_step && r->arrival >= c->step_arrival && r->rx_bytes >= c->step_bytes) {
		if (r->arrival - c->step_arrival < step_length(c))
			return;
		a = arrived_since(c, rec, r);
		control(c, &a, now);
	}
	c->has_step = true;
	c->step_bytes = r->rx_bytes;
	c->step_sent = c->sent_bytes;
	c->step_acked = c->acked_bytes;
	c->step_arrival = r->arrival;
	c->step_at = rec->at;
}

bool pathctl_report(struct pathctl *c, const struct pathctl_report *r, nsec_t now)
{
	const struct pathctl_record *rec = acknowledge(c, r);
	uint64_t acked;

	if (!rec)
		return false;
	acked = rec->bytes_before + (uint64_t)bytes_until(rec, r->counter);
	if (acked <= c->acked_bytes)
		return false;
	c->acked_bytes = acked;
	c->progress = now;
	measure_delay(c, rec, r, now);
	step(c, rec, r, now);
	return true;
}

static nsec_t patience(const struct pathctl *c)
{
	nsec_t time = SILENCE_ROUND_TRIPS * (pathctl_round_trip(c) + c->queue) + SILENCE_REPORTS;

	return c->has_delay ? nsec_min(nsec_max(time, SILENCE_MIN), SILENCE_MAX) : SILENCE_MAX;
}

nsec_t pathctl_silent_at(const struct pathctl *c)
{
	return c->acked_bytes == c->sent_bytes ? NSEC_NEVER : c->progress + patience(c);
}

bool pathctl_is_silent(const struct pathctl *c, nsec_t now)
{
	return now >= pathctl_silent_at(c);
}

nsec_t pathctl_ready_at(struct pathctl *c, uint64_t bytes, double standing, nsec_t now)
{
	if (is_window_full(c, bytes, standing)) {
		c->is_wanted = c->is_blocked = true;
		return NSEC_NEVER;
	}
	if (pathctl_is_fast(c))
		return now;
	if (c->next_send > now)
		c->is_wanted = true;
	return c->next_send;
}

nsec_t pathctl_queue(const struct pathctl *c, nsec_t now)
{
	return nsec_max(c->queue - (now - c->last_sent), 0);
}

nsec_t pathctl_arrival(const struct pathctl *c, uint64_t bytes, nsec_t now)
{
	nsec_t own = min_get(&c->base) + c->tolerated;
	nsec_t delay = c->has_delay ? own + pathctl_queue(c, now) : 0;

	return nsec_max(c->next_send, now) + duration((double)bytes, c->rate) + delay;
}

uint64_t pathctl_burst_bytes(const struct pathctl *c)
{
	return (uint64_t)(c->rate * (double)PATHCTL_BURST / (double)NSEC_PER_SEC);
}

uint64_t pathctl_exposure(const struct pathctl *c)
{
	return (uint64_t)(c->capacity * (double)(pathctl_round_trip(c) + patience(c)) /
			  (double)NSEC_PER_SEC);
}
