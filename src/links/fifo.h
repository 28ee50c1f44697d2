/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Fifo: how far each path has delivered a peer's packets, and which missing ones that proves lost.
 * A path is a FIFO: what it has overtaken it will not bring any more. One that is seen to run
 * backwards a little (radio links do) has to be that much further ahead. Packets go by their
 * position in the resequencer's line. Pure: time comes in as an argument.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/clock.h"

#define FIFO_PATHS 17
/* A path is active this long after a delivery; below the health check's usual interval. */
#define FIFO_ACTIVE_TIME (400 * NSEC_PER_MSEC)
/* Positions by which a path may run backwards and still give proof: two bursts. */
#define FIFO_DISORDER_MAX 128
/* A packet that its path has overtaken for longer than this was sent again. */
#define FIFO_DISORDER_TIME (30 * NSEC_PER_MSEC)

/* The line of positions is a circle of which only a small part is in use at a time. */
static inline bool position_is_before(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) < 0;
}

/* The highest position of a while ago: of one to two spans. */
struct past {
	uint64_t highest, next;
	nsec_t since;
};

void past_set(struct past *past, uint64_t position, nsec_t now);
void past_note(struct past *past, uint64_t position, nsec_t span, nsec_t now);

struct fifo_path {
	uint64_t highest; /* position delivered by it */
	struct past past;
	uint64_t disorder; /* how far it was seen to run backwards; decays */
	nsec_t last;	   /* delivery; 0: none yet */
};

/* Zero to begin with. */
struct fifo {
	struct fifo_path paths[FIFO_PATHS];
	unsigned n; /* those beyond never delivered anything */
};

/*
 * The path in that slot has delivered `position`. `was_asked`: it may have been sent again, so it
 * does not tell that the path reorders.
 */
void fifo_note(struct fifo *f, unsigned slot, uint64_t position, bool was_asked, nsec_t now);
/* What was measured of disorder loses one part in 2^shift. */
void fifo_decay(struct fifo *f, unsigned shift);

/* Is everything lost that is missing before `position`? */
bool fifo_has_passed(const struct fifo *f, uint64_t position, nsec_t now);
/* When that turns true if no packet comes any more. */
nsec_t fifo_proof_time(const struct fifo *f, uint64_t position);
/* Where what is surely lost ends: the least of what the active paths have reached, or `end`. */
uint64_t fifo_proven_end(const struct fifo *f, uint64_t end, nsec_t now);
