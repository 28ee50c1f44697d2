/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Resequencer: puts one peer's packets back in order. The order is (session, counter), which
 * all links of the peer share. A packet that comes before its predecessors is held until
 *  (a) they have come;
 *  (b) they are proven lost: links are FIFO, so once every active path has delivered
 *      something later, what is missing is not coming (a path that is seen to reorder a
 *      little has to be that much further ahead);
 *  (c) a deadline passes, which follows the measured delay spread of the paths.
 * With repair, the peer is asked at (b) and (c) to send the missing packets again, and the wait
 * goes on for as long as that usually takes (links/repair.h); RESEQ_HOLD_MAX bounds both together.
 * A packet that comes after it was given up is delivered at once, never dropped.
 * docs/design/resequencer.md has the reasons and the numbers.
 *
 * Sessions form one line of positions: a new session begins RESEQ_SESSION_SLACK positions
 * behind the last one seen of the session before it, so that stragglers of that one still
 * find their place and a rekey is just another gap.
 *
 * Owner: whoever holds the peer's receive lane. Not thread-safe. Time comes in as an
 * argument. Nothing here blocks, and it allocates only once, when the first packet is held.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/clock.h"

/* Path slots 0..15, and one for packets from a source that is no path (yet). */
#define RESEQ_PATH_UNKNOWN 16
#define RESEQ_PATHS 17
#define RESEQ_WINDOW 8192 /* positions between the oldest gap and the newest held packet */
#define RESEQ_SESSION_SLACK 1024
#define RESEQ_HOLD_MIN (2 * NSEC_PER_MSEC)
#define RESEQ_HOLD_START (50 * NSEC_PER_MSEC)
#define RESEQ_HOLD_MAX (400 * NSEC_PER_MSEC)
/* At most so many packets wait, but not for repairs; beyond that they wait like all others. */
#define RESEQ_HURRIED 64
/* Ranges apart from the order that are remembered. */
#define RESEQ_APART 64

struct reseq;

enum reseq_verdict {
	RESEQ_DELIVER, /* next in order: deliver it now, then pop what it sets free */
	RESEQ_LATE,    /* its place was given up, or it has none: deliver it now */
	RESEQ_HOLD,    /* keep it: pass it to reseq_hold(), then pop */
};

struct reseq_stats {
	uint64_t in_order, held, late; /* packets */
	uint64_t proven_lost;	       /* packets */
	uint64_t deadlines;	       /* gaps given up without proof: by time, or a full window */
	uint64_t asked, repaired;      /* packets that the peer was asked for, and that then came */
};

/* What is missing: `n` packets of a session from `counter` on. */
struct reseq_gap {
	uint32_t session;
	uint64_t counter;
	uint32_t n;
};

/* What reseq_hold() is given for a packet that has nothing to deliver (a control frame). */
extern char reseq_nothing[];

int reseq_new(struct reseq **ret); /* 0 or -ENOMEM */
/* Nothing may be held any more (reseq_flush()). */
void reseq_free(struct reseq *r);

/*
 * A packet of session number `session` (growing by one with each of the peer's sessions) has
 * come over path slot `path`. It is authentic and no replay.
 */
enum reseq_verdict reseq_offer(struct reseq *r, unsigned path, uint32_t session, uint64_t counter,
			       nsec_t now);
/*
 * A copy of a packet that was offered before has come over `path`: nothing to deliver, but
 * it shows how far that path is, so that redundant paths wait for each other. Then pop.
 */
void reseq_copy(struct reseq *r, unsigned path, uint32_t session, uint64_t counter, nsec_t now);
/*
 * Keeps `item` for a packet just judged RESEQ_HOLD. False, and the item stays the caller's, if
 * there is no memory for it, or a flush has passed its place since: then the caller flushes and
 * delivers.
 */
bool reseq_hold(struct reseq *r, uint32_t session, uint64_t counter, void *item, nsec_t now);
/*
 * The packet just judged RESEQ_HOLD is delivered even so, out of order. False: that cannot be
 * noted, hold it.
 */
bool reseq_pass(struct reseq *r, uint32_t session, uint64_t counter);
/*
 * The packet just held need not wait for repairs: reseq_pop() returns it once everything missing
 * before it is known to be lost.
 */
void reseq_hurry(struct reseq *r, uint32_t session, uint64_t counter);

/*
 * The peer says that `n` packets from `counter` on are not part of the order: nothing waits for
 * them, and when they come they are RESEQ_LATE. Then pop.
 */
void reseq_apart(struct reseq *r, uint32_t session, uint64_t counter, uint32_t n, nsec_t now);

/*
 * May the peer be asked for what is missing? At first, no. An answer takes at least `round_trip`; 0
 * if that is not known.
 */
void reseq_allow_repair(struct reseq *r, bool is_allowed, nsec_t round_trip);
bool reseq_may_repair(const struct reseq *r);
/* What to ask for now, at most `max` gaps; once per batch, after reseq_pop(). */
unsigned reseq_ask(struct reseq *r, nsec_t now, struct reseq_gap *ret, unsigned max);

/*
 * The next held item that may be delivered now, in order; NULL if there is none. Called until
 * then after every packet, and at the deadline.
 */
void *reseq_pop(struct reseq *r, nsec_t now);
/* The next held item whether or not its predecessors came; NULL when nothing is held. */
void *reseq_flush(struct reseq *r);

/*
 * When reseq_pop() or reseq_ask() will give something without further packets; NSEC_NEVER if
 * nothing is held.
 */
nsec_t reseq_deadline(const struct reseq *r);
size_t reseq_held(const struct reseq *r);
/* The hold time in force. Any thread may read it and the statistics (relaxed). */
nsec_t reseq_hold_time(const struct reseq *r);
void reseq_stats(const struct reseq *r, struct reseq_stats *ret);
