/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The sender's side of path control: what may leave by the rate (pace) and by what has not been
 * reported (window), when it would arrive, and whether the path is still heard of.
 */
#include "links/pathctl_internal.h"

/* How far behind its pace a path may catch up. */
#define PACE_CREDIT (2 * NSEC_PER_MSEC)
/* Nothing was sent for so long although it might have been: nothing was there to be sent. */
#define IDLE_TIME (5 * NSEC_PER_MSEC)
#define WINDOW_MIN (64 << 10)
/* The window of a fast path has this part of a round trip to spare, or a long one would not grow.
 */
#define FAST_SPARE 4
/* Silence: so many round trips and reports that were lost, within these bounds. */
#define SILENCE_ROUND_TRIPS 2
#define SILENCE_REPORTS (25 * NSEC_PER_MSEC)
#define SILENCE_MIN (60 * NSEC_PER_MSEC)
#define SILENCE_MAX NSEC_PER_SEC

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
	return round_trip + 2 * PATHCTL_QUEUE + PATHCTL_REPORT_DELAY;
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
	double rate = pathctl_is_starting(c) ? c->rate : c->capacity;

	return rate * (double)time / (double)NSEC_PER_SEC;
}

static double window(const struct pathctl *c)
{
	return larger(worth(c, window_span(c)), window_min(c));
}

uint64_t pathctl_inflight(const struct pathctl *c)
{
	return sentlog_outstanding(&c->sent);
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

/*
 * Was the path waited for, or did it wait? Without anything outstanding no queue is ours; nor is
 * one that would have emptied since we last sent.
 */
static void note_idle(struct pathctl *c, const struct sent_record *next)
{
	nsec_t idle = next->at - c->last_sent;

	if (!pathctl_inflight(c)) {
		c->progress = next->at; /* the wait for a report begins here */
		if (c->state == PATHCTL_DRAIN)
			c->state = PATHCTL_CYCLE;
	}
	if (!c->is_blocked && !pathctl_is_fast(c) && next->at - c->next_send > IDLE_TIME &&
	    idle > c->delays.queue)
		c->idle_mark = c->sent.sent_bytes + next->bytes;
	c->is_blocked = false;
	c->last_sent = next->at;
}

/*
 * For how long the path is busy with it. What waits for no pace, as repairs and copies, is on the
 * path for as long as the capacity says: at the rate of a drain it would owe more than that, and
 * would still do so when the drain is over.
 */
static nsec_t pace(const struct pathctl *c, uint64_t bytes, nsec_t now)
{
	bool is_ahead = c->next_send > now;

	return duration((double)bytes, is_ahead ? larger(c->rate, c->capacity) : c->rate);
}

void pathctl_sent(struct pathctl *c, enum sent_kind kind, uint32_t session, uint64_t counter,
		  uint32_t packets, uint64_t bytes, nsec_t now)
{
	const struct sent_record next = {.first = counter,
					 .end = counter + packets,
					 .bytes = bytes,
					 .at = now,
					 .session = session,
					 .kind = kind};

	note_idle(c, &next);
	sentlog_add(&c->sent, &next);
	c->next_send = nsec_max(c->next_send, now - PACE_CREDIT) + pace(c, bytes, now);
}

static nsec_t patience(const struct pathctl *c)
{
	nsec_t time =
		SILENCE_ROUND_TRIPS * (pathctl_round_trip(c) + c->delays.queue) + SILENCE_REPORTS;

	return c->delays.is_known ? nsec_min(nsec_max(time, SILENCE_MIN), SILENCE_MAX)
				  : SILENCE_MAX;
}

nsec_t pathctl_silent_at(const struct pathctl *c)
{
	return pathctl_inflight(c) ? c->progress + patience(c) : NSEC_NEVER;
}

bool pathctl_is_silent(const struct pathctl *c, nsec_t now)
{
	return now >= pathctl_silent_at(c);
}

uint64_t pathctl_exposure(const struct pathctl *c)
{
	nsec_t span = pathctl_round_trip(c) + patience(c);

	return (uint64_t)(c->capacity * (double)span / (double)NSEC_PER_SEC);
}

nsec_t pathctl_round_trip(const struct pathctl *c)
{
	return delays_round_trip(&c->delays);
}

nsec_t pathctl_queue(const struct pathctl *c, nsec_t now)
{
	return nsec_max(c->delays.queue - (now - c->last_sent), 0);
}

bool pathctl_has_queue(const struct pathctl *c)
{
	return delays_have_queue(&c->delays);
}

nsec_t pathctl_arrival(const struct pathctl *c, uint64_t bytes, nsec_t now)
{
	nsec_t delay = c->delays.is_known ? delays_one_way(&c->delays) + pathctl_queue(c, now) : 0;

	return nsec_max(c->next_send, now) + duration((double)bytes, c->rate) + delay;
}

nsec_t pathctl_reported_at(const struct pathctl *c, nsec_t now)
{
	return nsec_max(c->next_send, now) + pathctl_round_trip(c) + pathctl_queue(c, now);
}

uint64_t pathctl_burst_bytes(const struct pathctl *c)
{
	return (uint64_t)(c->rate * (double)PATHCTL_BURST / (double)NSEC_PER_SEC);
}
