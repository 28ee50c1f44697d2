/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "links/sched.h"

/* Virtual time per byte at weight 1; large, so that the division loses nothing that matters. */
#define SCHED_SCALE 1000000ULL

unsigned sched_pick(struct sched *s, const struct sched_candidate *candidates, unsigned n)
{
	unsigned best = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t *time = &s->time[candidates[i].slot];

		if (*time < s->floor)
			*time = s->floor;
		if (*time < s->time[candidates[best].slot])
			best = i;
	}
	return best;
}

void sched_charge(struct sched *s, const struct sched_candidate *c, uint64_t bytes)
{
	uint64_t *time = &s->time[c->slot];

	if (*time > s->floor)
		s->floor = *time;
	*time += bytes * SCHED_SCALE / c->weight;
}
