/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The delays of a path, and what they say of the queue before it: how long it is, how much of that
 * is jitter, and whether it is none but the path that has become longer. One-way delays are
 * differences of two clocks; the unknown offset of these cancels in differences of delays.
 * Owner: the TUN reader, within struct pathctl. Pure: time comes in as an argument.
 */
#pragma once

#include <stdbool.h>

#include "util/clock.h"

/* The standing queue aimed at, which is what limits are multiples of. */
#define DELAYS_QUEUE (4 * NSEC_PER_MSEC)
/* The jitter is no more, whatever a peer says: steps of control are some times as long. */
#define DELAYS_JITTER_MAX (100 * NSEC_PER_MSEC)

/* The minimum of the last one to two spans. */
struct span_min {
	nsec_t now, before;
	nsec_t since;
};

struct delays {
	bool is_known;		    /* something has been reported */
	struct span_min round_trip; /* sent to reported */
	struct span_min base;	    /* of the path itself, over many seconds */
	struct span_min standing;   /* about one round trip */
	struct span_min settled;    /* so much longer that jitter hardly shows */
	double jitter;		    /* standing - settled, on average */
	nsec_t tolerated;	    /* delay beyond the base that is not ours to take away */
	nsec_t queue;		    /* standing - base - tolerated */
	/* jumps */
	nsec_t last, last_at;	/* the delay in the report before, and when that was sent */
	nsec_t jump, jumped_at; /* of the delay, the last time it did; and since then: */
	nsec_t highest;
	unsigned steps_since_jump;
};

/* Of a packet, in nanoseconds of our clock and the peer's. */
struct delay_sample {
	nsec_t sent, arrived;
	bool is_copy;	  /* it may be the original that has come */
	bool is_draining; /* we give way to the queue: its shrinking is no jitter */
};

void delays_init(struct delays *d, nsec_t now);
void delays_add(struct delays *d, const struct delay_sample *sample, nsec_t now);

/* From sending to its report, without queues; a guess while none has come. */
nsec_t delays_round_trip(const struct delays *d);
/* From sending to arrival, without our queue. */
nsec_t delays_one_way(const struct delays *d);

/* Is the queue longer than so many of DELAYS_QUEUE, and not by jitter? */
bool delays_exceed(const struct delays *d, double queues);
/* Has there been a long one for some time? */
bool delays_have_queue(const struct delays *d);
/* Is it short now? And has it been so for some time? */
bool delays_are_short(const struct delays *d);
bool delays_have_been_short(const struct delays *d);

/* A step of control has passed, in which what was sent arrived more slowly, or not. */
void delays_step(struct delays *d, bool is_slower);
/*
 * We have given way to a queue since then, long enough, and it has stayed: then it is not ours. The
 * path has become longer (DELAYS_LONGER), or it has become a little longer, or others have made the
 * queue; that is put up with (DELAYS_TOLERATED) or too much (DELAYS_QUEUED).
 */
enum delays_verdict { DELAYS_QUEUED, DELAYS_TOLERATED, DELAYS_LONGER };
enum delays_verdict delays_settle(struct delays *d, nsec_t since, nsec_t now);
