/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Is a path alive? A state machine fed with the pings sent on it, the answers (authenticated
 * ones, by their number) and the link's errors. Owner: the monitor thread. Pure: time comes in
 * as an argument, and acting on a change is up to the caller.
 *
 *             pong                    timeout without an answer, or link error
 *   PROBING --------> UP  ------------------------------------------------------> DOWN
 *      |                ^                                                           |
 *      | timeout        +---- `up` answers in a row, and no hold in force ----------+
 *      +--> DOWN
 *
 * Only answers bring a path up; sending never does. A timeout counts from the oldest unanswered
 * ping, so that later pings do not put it off. A path that goes down soon after it came up is held
 * down, each time twice as long.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "links/settings.h"
#include "util/clock.h"

/* A path that has been up for so long does not flap. */
#define HEALTH_STABLE_TIME (60 * NSEC_PER_SEC)
/* How long it is held down when it flaps for the first time. */
#define HEALTH_HOLD_FIRST NSEC_PER_SEC
/* Pings follow each other this fast while a path is coming back, */
#define HEALTH_RECOVERY_INTERVAL (100 * NSEC_PER_MSEC)
/* and this fast while it is in doubt: new, or with an answer overdue. */
#define HEALTH_DOUBT_INTERVAL (250 * NSEC_PER_MSEC)
/*
 * While it is down: so that, with the recovery pings, it is up again within a second of its return.
 */
#define HEALTH_DOWN_INTERVAL (500 * NSEC_PER_MSEC)
/*
 * After an event that may have mended a link: for so long errors mean little, and pings are fast.
 */
#define HEALTH_RETRY_TIME (3 * NSEC_PER_SEC)
/* How many pings are remembered; answers to older ones tell nothing. */
#define HEALTH_PINGS 32

enum health_state {
	HEALTH_PROBING, /* never answered yet */
	HEALTH_UP,
	HEALTH_DOWN,
};

struct health_ping {
	uint32_t number;
	bool is_answered;
	nsec_t sent;
	uint64_t tx_packets; /* sent on the path before it */
};

struct health {
	enum health_state state;
	nsec_t since;		 /* of the state */
	nsec_t unanswered_since; /* send time of the oldest ping that is unanswered; 0: none */
	nsec_t error_until;	 /* after a link error: no data before this time */
	nsec_t retry_until;	 /* after health_retry() */
	uint32_t next_number;
	uint32_t newest_answered;
	unsigned pongs_in_row; /* to pings sent since it went down */
	uint64_t n_downs;
	uint64_t n_flaps;  /* downs that came soon after an up */
	nsec_t held_until; /* after a flap: not up before this time */
	nsec_t hold;	   /* the last one; 0: none, or it has been stable since */
	struct health_ping pings[HEALTH_PINGS]; /* by number modulo HEALTH_PINGS */
	nsec_t rtt;				/* smoothed as RFC 6298 does; 0 until measured */
	nsec_t rtt_var;
	nsec_t rtt_min;
	nsec_t rtt_since; /* pings sent earlier went another way */
	nsec_t next_ping;
	bool is_standing_by;
};

void health_init(struct health *h, nsec_t now);

/* When the next ping is due, or the timeout expires, whichever is first. */
nsec_t health_deadline(const struct health *h, const struct health_settings *s);
/* Is a flap all that keeps it from being up? */
bool health_is_held(const struct health *h, const struct health_settings *s);
/* An answer that takes longer than this is a missed one. */
nsec_t health_patience(const struct health *h, const struct health_settings *s);
/* Is an answer missed? */
bool health_is_overdue(const struct health *h, const struct health_settings *s, nsec_t now);
/*
 * A backup path carries nothing, since others work: while it is up and answers, it is pinged only
 * every backup_interval.
 */
void health_stand_by(struct health *h, const struct health_settings *s, bool is_standing_by);
/* It may be needed soon: its next ping is due as if it did not stand by. */
void health_rouse(struct health *h, const struct health_settings *s);
/* Is a ping due? */
bool health_wants_ping(const struct health *h, nsec_t now);
/* A ping leaves; returns its number. `tx_packets`: what was sent on the path before it. */
uint32_t health_ping_sent(struct health *h, const struct health_settings *s, uint64_t tx_packets,
			  nsec_t now);

/*
 * The peer has answered ping `number`. True if the state changed. False, and nothing changes,
 * for a number that is not outstanding. `ret_ping` (may be NULL) gets what was kept of it.
 */
bool health_pong(struct health *h, const struct health_settings *s, uint32_t number, nsec_t now,
		 bool *ret_is_valid, struct health_ping *ret_ping);

/* A stock peer's path, which is not pinged: something authentic came over it. */
void health_heard(struct health *h, const struct health_settings *s, nsec_t now);

/* The path leads another way from now on, of whose round trip nothing is known. */
void health_forget_rtt(struct health *h, nsec_t now);

/* Sending failed, or the link lost its socket. True if the state changed. */
bool health_link_error(struct health *h, const struct health_settings *s, nsec_t now);
/*
 * The cause of an error may be gone: its back-off ends, and a ping is due. That one may fail too,
 * because it is too early (the kernel announces an address before it makes the route), so more
 * follow.
 */
void health_retry(struct health *h, nsec_t now);
/*
 * A stock peer's path: an expected answer has not come. True if the state changed. This lasts
 * until health_init(), or until the cause may be gone (health_retry()).
 */
bool health_unanswered(struct health *h, const struct health_settings *s, nsec_t now);
/* Is that so now? */
bool health_needs_answer(const struct health *h);
/* The peer says that the path is down for it. True if the state changed. */
bool health_peer_down(struct health *h, const struct health_settings *s, nsec_t now);
/* Call at the deadline. True if the state changed. */
bool health_expire(struct health *h, const struct health_settings *s, nsec_t now);

const char *health_state_name(enum health_state state);
