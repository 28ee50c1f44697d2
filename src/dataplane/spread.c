/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/spread.h"

#include <stdlib.h>
#include <string.h>

#include "wire/wg.h"

/* A copy of a burst goes over a silent path this often, to see whether it is back. */
#define PROBE_INTERVAL (100 * NSEC_PER_MSEC)
/* When nothing else will wake us. */
#define RETRY_LATEST (50 * NSEC_PER_MSEC)
/* Shorter waits are not worth a sleep: pathctl lets a path catch up. */
#define RETRY_SOONEST (NSEC_PER_MSEC / 4)

void spread_deinit(struct spread *s)
{
	for (unsigned i = 0; i < PATHS_MAX; i++)
		free(s->controls[i]);
}

static bool is_controlled(const struct path_set *set)
{
	return set->is_multilink && set->mode != BOND_REDUNDANT && !set->is_by_weight;
}

/* The control of a path; NULL without memory for it, and it then goes uncontrolled. */
static struct pathctl *control_of(struct spread *s, const struct path *p, nsec_t now)
{
	struct pathctl **c = &s->controls[p->slot];

	if (!*c) {
		*c = malloc(sizeof(**c));
		if (*c)
			(*c)->path_id = 0;
	}
	if (*c && (*c)->path_id != p->id)
		pathctl_init(*c, p->id, 0, now);
	return *c;
}

static bool push_controlled(struct pathctl *c, const struct path_entry *e, struct burst *b,
			    nsec_t now)
{
	struct wg_data header;

	if (!path_push(e, b))
		return false;
	memcpy(&header, b->data, sizeof(header));
	if (c)
		pathctl_sent(c, le32_get(header.receiver_index), le64_get(header.counter), b->n,
			     b->len, now);
	return true;
}

/* Every active path gets a copy; one whose queue is full must not hold up the others. */
static enum spread_result send_all(const struct path_set *set, struct burst *b)
{
	unsigned n = 0;

	for (unsigned i = 0; i < set->n_active; i++) {
		const struct path_entry *e = &set->entries[set->active[i]];

		if (link_has_room(e->path->link) && path_push(e, b))
			n++;
	}
	return n ? SPREAD_SENT : SPREAD_FULL;
}

/* By weight among those that have room, so that a slow path does not idle a fast one. */
static enum spread_result send_by_weight(struct spread *s, const struct path_set *set,
					 struct burst *b)
{
	struct sched_candidate candidates[PATHS_MAX];
	uint8_t entry_of[PATHS_MAX];
	unsigned n = 0;
	unsigned pick;

	for (unsigned i = 0; i < set->n_active; i++) {
		const struct path_entry *e = &set->entries[set->active[i]];

		if (!link_has_room(e->path->link))
			continue;
		candidates[n] = (struct sched_candidate){e->path->slot, e->weight};
		entry_of[n++] = set->active[i];
	}
	if (!n)
		return SPREAD_FULL;
	pick = sched_pick(&s->sched, candidates, n);
	if (!path_push(&set->entries[entry_of[pick]], b))
		return SPREAD_FULL;
	sched_charge(&s->sched, &candidates[pick], b->len);
	return SPREAD_SENT;
}

/* The path on which the burst arrives first, of those that may take it now. */
struct choice {
	const struct path_entry *entry;
	struct pathctl *control;
	nsec_t arrival;
	nsec_t retry;
};

