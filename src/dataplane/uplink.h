/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Uplink: how the monitor takes care of one link. Its socket is opened when the device and the
 * address are there, and closed when they vanish; losing the carrier takes the paths down but
 * leaves the socket; without answers for long, the link gets a new source port. Owner: the monitor.
 */
#pragma once

#include "links/link.h"
#include "netlink/message.h"
#include "util/timerq.h"

struct network;

struct uplink {
	struct timer timer; /* looks again, in case an event was missed */
	struct network *network;
	struct timerq *timers;
	struct link *link;
	struct addr local;   /* of the socket; AF_UNSPEC: there is none */
	int family;	     /* that the socket was opened for; AF_UNSPEC: both */
	unsigned ifindex;    /* of its device, or of that with its address; 0: none, or unknown */
	bool is_given_up;    /* closed on purpose, until it is reopened */
	int last_error;	     /* what has been reported */
	const char *refused; /* the offload that is required but not available; NULL: none */
	uint64_t gso_told;   /* refusals that have been reported */
	uint64_t flood_told; /* messages that a flood has kept back, when last looked at */
	nsec_t flooded_at;   /* when that last grew; 0: there is no flood */
	nsec_t opened;
	nsec_t patience; /* without any answer, before another source port is tried */
};

/*
 * Before the threads run: opens the socket. Something that may come later (a device, an address) is
 * only reported; a permanent failure (a port that is taken, no privilege) is -errno, logged.
 */
int uplink_start(struct uplink *u, struct network *n, struct timerq *timers, struct link *l,
		 nsec_t now);
/* The link is removed. */
void uplink_stop(struct uplink *u);
/*
 * Takes the socket away, for another one by other settings: its paths are not given up for that,
 * but where the link is disabled now.
 */
void uplink_close(struct uplink *u, nsec_t now);
/*
 * The same errors as uplink_start(). `is_other_way`: the settings lead packets another way than
 * before, so what was learnt of the paths does not hold.
 */
int uplink_reopen(struct uplink *u, bool is_other_way, nsec_t now);
/* Do the endpoints want a socket of a family that the present one does not have? */
bool uplink_has_wrong_family(const struct uplink *u);
/* An interface or an address has changed; it may be none of ours. */
void uplink_netif(struct uplink *u, const struct netif_change *change, nsec_t now);
/* Changes were missed: looks for itself. */
void uplink_look(struct uplink *u, nsec_t now);
/*
 * Now and then: tells that the device refuses to cut bursts, the first time; that a flood has begun
 * or is over.
 */
void uplink_sample(struct uplink *u, nsec_t now);
/* Sending or receiving on the socket has failed. */
void uplink_failed(struct uplink *u, int error, nsec_t now);
