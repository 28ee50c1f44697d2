/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * What the files of this folder share: device.c keeps the peers, handshake.c the messages,
 * session.c the keypairs, timers.c the deadlines. Owner: the handshake thread.
 */
#pragma once

#include "peers/device.h"
#include "peers/index.h"
#include "peers/ratelimit.h"

struct device_checker {
	struct cookie_checker cookies;
	struct rcu_link rcu;
};

struct device {
	/* constant */
	struct device_calls calls;
	void *ctx;
	/* handshake thread */
	struct noise_identity identity;
	bool has_identity;		/* else there are no handshakes */
	struct ratelimit *ratelimit;	/* handshakes under load */
	struct ratelimit *cookie_limit; /* and cookies */
	nsec_t cookies_full_at;		/* of all sources: when as many as go may be sent again */
	struct timerq timers;
	struct peer **buckets; /* by public key */
	size_t n_buckets;      /* a power of two */
	size_t n_peers;
	/* RCU; any thread reads the key of mac1, the rest is the handshake thread's */
	RCU_SLOT(struct device_checker) checker;
	struct index_table index;
};

/* In peer.pokes of a peer that is being removed: it is told to nobody any more. */
#define POKES_CLOSED (1U << 31)

/* handshake.c */

/* A session is wanted, or a fresher one: sends an initiation unless one was sent lately. */
void handshake_want(struct peer *p, nsec_t now);
/* The same again, because the last one got no answer. */
void handshake_retry(struct peer *p, nsec_t now);
/*
 * There is an address that was not there before: an initiation that awaits its response goes there
 * too, since it may have gone nowhere yet; else as handshake_want().
 */
void handshake_over_new_path(struct peer *p, nsec_t now);
/*
 * A session is there, and with it a path that works: an initiation over another one, to see whether
 * that works too. It is not repeated, and not sent while there is a handshake anyway.
 */
void handshake_try_path(struct peer *p, nsec_t now);
/* It has not been answered in time. */
void handshake_end_trial(struct peer *p);
/* Sends the last initiation over the next path, answered or not. */
void handshake_send_copy(struct peer *p, nsec_t now);
/* There is a session: no more initiations, and no answer to the last one is awaited. */
void handshake_complete(struct peer *p, nsec_t now);
/* So is there if the peer has sent on the next session, which becomes the current one then. */
void handshake_confirm_next(struct peer *p, nsec_t now);
/*
 * The answer to our initiation, should it come, is not wanted any more, nor further copies of it.
 */
void handshake_forget(struct peer *p);
/* The response that is kept for copies of its initiation. */
void handshake_forget_answer(struct peer *p);

/* session.c */

/* Makes the session that a handshake of `p` at `index` has given. 0, -ENOMEM or -EIO. */
int session_new(struct keypair **ret, struct peer *p, const struct noise_session_keys *keys,
		uint32_t local_index, uint32_t remote_index, nsec_t now);
void session_add_initiated(struct peer *p, struct keypair *k);
void session_add_responded(struct peer *p, struct keypair *k);
/* The peer has sent on the next session: it becomes the current one. False: it has not. */
bool session_confirm_next(struct peer *p);
bool session_can_send(struct peer *p, nsec_t now);
void session_drop_all(struct peer *p);

/* timers.c */

void timers_init(struct peer *p);
/* After anything that moves a deadline of the peer. */
void timers_arm(struct peer *p, nsec_t now);
/* Sends an empty message, or asks for the session that it needs. */
void timers_send_keepalive(struct peer *p, nsec_t now);
