/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "links/sched.h"

#include <stdbool.h>

/* Virtual time per byte at weight 1; large, so that the division loses nothing that matters. */
#define SCHED_SCALE 1000000ULL

/* More than any one charge: a path that seems further ahead was away while time wrapped. */
#define SCHED_LEAD_MAX (1ULL << 48)

/* Virtual times wrap around; they lie close enough together to be compared all the same. */
static bool is_before(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) < 0;
}

unsigned sched_pick(struct sched *s, const struct sched_candidate *candidates, unsigned n)
{
	unsigned best = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t *time = &s->time[candidates[i].slot];

		if (*time - s->floor > SCHED_LEAD_MAX)
			*time = s->floor;
		if (is_before(*time, s->time[candidates[best].slot]))
			best = i;
	}
	return best;
}

void sched_charge(struct sched *s, const struct sched_candidate *c, uint64_t bytes)
{
	uint64_t *time = &s->time[c->slot];

	if (is_before(s->floor, *time))
		s->floor = *time;
	*time += bytes * SCHED_SCALE / c->weight;
}
