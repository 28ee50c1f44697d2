/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The control law. Reports are taken together in steps of some ten milliseconds; each gives the
 * rate at which data has arrived. The largest of late is the capacity, the rate is that times a
 * gain, and the gain is what the state says:
 *
 *   START, RESTART   2, 1.5: the path gives more and more
 *   CYCLE            by turns a little more than it gives, a little less, and just that
 *   DRAIN            less, until the queue has gone
 *
 *   START, RESTART --- two rounds bring no more ---> CYCLE --- a probe brings more ---> RESTART
 *   any --- a queue of ours ---> DRAIN --- it is short, or not ours after all ---> CYCLE
 *                                      --- the path has become longer ---> RESTART
 */
#include "links/pathctl_internal.h"

#include <string.h>

/* A step needs so much time of deliveries to mean something. */
#define STEP_MIN (10 * NSEC_PER_MSEC)
/* ... or less on a new path with a short round trip. */
#define STEP_MIN_NEW (4 * NSEC_PER_MSEC)
/* ... and so much data, as long as that takes no longer; and so many times the jitter. */
#define STEP_BYTES (8 * 1500)
#define STEP_SLOW (100 * NSEC_PER_MSEC)
#define STEP_JITTERS 5
/* The capacity is the maximum over a cycle of phases, but no less than this time. */
#define CAPACITY_SPAN_MIN (250 * NSEC_PER_MSEC)
/* Start: double per round, until so many rounds have not brought this much more. */
#define START_GAIN 2.0
#define START_GROWTH 1.2
#define START_ROUNDS 2
/* When the path has become faster: so much of a probe's gain must have come of it. */
#define RESTART_GAIN 1.5
#define RESTART_SHARE 0.5
/* The cycle: ask for more, give back the queue that this made, and hold for the rest. */
#define PHASES 8
#define PHASE_MIN (20 * NSEC_PER_MSEC)
#define PROBE_GAIN_MAX 0.25
#define PROBE_JITTERS 2
#define HOLD_GAIN 0.99
/* A queue of so many of PATHCTL_QUEUE says that the path has become slower. */
#define DRAIN_QUEUES 2.5
/* ... and is to be gone in about this time; but not all is stopped. */
#define DRAIN_SPAN (50 * NSEC_PER_MSEC)
#define DRAIN_GAIN_MIN 0.25
/* When it has not become short in this time, it is not ours. */
#define DRAIN_TIME (500 * NSEC_PER_MSEC)
/* What arrives more slowly than it was sent, by so much and by what jitter explains, is too much.
 */
#define SLOWER_SHARE 0.1
#define SLOWER_JITTERS 3
/* Who sends at so much of a path's capacity and sees it arrive more slowly has filled it. */
#define PRESSED_SHARE 0.5
/* ... and who sends at so much of it has gone beyond it. */
#define OVERRUN_SHARE 1.25
/* Less than that, a call for one, shows nothing of what a new path carries; bytes per second. */
#define SPARSE_RATE (50.0 * 1000)
/* Somebody wants more than an unpaced path gives if this much of its capacity is being sent. */
#define FAST_SHARE 0.5

void pathctl_init(struct pathctl *c, uint32_t epoch, double share, nsec_t now)
{
	memset(c, 0, sizeof(*c));
	c->epoch = epoch;
	c->state = PATHCTL_START;
	c->rate = c->rate_start = larger(PATHCTL_RATE_START * share, PATHCTL_RATE_MIN);
	c->next_send = now;
	c->phase_since = c->capacity_since = now;
	c->progress = now;
	delays_init(&c->delays, now);
}

