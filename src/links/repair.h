/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Repair: the missing packets that the peer is asked to send again: which, since when, and how long
 * to wait for them. That follows how long recent repairs took; a peer that does not answer is not
 * asked for a while. For the resequencer, in whose positions it counts; pure, time comes in as an
 * argument. docs/design/repair.md
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/clock.h"

#define REPAIR_GAPS 256
/* Gaps that were given up, but may still be filled. */
#define REPAIR_GIVEN_UP 32
/* A request may get lost, and so may what it brings. */
#define REPAIR_TRIES 3
/* Between two packets of requests. */
#define REPAIR_INTERVAL NSEC_PER_MSEC
#define REPAIR_WAIT_MIN (10 * NSEC_PER_MSEC)
#define REPAIR_WAIT_START (80 * NSEC_PER_MSEC)
#define REPAIR_WAIT_MAX (400 * NSEC_PER_MSEC)
/* After so many gaps in vain we do not ask for a time, which doubles until an answer comes. */
#define REPAIR_TRUST 8
#define REPAIR_PAUSE_MIN (250 * NSEC_PER_MSEC)
#define REPAIR_PAUSE_MAX (5 * NSEC_PER_SEC)

/* Missing: [begin, end). In their order; what has come since is cut off. */
struct repair_gap {
	uint64_t begin, end;
	nsec_t since; /* asked first */
	nsec_t asked; /* asked last */
	unsigned tries;
	bool is_lost; /* for sure; else it may still come by itself, which tells nothing */
};

struct repair {
	struct repair_gap gaps[REPAIR_GAPS];
	unsigned head, tail;			     /* modulo REPAIR_GAPS; equal: none */
	struct repair_gap given_up[REPAIR_GIVEN_UP]; /* the newest at n_given_up - 1, in turn */
	unsigned n_given_up;
	uint64_t filled;   /* what was asked for and came last, ... */
	nsec_t filled_at;  /* ... and when; 0: nothing has */
	nsec_t longest;	   /* from asking to coming, decaying */
	unsigned patience; /* so many times that, while it is not known whether that is enough */
	bool has_measured;
	nsec_t round_trip; /* by the resequencer's user: no answer comes sooner; 0: not known */
	nsec_t next_ask;
	unsigned trust;
	nsec_t paused_until;
	nsec_t pause; /* the next one */
};

void repair_init(struct repair *r);
/* Is it worth asking? */
bool repair_is_on(const struct repair *r, nsec_t now);
/* A gap behind all others; false if there are too many. */
bool repair_add(struct repair *r, uint64_t begin, uint64_t end, bool is_lost, nsec_t now);
/* A packet has come: true if it was being waited for. */
bool repair_filled(struct repair *r, uint64_t position, nsec_t now);
/*
 * A packet has come that nobody waits for any more: true if it was asked for, and given up too
 * early. Then asking is of use, only the wait was too short.
 */
bool repair_late(struct repair *r, uint64_t position, nsec_t now);
/* Until when to wait for what is missing before `position`; 0 if nothing of it was asked for. */
nsec_t repair_deadline(const struct repair *r, uint64_t position);
/* What is missing before `position` is given up. */
void repair_give_up(struct repair *r, uint64_t position, nsec_t now);
/* Measurements age: call it now and then while packets come. */
void repair_decay(struct repair *r);

/* May a packet of requests be sent now? Then repair_next() gives what to put into it. */
bool repair_may_ask(const struct repair *r, nsec_t now);
/* The next gap to ask for, from `*at` (0 to begin with) on; it counts as asked. NULL: no more. */
const struct repair_gap *repair_next(struct repair *r, unsigned *at, nsec_t now);
/* When there will be something to ask for; NSEC_NEVER. */
nsec_t repair_ask_at(const struct repair *r);

static inline bool repair_is_empty(const struct repair *r)
{
	return r->head == r->tail;
}
