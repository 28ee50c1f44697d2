/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Delivery: new packets of a peer go to the TUN interface, in order. Those that the resequencer
 * lets through are written from the burst in which they lie; those that it holds are copied into
 * cells. So bursts and cells are given back only once that is written: delivery_flush().
 * Owner: a link's worker, which brings its own to the lanes that it holds, one at a time.
 */
#pragma once

#include "links/burst.h"
#include "links/reseq.h"
#include "tun/merge.h"

struct bond;
struct network;

struct delivery {
	struct network *network;
	struct merge merge;
	struct burst *bursts; /* delivered but not yet written, through `next` */
	void *cells[2 * MERGE_SEGMENTS_MAX];
	unsigned n_cells;
};

/* A packet of the peer that is authentic and no replay. */
struct arrival {
	struct bond *bond;
	struct reseq *reseq; /* of the bond's lane */
	const struct burst *burst;
	uint64_t counter;
	uint8_t *packet; /* an IP packet that may be delivered; NULL: it only has its place */
	size_t len;
};

/* The cell that a packet of so many bytes takes while it is held. */
size_t delivery_cell_bytes(size_t packet);

void delivery_init(struct delivery *d, struct network *n);
/* Delivers the packet, and what it sets free, or keeps it until its turn. */
void delivery_add(struct delivery *d, const struct arrival *a);
/* Delivers of what is held all whose turn has come. */
void delivery_release(struct delivery *d, struct reseq *q, nsec_t now);
/* A burst of which all has been added. */
void delivery_add_burst(struct delivery *d, struct burst *b);
/* Writes what is open, then gives back what it lay in. */
void delivery_flush(struct delivery *d);
/* Gives back all that is held. */
void delivery_drop_held(struct network *n, struct reseq *q);
