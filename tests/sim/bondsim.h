/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * One direction of a bonded peer over a simulated network: the scheduler spreads packets over
 * paths, the resequencer puts them back in order, and what became of each is written down.
 */
#pragma once

#include "links/reseq.h"
#include "links/sched.h"
#include "simnet.h"

struct bond_packet {
	uint32_t session;
	uint64_t counter;
	bool is_lost; /* by the network, also when it was sent again */
	bool is_late; /* delivered out of order, and said to be */
	bool has_come;
	unsigned n_deliveries;
	nsec_t arrival;
	nsec_t delivery;
};

struct bond {
	struct simnet *net;
	struct reseq *reseq;
	struct sched sched;
	struct sched_candidate candidates[SIMNET_PATHS];
	unsigned n_paths;
	uint32_t session; /* the sender's, and its next counter */
	uint64_t counter;
	struct bond_packet *packets;
	size_t n_packets, room;

	/* set by a test that wants to see what deadlines alone would do */
	bool has_no_proof;
	/* the receiver asks for what is missing: the way back takes so long, and loses that share
	 */
	bool has_repair;
	nsec_t repair_delay;
	double repair_loss;
	size_t n_again; /* packets sent again */

	/* the receiver's */
	nsec_t wake; /* the earliest event that looks at the deadline; 0: none */
	const struct bond_packet *newest_in_order;
	size_t n_misordered; /* delivered as if in order, and were not */
	nsec_t longest_hold;
	nsec_t total_hold;
};

/* Room for `packets` packets; the caller sets up the paths of `net` and their weights. */
struct bond *bond_new(uint64_t seed, unsigned n_paths, size_t packets);
void bond_free(struct bond *b);

void bond_send(struct bond *b, size_t bytes);
/* The next session begins, with counter 0. */
void bond_rekey(struct bond *b);
/* Lets time pass, the receiver working. */
void bond_wait(struct bond *b, nsec_t time);
/* Until the network is empty and nothing is held. */
void bond_finish(struct bond *b);