bool pathctl_is_new(const struct pathctl *c)
{
	return c->state == PATHCTL_START;
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

static double rate_of(uint64_t bytes, nsec_t time)
{
	return (double)bytes * (double)NSEC_PER_SEC / (double)time;
}

/*
 * A step must be so long that jitter, and on a slow path a single packet, is small in it. What a
 * new path is thought to carry is what little was sent on it so far: there the packets are counted,
 * if the round trip is short and an error is soon seen.
 */
static nsec_t step_length(const struct pathctl *c, uint64_t bytes)
{
	nsec_t round_trip = pathctl_round_trip(c);
	bool is_quick = pathctl_is_new(c) && round_trip < STEP_MIN;
	nsec_t length = nsec_max(is_quick ? STEP_MIN_NEW : STEP_MIN, round_trip / 4);

	if (c->capacity > 0 && !(is_quick && bytes >= STEP_BYTES))
		length = nsec_max(length, nsec_min(duration(STEP_BYTES, c->capacity), STEP_SLOW));
	return nsec_max(length, (nsec_t)(STEP_JITTERS * c->delays.jitter));
}

/* And a phase so long that a whole step falls into it. */
static nsec_t phase_length(const struct pathctl *c)
{
	nsec_t length = nsec_max(pathctl_round_trip(c) + PATHCTL_REPORT_DELAY, PHASE_MIN);

	return nsec_max(length, 2 * step_length(c, 0));
}

/* Was all that was delivered in this step sent as fast as it was allowed to be? */
static bool is_full_sample(const struct pathctl *c)
{
	return c->is_wanted && c->idle_mark <= c->step_acked;
}

/*
 * What the last step shows of the capacity. A receiver that comes a millisecond too late makes one
 * step seem too slow and the next too fast, which a probe must not take for growth: in the cycle,
 * half counts of what exceeds the step before. Jitter of more than that has made the steps long
 * enough to say something by themselves.
 */
static double capacity_sample(const struct pathctl *c)
{
	bool is_long = STEP_JITTERS * c->delays.jitter >= STEP_MIN;

	if (c->full_before <= 0 || is_long || c->state != PATHCTL_CYCLE)
		return c->delivered;
	return smaller(c->delivered, (c->delivered + c->full_before) / 2);
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
	c->capacity_now = larger(c->capacity_now, delivered);
	c->capacity = larger(c->capacity_now, c->capacity_before);
}

static void set_capacity(struct pathctl *c, double capacity, nsec_t now)
{
	c->capacity = c->capacity_now = capacity;
	c->capacity_before = 0;
	c->capacity_since = now;
}

/* A probe asks for no more than would build the wanted queue within its time. */
static double probe_gain(const struct pathctl *c)
{
	double queue = (double)PATHCTL_QUEUE + PROBE_JITTERS * c->delays.jitter;
	double gain = queue / (double)phase_length(c);

	return gain > PROBE_GAIN_MAX ? PROBE_GAIN_MAX : gain;
}

static void restart(struct pathctl *c)
{
	c->state = PATHCTL_RESTART;
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

	is_full |= pathctl_is_starting(c) && c->is_overrun;
	c->is_overrun = false;
	c->round_begin = c->round_mark;
	c->round_mark = c->sent.sent_bytes;
	if (!is_full)
		return;
	if (c->state == PATHCTL_CYCLE && delays_have_been_short(&c->delays) &&
	    c->capacity > c->round_capacity * (1 + RESTART_SHARE * probe_gain(c)))
		restart(c);
	if (c->capacity < c->round_capacity * START_GROWTH)
		c->rounds_without_growth++;
	else
		c->rounds_without_growth = 0;
	c->round_capacity = c->capacity;
	if (pathctl_is_starting(c) && c->rounds_without_growth >= START_ROUNDS)
		c->state = PATHCTL_CYCLE;
}

/*
 * The start allows twice of what arrives, which a flow that has ended its slow start never asks
 * for: it fills the path all the same. What was not sent in a row, as the first packets of all,
 * shows no rate to end with.
 */
static bool is_start_over(const struct pathctl *c)
{
	if (is_full_sample(c))
		return delays_exceed(&c->delays, 1);
	return delays_exceed(&c->delays, DRAIN_QUEUES) && c->delivered > PATHCTL_RATE_START / 2;
}

/*
 * A queue on a path that we ask for less than it can give is not ours (others', or a busy peer),
 * unless what we send arrives more slowly than it was sent. Whether more is wanted now does not
 * matter then: a flow whose window is in the queue wants nothing until that is empty, and fills it
 * anew.
 */
static bool is_ours(const struct pathctl *c, const struct arrived *a)
{
	/* What a sparse flow sends is not what a new path is thought to carry. */
	bool is_sparse = pathctl_is_new(c) && c->delivered < SPARSE_RATE;

	if (c->state == PATHCTL_DRAIN)
		return a->is_slower;
	return (a->is_slower && (c->is_wanted || (a->is_pressed && !is_sparse))) ||
	       is_full_sample(c);
}

static void begin_drain(struct pathctl *c, double to, nsec_t now)
{
	if (c->state != PATHCTL_DRAIN)
		c->drain_since = now;
	c->state = PATHCTL_DRAIN;
	c->drain_to = to;
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

/*
 * A queue that stays although we gave way is the path's own delay now, if it is not too long, or
 * came as no queue does.
 */
static void end_drain(struct pathctl *c, nsec_t now)
{
	enum delays_verdict verdict = DELAYS_QUEUED;

	if (now - c->drain_since > DRAIN_TIME)
		verdict = delays_settle(&c->delays, c->drain_since, now);
	if (verdict == DELAYS_QUEUED && !delays_are_short(&c->delays))
		return;
	c->state = PATHCTL_CYCLE;
	if (verdict == DELAYS_LONGER)
		restart(c); /* the capacity has shrunk for nothing */
	c->phase = 2;
	c->phase_since = now;
}

static void watch_queue(struct pathctl *c, const struct arrived *a, nsec_t now)
{
	bool is_long = delays_exceed(&c->delays, DRAIN_QUEUES) || delays_have_queue(&c->delays);

	if (pathctl_is_starting(c) && is_start_over(c)) {
		begin_drain(c, c->capacity, now);
	} else if (is_long && is_ours(c, a)) {
		begin_drain(c, c->delivered, now);
		shrink(c, now);
	} else if (c->state == PATHCTL_DRAIN) {
		if (rate_of(a->bytes, a->arriving) >= c->capacity)
			c->drain_to = c->capacity;
		shrink(c, now);
		end_drain(c, now);
	}
}

static double drain_gain(const struct pathctl *c)
{
	return larger(1 - (double)c->delays.queue / (double)DRAIN_SPAN, DRAIN_GAIN_MIN);
}

static double phase_gain(const struct pathctl *c)
{
	if (c->phase == 0)
		return 1 + probe_gain(c);
	return c->phase == 1 ? 1 - probe_gain(c) : HOLD_GAIN;
}

static double gain(const struct pathctl *c)
{
	switch (c->state) {
	case PATHCTL_START:
		return START_GAIN;
	case PATHCTL_RESTART:
		return RESTART_GAIN;
	case PATHCTL_DRAIN:
		return drain_gain(c);
	case PATHCTL_CYCLE:
		break;
	}
	return phase_gain(c);
}

static void set_rate(struct pathctl *c, nsec_t now)
{
	if (now - c->phase_since > phase_length(c)) {
		c->phase = (c->phase + 1) % PHASES;
		c->phase_since = now;
	}
	c->rate =
		larger(c->capacity * gain(c), pathctl_is_new(c) ? c->rate_start : PATHCTL_RATE_MIN);
	if (c->cap > 0 && c->rate > c->cap)
		c->rate = c->cap;
}

/* Nothing holds up what is sent on a fast path: how much it is tells whether more is wanted. */
static void note_sending(struct pathctl *c, nsec_t elapsed)
{
	double sent = (double)(c->sent.sent_bytes - c->step_sent) * (double)NSEC_PER_SEC;

	if (pathctl_is_fast(c) && sent > c->capacity * FAST_SHARE * (double)elapsed)
		c->is_wanted = true;
}

/*
 * The time that this data took is the longer of two measures: jitter lets some of it arrive
 * together, and then it seems to come faster than it was sent.
 */
static struct arrived arrived_since(const struct pathctl *c, const struct sent_record *rec,
				    const struct pathctl_report *r)
{
	nsec_t arriving = r->arrival - c->step_arrival;
	nsec_t sending = rec->at - c->step_at;
	struct arrived a = {r->rx_bytes - c->step_bytes, arriving, arriving, false, false, false};

	if (rec->kind == SENT_AGAIN)
		return a;
	a.elapsed = nsec_max(arriving, sending);
	a.is_slower = (double)(arriving - sending) >
		      SLOWER_SHARE * (double)arriving + SLOWER_JITTERS * c->delays.jitter;
	a.is_pressed = duration((double)a.bytes, c->capacity * PRESSED_SHARE) > sending;
	a.is_overrun =
		a.is_slower && duration((double)a.bytes, c->capacity * OVERRUN_SHARE) > sending;
	return a;
}

static void control(struct pathctl *c, const struct arrived *a, nsec_t now)
{
	c->delivered = rate_of(a->bytes, a->elapsed);
	note_sending(c, a->elapsed);
	if (a->elapsed < NSEC_PER_SEC)
		note_capacity(c, capacity_sample(c), now);
	c->full_before = is_full_sample(c) ? c->delivered : 0;
	c->is_overrun |= a->is_overrun;
	if (c->sent.acked_bytes >= c->round_mark)
		end_round(c);
	delays_step(&c->delays, a->is_slower);
	watch_queue(c, a, now);
	set_rate(c, now);
	c->is_wanted = false;
}

static void step(struct pathctl *c, const struct sent_record *rec, const struct pathctl_report *r,
		 nsec_t now)
{
	struct arrived a;

	if (c->has_step && r->arrival >= c->step_arrival && r->rx_bytes >= c->step_bytes) {
		if (r->arrival - c->step_arrival < step_length(c, r->rx_bytes - c->step_bytes))
			return;
		a = arrived_since(c, rec, r);
		control(c, &a, now);
	}
	c->has_step = true;
	c->step_bytes = r->rx_bytes;
	c->step_sent = c->sent.sent_bytes;
	c->step_acked = c->sent.acked_bytes;
	c->step_arrival = r->arrival;
	c->step_at = rec->at;
}

bool pathctl_report(struct pathctl *c, const struct pathctl_report *r, nsec_t now)
{
	const struct sent_record *rec = sentlog_acknowledge(&c->sent, r->session, r->counter);
	struct delay_sample sample;

	if (!rec)
		return false;
	c->progress = now;
	sample = (struct delay_sample){rec->at, r->arrival, rec->kind == SENT_AGAIN,
				       c->state == PATHCTL_DRAIN};
	delays_add(&c->delays, &sample, now);
	step(c, rec, r, now);
	return true;
}
