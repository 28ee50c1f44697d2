/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Chance from a seed (splitmix64): a run with the same seed and the same packets takes the
 * same decisions. Each direction of the wire has its own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct chance {
	uint64_t state;
};

static inline uint64_t chance_next(struct chance *c)
{
	uint64_t z = c->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* From 0 up to, but not including, 1. */
static inline double chance_unit(struct chance *c)
{
	return (double)(chance_next(c) >> 11) / (double)(1ULL << 53);
}

static inline bool chance_hits(struct chance *c, double probability)
{
	return probability > 0 && chance_unit(c) < probability;
}
