/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Receive lane: the serial part of a peer's receive path (intake.h, delivery.h), entered by
 * whichever link worker has something for it. It is taken by trylock: a worker that does not get it
 * leaves its packets in the queue and goes on; the one that holds it processes these too, so that
 * no packet waits for a thread to wake up.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "links/burst.h"
#include "links/reseq.h"

struct bond;
struct delivery;
struct reporter;
struct sparse;

struct lane {
	/* atomic */
	_Alignas(64) _Atomic(struct burst *) queue; /* newest first */
	_Atomic bool is_taken;
	_Atomic bool is_due;	       /* somebody saw the deadline pass */
	_Atomic bool is_armed;	       /* a worker has promised to watch the deadline */
	_Atomic nsec_t deadline;       /* of the resequencer, or of a report */
	_Atomic(struct reseq *) reseq; /* made with the first packet; read for status */
	/* the holder */
	uint32_t n_sessions;	   /* sessions on which the peer has sent us something */
	uint32_t newest_session;   /* the index of the last of them */
	struct reporter *reporter; /* made with the first packet */
	struct sparse *flows;	   /* of the inner packets, by hash; made with the first packet */
	/* the worker that armed it */
	struct bond *next_armed;
};

/*
 * Queues a chain (oldest first, linked by `next`) of opened bursts: those of a datagram that
 * failed authentication begin with a zero byte. Then does what there is to do, if nobody else is.
 */
void lane_submit(struct bond *bond, struct delivery *d, struct burst *first, struct burst *last,
		 nsec_t now);
/* The lane's deadline has passed. */
void lane_expire(struct bond *bond, struct delivery *d, nsec_t now);
/* No thread uses the lane any more: gives back what is queued and held. */
void lane_deinit(struct bond *bond);
