/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A network as a WireGuard peer: its identity, its peers, and the handshakes with them.
 * Owner: the handshake thread, which feeds it messages, pokes and time. Other threads use
 * only device_session_rcu(), device_check_mac1() and what peer.h allows. No I/O of its own.
 */
#pragma once

#include "crypto/cookie.h"
#include "peers/peer.h"
#include "util/addr.h"
#include "util/drops.h"

/* Upward calls; all but `poke` on the handshake thread. None may fail or block. */
struct device_calls {
	/*
	 * Sends an initiation over the peer's `nth` path; 0 is the best or, when n_unanswered have
	 * got no answer, the one so many behind it. Are there more?
	 */
	bool (*send)(void *ctx, struct peer *p, unsigned nth, const void *msg, size_t len);
	/* Sends it over the path that POKE_TRIAL was about. */
	void (*send_trial)(void *ctx, struct peer *p, const void *msg, size_t len);
	/* Sends a handshake message back where one came from. */
	void (*reply)(void *ctx, const struct origin *to, const void *msg, size_t len);
	/* Sends an empty transport message; it has been marked as sent. */
	void (*send_keepalive)(void *ctx, struct peer *p);
	/* There is a session to send on that was not there before. */
	void (*session_ready)(void *ctx, struct peer *p);
	/* An authentic handshake message came from there. */
	void (*heard_from)(void *ctx, struct peer *p, const struct origin *from);
	/* The TAI64N stamp of an initiation: greater than all before it, also across restarts. */
	void (*timestamp)(void *ctx, uint8_t ret[NOISE_TIMESTAMP_LEN]);
	/* Any thread: the peer has pokes and is to be given to device_handle_pokes(), once. */
	void (*poke)(void *ctx, struct peer *p);
};

struct device;

/* 0 or -ENOMEM. `private_key` (zero: none yet, and no handshakes) is copied, and wiped with it. */
int device_new(struct device **ret, const uint8_t private_key[32], const struct device_calls *calls,
	       void *ctx);
/* All peers are gone and no other thread uses it. */
void device_free(struct device *d);
/* Zero if it has no private key. */
const uint8_t *device_public_key(const struct device *d);
/*
 * Another private key (zero: none): all sessions and handshakes end. device_start() begins new
 * ones, when no peer has its public key. 0 or -ENOMEM.
 */
int device_set_private_key(struct device *d, const uint8_t private_key[32], nsec_t now);

/* Makes room, so that the next `n` device_insert_peer() have memory. 0 or -ENOMEM. */
int device_reserve_peers(struct device *d, size_t n);
/*
 * Adds a peer, in the caller's storage, zeroed but for `remote`. 0, -EEXIST for a key known already
 * or our own, -ENOMEM.
 */
int device_insert_peer(struct device *d, struct peer *p, uint16_t persistent_keepalive,
		       bool is_wanted_up);
/* Makes it unreachable: no session of it is found from here on, and no poke is told. */
void device_unlink_peer(struct device *d, struct peer *p);
/* Any thread, once no other can have it in its hands any more: then its storage may be freed. */
void device_wipe_peer(struct peer *p);
struct peer *device_find_peer(struct device *d, const uint8_t public_key[32]);

/* Any thread: does this initiation or response carry our mac1? */
bool device_check_mac1(const struct device *d, const void *msg, size_t len);
/* Any thread: the session whose packets carry this index; NULL if there is none. */
struct keypair *device_session_rcu(const struct device *d, uint32_t local_index);

/*
 * A handshake message (types 1 to 3) that has passed device_check_mac1() where it has one.
 * `is_under_load`: then initiations and responses must carry a valid mac2. Counts what it refuses.
 */
void device_receive(struct device *d, const void *msg, size_t len, const struct origin *from,
		    bool is_under_load, nsec_t now, struct drops *drops);
/* For the handshakes to come. */
void device_set_preshared_key(struct peer *p, const uint8_t preshared_key[32]);
/* Switched on, it begins with a keepalive if there is a session. */
void device_set_keepalive(struct peer *p, uint16_t persistent_keepalive, nsec_t now);
void device_set_wanted_up(struct peer *p, bool is_wanted_up, nsec_t now);
void device_handle_pokes(struct peer *p, nsec_t now);
/* Begins the handshake with a peer that is known to have lost its session, at that time ... */
void device_resume_peer(struct peer *p, nsec_t at, nsec_t now);
/* ... or with all that are wanted up. */
void device_start(struct device *d, nsec_t now);
/* Runs what is due; returns the next deadline or NSEC_NEVER. */
nsec_t device_run_timers(struct device *d, nsec_t now);
