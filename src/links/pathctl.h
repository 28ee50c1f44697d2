/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Path control: how fast a path may be sent on, learnt from the peer's receive reports. It
 * keeps the queue that our own packets build on the path short (PATHCTL_QUEUE) and its
 * sending rate at what arrives; random loss is no signal. In the spirit of BBR (a delivery
 * rate, pacing, a window) and LEDBAT (one-way queueing delay as the signal; the two clocks'
 * offset cancels in differences). docs/design/path-control.md
 * Owner: the TUN reader. Pure: time comes in as an argument.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "links/delays.h"
#include "links/sentlog.h"
#include "util/clock.h"

/* The standing queue aimed at. */
#define PATHCTL_QUEUE DELAYS_QUEUE
/* Bytes per second: before anything is known, and at the least. */
#define PATHCTL_RATE_START (1250.0 * 1000)
#define PATHCTL_RATE_MIN (12.5 * 1000)
/*
 * Faster paths (2 Gbit/s) are not paced: what holds them up is our own CPU or the peer's, a burst
 * of 64 KB takes a quarter of a millisecond there, and sleeping for less costs more than it saves.
 */
#define PATHCTL_RATE_FAST (250.0 * 1000 * 1000)
/*
 * What may be unreported there, beyond a round trip's worth: as much time, and so many bytes. Cores
 * that several threads share give turns of some milliseconds, and running out of work within one
 * costs wake-ups and cold caches; but all of it is a queue that small packets wait in too.
 */
#define PATHCTL_FAST_QUEUE (4 * NSEC_PER_MSEC)
#define PATHCTL_FAST_BYTES (2 << 20)
/* ... while there are some. */
#define PATHCTL_FAST_QUEUE_SHARED (NSEC_PER_MSEC / 4)
#define PATHCTL_FAST_BYTES_SHARED (256 << 10)
/*
 * What may stand before the peer, beyond a round trip's worth, over all paths together: they may
 * all end in one socket there. By default that holds 8 MB as the kernel counts, which is 5 MB of
 * datagrams that come one by one.
 */
#define PATHCTL_STANDING_BYTES (4 << 20)
/* Bursts are cut to this much of a path's rate. */
#define PATHCTL_BURST (2 * NSEC_PER_MSEC)
/* What the peer tells of the data that came over a path. */
struct pathctl_report {
	uint32_t session;  /* index of the session ... */
	uint64_t counter;  /* ... and counter of the packet that came last */
	uint64_t rx_bytes; /* of data, up to and with that packet, since the path was made */
	nsec_t arrival;	   /* when it came, by the peer's clock */
};

enum pathctl_state {
	PATHCTL_START,	 /* of a path of which nothing is known: it may be sent ever more */
	PATHCTL_RESTART, /* it has become faster, or longer: likewise */
	PATHCTL_CYCLE,	 /* what it gives, and now and then a little more */
	PATHCTL_DRAIN,	 /* the queue is too long: less than arrives, until it is short */
};

struct pathctl {
	uint32_t epoch; /* the caller's: whose state this is */
	/* by whoever sends, from the next report on */
	double cap;	/* in bytes per second; 0: none */
	bool is_shared; /* something small goes the same way */
	/* what was sent, and how long it took */
	struct sentlog sent;
	struct delays delays;
	/* control */
	enum pathctl_state state;
	double rate; /* bytes per second that may leave now: the capacity times the state's gain */
	double rate_start;
	unsigned phase; /* of the cycle */
	nsec_t phase_since, drain_since;
	double drain_to; /* the capacity that the queue has shown */
	/* sending */
	nsec_t next_send, last_sent;
	nsec_t progress; /* when the last report acknowledged something new */
	bool is_wanted;	 /* somebody wanted to send more than was allowed, since the last step */
	bool is_blocked; /* by the window, since something was sent */
	/* All that was sent up to there left before more was wanted: it shows no limit. */
	uint64_t idle_mark;
	/* rounds: one begins when what was sent before the last one began has arrived */
	uint64_t round_begin, round_mark;
	unsigned rounds_without_growth;
	bool is_overrun; /* since it began, more was sent at once than the path takes */
	double round_capacity;
	/* delivery: bytes per second */
	double capacity; /* the largest delivery rate of late */
	double capacity_now, capacity_before;
	nsec_t capacity_since;
	double delivered;   /* in the last step */
	double full_before; /* in the step before, if it was full; otherwise 0 */
	uint64_t step_bytes;
	uint64_t step_sent, step_acked;
	nsec_t step_arrival, step_at; /* when it came, and when it was sent */
	bool has_step;
};

/* It begins with `share` (up to 1) of PATHCTL_RATE_START. */
void pathctl_init(struct pathctl *c, uint32_t epoch, double share, nsec_t now);

/* Is it too fast to be paced? */
bool pathctl_is_fast(const struct pathctl *c);

/* Data was given to the path. */
void pathctl_sent(struct pathctl *c, enum sent_kind kind, uint32_t session, uint64_t counter,
		  uint32_t packets, uint64_t bytes, nsec_t now);
/* A report has come. False: it is about nothing that is outstanding. */
bool pathctl_report(struct pathctl *c, const struct pathctl_report *r, nsec_t now);

/*
 * When the path may be given `bytes` more: now or earlier, later (pacing), or NSEC_NEVER (its
 * window is full, or PATHCTL_STANDING_BYTES: ask again after a report, or when it is silent).
 * `standing` is the sum of pathctl_standing() of all paths beside it, itself included.
 */
nsec_t pathctl_ready_at(struct pathctl *c, uint64_t bytes, double standing, nsec_t now);
/* What is outstanding beyond a round trip's worth. */
double pathctl_standing(const struct pathctl *c);
/* When bytes given to it now would arrive, on a scale that all paths of a peer share. */
nsec_t pathctl_arrival(const struct pathctl *c, uint64_t bytes, nsec_t now);
/* When all that has been given to it will have been reported. */
nsec_t pathctl_reported_at(const struct pathctl *c, nsec_t now);
/*
 * Something is outstanding, and reports have failed to come for several round trips: nothing
 * should depend on this path now.
 */
bool pathctl_is_silent(const struct pathctl *c, nsec_t now);
nsec_t pathctl_silent_at(const struct pathctl *c);
/* What may have been sent on it until its silence is noticed. */
uint64_t pathctl_exposure(const struct pathctl *c);
/* How large a burst should be at most. */
uint64_t pathctl_burst_bytes(const struct pathctl *c);
/* Is it still the first start, of a path of which nothing was known? */
bool pathctl_is_new(const struct pathctl *c);
/* Has there been a long queue on it for some time, ours or that of others? */
bool pathctl_has_queue(const struct pathctl *c);
/* What is left of the queue that was measured, since we last sent. */
nsec_t pathctl_queue(const struct pathctl *c, nsec_t now);
/* From sending to its report, without queues; a guess while none has come. */
nsec_t pathctl_round_trip(const struct pathctl *c);
uint64_t pathctl_inflight(const struct pathctl *c);
