/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The choice of a path for a burst that may take any: among those of the best kind there is, the
 * one on which it would arrive first.
 */
#include "dataplane/spread_internal.h"

/* When nothing else will wake us. */
#define RETRY_LATEST (50 * NSEC_PER_MSEC)
/* Shorter waits are not worth a sleep: pathctl lets a path catch up. */
#define RETRY_SOONEST (NSEC_PER_MSEC / 4)
/* A path that others fill is used for more than this part of what all of them carry. */
#define CROWDED_SHARE 0.1

nsec_t spread_retry_at(nsec_t ready, nsec_t now)
{
	return nsec_min(nsec_max(ready, now + RETRY_SOONEST), now + RETRY_LATEST);
}

static void consider(struct choice *best, const struct path_entry *e, struct pathctl *c,
		     const struct burst *b, nsec_t now)
{
	nsec_t ready = c ? pathctl_ready_at(c, b->len, best->standing, now) : now;
	nsec_t arrival = c ? pathctl_arrival(c, b->len, now) : now;

	if (ready == NSEC_NEVER)
		return;
	if (ready > now && !b->is_urgent) {
		best->retry = nsec_min(best->retry, spread_retry_at(ready, now));
		if (pathctl_is_new(c))
			best->better = nsec_min(best->better, arrival);
		return;
	}
	if (!link_has_room(e->path->link))
		return;
	if (!best->entry || arrival < best->arrival) {
		best->entry = e;
		best->control = c;
		best->arrival = arrival;
	}
}

/* Leaves out what is so much longer than the quickest that a flow over both would suffer. */
static void drop_long(const struct path_set *set, struct candidates *c)
{
	nsec_t least = NSEC_NEVER;
	unsigned n = 0;

	for (unsigned i = 0; i < c->n; i++) {
		if (spread_rtt(set, c->entries[i]))
			least = nsec_min(least, spread_rtt(set, c->entries[i]));
	}
	for (unsigned i = 0; i < c->n; i++) {
		_Atomic bool *was_long = &set->entries[c->entries[i]].path->is_long;
		bool is_long = spread_is_long(set, c->entries[i], least);

		/* It is among what other threads read: not written with each burst. */
		if (is_long != atomic_load_explicit(was_long, memory_order_relaxed))
			atomic_store_explicit(was_long, is_long, memory_order_relaxed);
		if (!is_long)
			c->entries[n++] = c->entries[i];
	}
	if (n)
		c->n = n;
}

void spread_find_candidates(struct spread *s, const struct path_set *set, nsec_t now,
			    struct candidates *ret)
{
	ret->kind = NO_CANDIDATE;
	ret->n = 0;
	for (unsigned i = 0; i < set->n; i++) {
		const struct path_entry *e = &set->entries[i];
		unsigned kind = path_set_is_active(set, i) ? LIVELY_ACTIVE : LIVELY_STANDBY;

		if (kind == LIVELY_STANDBY && e->state != HEALTH_UP)
			continue;
		if (spread_is_silent(s, set, e, now))
			kind = SILENT;
		if (kind < ret->kind) {
			ret->kind = kind;
			ret->n = 0;
		}
		if (kind == ret->kind)
			ret->entries[ret->n++] = (uint8_t)i;
	}
	drop_long(set, ret);
}

/*
 * Others fill the path: the little that gets through comes late, and all that is in order waits for
 * it. What it would add is not worth that.
 */
static bool is_crowded(const struct pathctl *c, double total)
{
	return c && c->capacity < total * CROWDED_SHARE && pathctl_has_queue(c);
}

void spread_choose(struct spread *s, const struct path_set *set, const struct candidates *from,
		   const struct burst *b, nsec_t now, struct choice *best)
{
	double total = 0;

	*best = (struct choice){.retry = now + RETRY_LATEST, .better = NSEC_NEVER};
	for (unsigned i = 0; i < from->n; i++) {
		const struct pathctl *c =
			spread_control(s, set, &set->entries[from->entries[i]], now);

		total += c ? c->capacity : 0;
		best->standing += c ? pathctl_standing(c) : 0;
	}
	for (unsigned i = 0; i < from->n; i++) {
		const struct path_entry *e = &set->entries[from->entries[i]];
		struct pathctl *c = spread_control(s, set, e, now);

		if (is_crowded(c, total))
			best->crowded |= 1U << e->path->slot;
		else
			consider(best, e, c, b, now);
	}
	if (best->entry && best->better < best->arrival)
		best->entry = NULL;
}
