/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Static scheduler of one peer: spreads bytes over paths in proportion to their weights.
 * Stride scheduling, which is deficit round robin without its rounds: every path has a
 * virtual time that advances by bytes / weight, and the path that is furthest behind is next.
 * Owner: the TUN reader. Pure.
 */
#pragma once

#include <stdint.h>

#define SCHED_PATHS 16

struct sched {
	uint64_t time[SCHED_PATHS]; /* virtual, by path slot */
	uint64_t floor;		    /* of the last choice: a path that was away does not catch up */
};

struct sched_candidate {
	uint8_t slot;	 /* below SCHED_PATHS */
	uint32_t weight; /* 1 or more */
};

/* The index of the candidate to take; `n` is at least 1. Counts nothing yet. */
unsigned sched_pick(struct sched *s, const struct sched_candidate *candidates, unsigned n);
/* `bytes` have been given to the candidate. */
void sched_charge(struct sched *s, const struct sched_candidate *c, uint64_t bytes);
