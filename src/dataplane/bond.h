/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Bond: a peer with the paths that lead to it, its send side (outlet) and its receive side (lane).
 * Here peers and links meet.
 */
#pragma once

#include "dataplane/lane.h"
#include "links/path.h"
#include "peers/peer.h"
#include "util/container.h"

struct edit;
struct network;
struct outlet;
struct peer_settings;
struct probe;

struct bond {
	/* constant */
	struct network *network;
	/* written while monitor and main thread meet, but for names and keys, which are constant */
	struct peer_settings *settings;
	size_t number;	     /* its place in the network's array */
	struct probe *probe; /* monitor; NULL until there is something to do for it */
	bool is_recalled;    /* monitor: the supervisor knows of it */
	/* main thread, before it sends errands to the others */
	_Atomic bool is_removed;
	struct edit *edit; /* in a change: what becomes of it */
	/* RCU; the monitor writes */
	RCU_SLOT(struct path_set) paths;
	/* the monitor; read by the handshake thread after POKE_TRIAL */
	_Atomic uint8_t trial_slot; /* the path that is to be tried */
	/* any thread: of queues that all peers share, with what its packets bring */
	_Atomic uint32_t events_queued; /* monitor_post() */
	_Atomic uint32_t frames_queued; /* tx_post_frame() */
	/* TUN reader */
	_Atomic(struct outlet *) outlet; /* made when needed; read for status */
	/* any thread that sends; the receive lane */
	struct path_count inner_sent;
	struct path_count inner_received;
	struct lane lane;
	struct peer peer;
};

static inline struct bond *bond_of(struct peer *p)
{
	return container_of(p, struct bond, peer);
}

/* Room in a burst for one datagram with `payload` bytes of plaintext. */
static inline uint32_t datagram_len(size_t payload)
{
	return (uint32_t)(payload + MESSAGE_DATA_OVERHEAD);
}

/*
 * Appends a datagram to the burst, which has room for it: a transport message of that session
 * and counter with `len` bytes of plaintext. These lie where their ciphertext goes, or outside
 * of the burst. False if libcrypto refuses; the burst is then as it was. Any thread.
 */
bool bond_seal_next(struct burst *b, const struct keypair *k, uint64_t counter, const uint8_t *src,
		    size_t len);

/*
 * Inside a read section, the TUN reader or whoever has the lock of the share: consecutive counters
 * for packets bound to paths. Another vtrunkd is told that they stand apart from the order. False:
 * the session is used up.
 */
bool bond_take_bound_rcu(struct bond *bond, struct keypair *k, uint8_t binding, uint32_t n,
			 uint64_t *ret_first);

/*
 * Any thread, inside a read section: sends one control packet or keepalive (`len` 0) over
 * `path`, or, when that is NULL, over all active ones. False if there is no session,
 * buffer or room.
 */
bool bond_send_control_rcu(struct bond *bond, const struct path_entry *path, const void *payload,
			   size_t len, nsec_t now);

/*
 * Any thread, inside a read section: one control packet over `path`, padded to a datagram (UDP
 * payload) of that size, which is not to be fragmented. False as above, or if it is too large.
 */
bool bond_send_mtu_probe_rcu(struct bond *bond, const struct path_entry *path, const void *payload,
			     size_t len, size_t datagram, nsec_t now);

/*
 * Any thread: sends a handshake message over the `nth` path of the peer, counted in a circle from
 * the `first`. True: it has more ...
 */
bool bond_send_message_rcu(struct bond *bond, unsigned nth, unsigned first, const void *msg,
			   size_t len);
/* ... or over the one that is to be tried (trial_slot); inside a read section as well. */
void bond_send_trial_rcu(struct bond *bond, const void *msg, size_t len);
