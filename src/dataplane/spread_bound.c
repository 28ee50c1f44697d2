/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * What is bound to certain paths takes one at a time, which keeps it in order, and stands apart
 * from the order of all other packets, so that neither waits for the other. Nothing of it is kept
 * to be sent again: it gets its path as it is.
 */
#include "dataplane/rules.h"
#include "dataplane/spread_internal.h"

/* What was sent before over a longer path is waited for no longer than this. */
#define PAUSE_MAX (500 * NSEC_PER_MSEC)

/* The working paths that stand by, since others are quicker by more than max_spread. */
static void find_long(const struct path_set *set, struct candidates *ret)
{
	nsec_t least = NSEC_NEVER;

	ret->n = 0;
	if (!spread_is_controlled(set))
		return;
	for (unsigned i = 0; i < set->n_active; i++) {
		nsec_t rtt = spread_rtt(set, set->active[i]);

		if (rtt && set->entries[set->active[i]].state == HEALTH_UP)
			least = nsec_min(least, rtt);
	}
	for (unsigned i = 0; i < set->n_active; i++) {
		uint8_t entry = set->active[i];

		if (set->entries[entry].state == HEALTH_UP && spread_is_long(set, entry, least))
			ret->entries[ret->n++] = entry;
	}
}

static void find_bound(const struct path_set *set, uint8_t binding, struct candidates *ret)
{
	const struct path_binding *b = &set->bindings[binding];

	if (binding == BINDING_LOWER_EFFORT) {
		find_long(set, ret);
		return;
	}
	for (ret->n = 0; ret->n < b->n; ret->n++)
		ret->entries[ret->n] = b->entries[ret->n];
}

uint8_t spread_binding_rcu(const struct path_set *set, uint8_t binding)
{
	struct candidates bound;

	if (!set || binding == BINDING_NONE)
		return BINDING_NONE;
	if (set->bindings[binding].is_strict)
		return binding;
	find_bound(set, binding, &bound);
	return bound.n ? binding : BINDING_NONE;
}

static bool is_lively(struct spread *s, const struct path_set *set, const struct path_entry *e,
		      nsec_t now)
{
	return !spread_is_controlled(set) || !spread_is_silent(s, set, e, now);
}

/* Of those that carry data: the one that it took last, or the quickest. */
static const struct path_entry *find_other(struct spread *s, const struct path_set *set,
					   uint8_t binding, nsec_t now)
{
	const struct path_entry *best = NULL;
	nsec_t least = NSEC_NEVER;

	for (unsigned i = 0; i < set->n_active; i++) {
		const struct path_entry *e = &set->entries[set->active[i]];
		nsec_t rtt = spread_rtt(set, set->active[i]);

		if (!is_lively(s, set, e, now) || (best && rtt >= least))
			continue;
		if (s->bound[binding].slot == e->path->slot)
			return e;
		best = e;
		least = rtt;
	}
	return best;
}

const struct path_entry *spread_bound_path(struct spread *s, const struct path_set *set,
					   uint8_t binding, nsec_t now)
{
	const struct path_entry *other;
	struct candidates bound;

	find_bound(set, binding, &bound);
	for (unsigned i = 0; i < bound.n; i++) {
		const struct path_entry *e = &set->entries[bound.entries[i]];

		if (is_lively(s, set, e, now))
			return e;
	}
	other = set->bindings[binding].is_strict ? NULL : find_other(s, set, binding, now);
	if (other)
		return other;
	return bound.n ? &set->entries[bound.entries[0]] : NULL;
}

/*
 * Before then it would overtake what went over another path. Of a path that has fallen silent
 * nobody knows whether anything arrives.
 */
static nsec_t ordered_at(struct spread *s, const struct path_set *set, const struct departure *last,
			 const struct departure *next)
{
	const struct path_entry *before;

	if (last->slot == next->slot || !last->has_arrival || !next->has_arrival ||
	    last->arrival <= next->arrival)
		return next->at;
	before = path_set_by_slot(set, last->slot);
	if (!before || before->state != HEALTH_UP || spread_is_silent(s, set, before, next->at))
		return next->at;
	return nsec_min(next->at + last->arrival - next->arrival, last->at + PAUSE_MAX);
}

static enum spread_result send_controlled(struct spread *s, const struct path_set *set,
					  const struct path_entry *e, struct burst *b, nsec_t now,
					  nsec_t *ret_retry)
{
	struct pathctl *c = spread_control(s, set, e, now);
	struct departure next = {.slot = e->path->slot, .at = now};
	nsec_t ready = now;

	if (c) {
		ready = pathctl_ready_at(c, b->len, pathctl_standing(c), now);
		next.has_arrival = c->delays.is_known;
		next.arrival = pathctl_arrival(c, b->len, now);
	}
	if (b->is_urgent && ready != NSEC_NEVER)
		ready = now;
	ready = nsec_max(ready, ordered_at(s, set, &s->bound[b->binding], &next));
	*ret_retry = spread_retry_at(ready, now);
	if (ready > now || !link_has_room(e->path->link) || !spread_push(s, c, e, b, now))
		return SPREAD_FULL;
	s->bound[b->binding] = next;
	return SPREAD_SENT;
}

static enum spread_result send_over(struct spread *s, const struct path_set *set,
				    const struct path_entry *e, struct burst *b, nsec_t now,
				    nsec_t *ret_retry)
{
	if (!spread_is_controlled(set))
		return link_has_room(e->path->link) && spread_push(s, NULL, e, b, now)
			       ? SPREAD_SENT
			       : SPREAD_FULL;
	if (!spread_is_silent(s, set, e, now))
		return send_controlled(s, set, e, b, now, ret_retry);
	*ret_retry = spread_retry_at(NSEC_NEVER, now);
	return spread_probe(s, set, e, b, now) ? SPREAD_SENT : SPREAD_FULL;
}

/* Copies: over the second path, if it is to be so, and over those that may be back. */
static void send_copies(struct spread *s, const struct path_set *set, const struct path_entry *sent,
			struct burst *b, nsec_t now)
{
	bool is_wanted = set->bindings[b->binding].is_redundant;
	struct candidates bound;

	find_bound(set, b->binding, &bound);
	for (unsigned i = 0; i < bound.n; i++) {
		const struct path_entry *e = &set->entries[bound.entries[i]];

		if (e == sent)
			continue;
		if (!is_lively(s, set, e, now))
			spread_probe(s, set, e, b, now);
		else if (is_wanted && link_has_room(e->path->link))
			is_wanted = !spread_push(
				s,
				spread_is_controlled(set) ? spread_control(s, set, e, now) : NULL,
				e, b, now);
	}
}

enum spread_result spread_send_bound_rcu(struct spread *s, const struct path_set *set,
					 struct burst *b, nsec_t now, nsec_t *ret_retry)
{
	const struct path_entry *e = spread_bound_path(s, set, b->binding, now);
	enum spread_result result;

	if (!e)
		return SPREAD_NO_PATH;
	result = send_over(s, set, e, b, now, ret_retry);
	if (result == SPREAD_SENT)
		send_copies(s, set, e, b, now);
	else
		link_want_room(e->path->link);
	return result;
}