static void consider(struct choice *best, const struct path_entry *e, struct pathctl *c,
		     const struct burst *b, nsec_t now)
{
	nsec_t ready = c ? pathctl_ready_at(c, b->len, now) : now;
	nsec_t arrival = c ? pathctl_arrival(c, b->len, now) : now;

	if (ready > now) {
		if (ready != NSEC_NEVER)
			best->retry = nsec_min(best->retry, nsec_max(ready, now + RETRY_SOONEST));
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

static bool is_silent(struct spread *s, const struct path_entry *e, nsec_t now)
{
	const struct pathctl *c = control_of(s, e->path, now);

	return c && pathctl_is_silent(c, now);
}

/* Are there active paths that still report? If not, any other that is up will do. */
static bool has_lively_active(struct spread *s, const struct path_set *set, nsec_t now)
{
	for (unsigned i = 0; i < set->n_active; i++) {
		if (!is_silent(s, &set->entries[set->active[i]], now))
			return true;
	}
	return false;
}

static bool is_active(const struct path_set *set, unsigned index)
{
	for (unsigned i = 0; i < set->n_active; i++) {
		if (set->active[i] == index)
			return true;
	}
	return false;
}

/* Sends the burst over a silent path, if that has not been tried for a while. */
static bool probe(struct spread *s, const struct path_entry *e, struct burst *b, nsec_t now)
{
	nsec_t *next = &s->next_probe[e->path->slot];

	if (now < *next || !link_has_room(e->path->link))
		return false;
	*next = now + PROBE_INTERVAL;
	return push_controlled(control_of(s, e->path, now), e, b, now);
}

/* Over the best path; those that are silent only if all are, and `is_lively` says not. */
static bool send_over_best(struct spread *s, const struct path_set *set, struct burst *b,
			   bool is_lively, nsec_t now, struct choice *best)
{
	for (unsigned i = 0; i < set->n; i++) {
		const struct path_entry *e = &set->entries[i];

		if (!is_active(set, i) && (is_lively || e->state != HEALTH_UP))
			continue;
		if (!is_lively || !is_silent(s, e, now))
			consider(best, e, control_of(s, e->path, now), b, now);
	}
	return best->entry && push_controlled(best->control, best->entry, b, now);
}

/*
 * While there is a path that reports, a silent one gets copies. When none is left, the windows
 * of all may be full of what will never be reported (the peer has restarted): then real bursts
 * go out now and then, so that the first report opens them again.
 */
static enum spread_result send_controlled(struct spread *s, const struct path_set *set,
					  struct burst *b, nsec_t now, nsec_t *ret_retry)
{
	bool is_lively = has_lively_active(s, set, now);
	struct choice best = {.retry = now + RETRY_LATEST};
	bool is_sent = send_over_best(s, set, b, is_lively, now, &best);

	for (unsigned i = 0; i < set->n_active && (is_sent || !is_lively); i++) {
		const struct path_entry *e = &set->entries[set->active[i]];

		if (e != best.entry && is_silent(s, e, now))
			is_sent |= probe(s, e, b, now);
	}
	*ret_retry = best.retry;
	return is_sent ? SPREAD_SENT : SPREAD_FULL;
}

enum spread_result spread_send_rcu(struct spread *s, const struct path_set *set, struct burst *b,
				   nsec_t now, nsec_t *ret_retry)
{
	if (!set || !set->n_active)
		return SPREAD_NO_PATH;
	*ret_retry = NSEC_NEVER;
	if (set->mode == BOND_REDUNDANT)
		return send_all(set, b);
	if (is_controlled(set))
		return send_controlled(s, set, b, now, ret_retry);
	return send_by_weight(s, set, b);
}

uint64_t spread_burst_bytes_rcu(const struct spread *s, const struct path_set *set)
{
	uint64_t bytes = UINT64_MAX;

	if (!set || !is_controlled(set))
		return bytes;
	for (unsigned i = 0; i < set->n_active; i++) {
		const struct path *p = set->entries[set->active[i]].path;
		const struct pathctl *c = s->controls[p->slot];

		if (c && c->path_id == p->id && pathctl_burst_bytes(c) < bytes)
			bytes = pathctl_burst_bytes(c);
	}
	return bytes;
}

void spread_want_room_rcu(const struct path_set *set)
{
	for (unsigned i = 0; set && i < set->n_active; i++)
		link_want_room(set->entries[set->active[i]].path->link);
}

void spread_report_rcu(struct spread *s, const struct path_set *set,
		       const struct frame_report *report, nsec_t now)
{
	const struct pathctl_report r = {
		.session = report->session,
		.counter = report->counter,
		.rx_bytes = report->rx_bytes,
		.arrival = (nsec_t)report->arrival_ns,
	};

	for (unsigned i = 0; set && i < set->n; i++) {
		const struct path *p = set->entries[i].path;
		struct pathctl *c = s->controls[p->slot];

		if (p->id == report->path_id && c && c->path_id == p->id)
			pathctl_report(c, &r, now);
	}
}
