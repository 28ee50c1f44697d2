/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Receive coalescing, as network cards coalesce their interrupts: while data keeps coming a few
 * datagrams at a time, the worker lets some gather in the socket before it takes them. Waking up
 * for each costs several times what its contents do. They wait for a small part of the round trip
 * at most, so that near peers, where it would be felt, and lone packets do not wait at all. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/clock.h"

/* Of the round trip, */
#define COALESCE_PART 20
/* no longer than this in any case; and what would be shorter than that does not pay. */
#define COALESCE_MOST NSEC_PER_MSEC
#define COALESCE_LEAST (100 * NSEC_PER_USEC)
/* In that time so many datagrams come at least; */
#define COALESCE_FEW 2
/* a batch of so many costs little for each as it is. */
#define COALESCE_MANY 64

struct coalesce {
	nsec_t taken_at; /* the last batch */
};

/* For how long datagrams may wait where the nearest peer is so far away (0: unknown); 0: not. */
nsec_t coalesce_longest(nsec_t round_trip);

/*
 * A batch of `n` datagrams was taken at `now`. Until when those that follow may wait for each
 * other, for `longest` at most; 0: they are to be taken as soon as they come.
 */
nsec_t coalesce_until(struct coalesce *c, uint64_t n, nsec_t longest, nsec_t now);
