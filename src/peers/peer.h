/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A peer: its keys, its sessions and what the timers of the paper (section 6) need to know.
 * The handshake thread owns it; other threads read the sessions by RCU and leave marks.
 * The dataplane embeds it in its own peer (container_of).
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "crypto/cookie.h"
#include "crypto/noise.h"
#include "peers/keypair.h"
#include "peers/tally.h"
#include "util/addr.h"
#include "util/timerq.h"

struct device;

/* Where a message came from, and where its answer goes. */
struct origin {
	uint32_t link; /* the caller's number of the link */
	struct addr remote;
	struct addr local; /* the address that it was sent to; AF_UNSPEC if unknown */
};

/* What another thread tells the handshake thread about a peer. */
enum peer_poke {
	POKE_HANDSHAKE = 1, /* a session is wanted, or a fresher one */
	POKE_CONFIRMED = 2, /* the first packet came on the next session */
	POKE_WATCH = 4,	    /* traffic again: the timers must look at it */
	POKE_PATH = 8,	    /* the same, and there is an address that was not there before */
	POKE_TRIAL = 16,    /* a path is in doubt: does it carry a handshake? */
};

/* A response, for the copies of its initiation that come over other links. */
struct answer {
	uint8_t mac1[COOKIE_LEN]; /* of the initiation */
	struct origin origin;
	struct wg_response msg;
	unsigned n_left;
};

/* A handshake begun here. */
struct initiation {
	struct noise_handshake state; /* wiped when it has its response */
	struct wg_initiation msg;     /* for the next path */
};

struct peer {
	/* constant */
	struct device *device;
	/* RCU; the handshake thread writes */
	RCU_SLOT(struct keypair) current;
	RCU_SLOT(struct keypair) previous;
	RCU_SLOT(struct keypair) next;
	/* atomic: marks of the data path */
	_Alignas(64) _Atomic nsec_t last_sent; /* any authenticated packet */
	_Atomic nsec_t last_received;
	_Atomic nsec_t sent_since;     /* first data sent since something was received; 0: none */
	_Atomic nsec_t received_since; /* first data received since something was sent; 0: none */
	_Atomic unsigned pokes;
	_Atomic bool is_watched;
	struct peer *next_poked; /* while it has pokes: the caller's, for its queue of peers */
	/* atomic: written by the handshake thread, read for status */
	_Atomic nsec_t last_handshake;	    /* when a session was last completed; 0: never */
	_Atomic nsec_t last_handshake_wall; /* the same by the wall clock, as it was then */
	_Atomic uint64_t n_initiations;	    /* that were begun from here */
	_Atomic uint64_t n_handshakes;
	_Atomic(struct tally) tally; /* of those begun from here */
	/* handshake thread */
	struct noise_remote remote;
	uint16_t persistent_keepalive; /* seconds; 0: off */
	bool is_wanted_up;  /* keep a session at all times, retry for ever (it has an endpoint) */
	bool is_initiating; /* our initiation awaits its response */
	bool is_trial; /* ... and went over one path only, to see whether it is answered there */
	bool has_handshake_index;
	struct initiation *initiation; /* NULL: none that is awaited, or has paths left */
	unsigned n_copies;	       /* paths that have had it */
	nsec_t copy_at;		       /* when the next one does; NSEC_NEVER: none */
	unsigned n_attempts;	       /* initiations since a session was last asked for */
	unsigned n_unanswered;	       /* in a row, before the present one */
	nsec_t last_initiation_sent;
	nsec_t last_initiation_received;
	nsec_t retransmit_at; /* NSEC_NEVER: not armed */
	nsec_t zero_keys_at;
	nsec_t jitter; /* drawn anew for each initiation, so that two peers do not stay in step */
	uint8_t latest_timestamp[NOISE_TIMESTAMP_LEN];
	struct answer *answer; /* to the last initiation; NULL: none */
	struct cookie_jar cookies;
	struct timer timer;
	struct peer *next_in_bucket;
};

/*
 * Any thread: tells the handshake thread, through the device's poke callback, unless it has been
 * told the same already. Never blocks.
 */
void peer_poke(struct peer *p, enum peer_poke what);

/*
 * Data path, once per burst: packets were sent at `now`. `is_data`: not only keepalives or control.
 */
void peer_mark_sent(struct peer *p, nsec_t now, bool is_data);
/* Data path, once per burst: authenticated packets were received. */
void peer_mark_received(struct peer *p, nsec_t now, bool is_data);

/*
 * Data path: asks for a new session if the one just sent on is old (REKEY_AFTER_TIME,
 * REKEY_AFTER_MESSAGES) ...
 */
void peer_check_rekey_sent(struct peer *p, struct keypair *k, nsec_t now);
/* ... or the one just received on soon ends; and confirms the next session. */
void peer_check_rekey_received(struct peer *p, struct keypair *k, nsec_t now);

/* The session to send on, or NULL if there is none (then the caller pokes POKE_HANDSHAKE). */
struct keypair *peer_send_session_rcu(struct peer *p, nsec_t now);
