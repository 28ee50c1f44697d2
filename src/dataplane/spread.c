/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/spread_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/wg.h"

/* A copy of a burst goes over a silent path this often, to see whether it is back. */
#define PROBE_INTERVAL (100 * NSEC_PER_MSEC)
/* Only differences of arrivals mean something. Of so many bits, a few times can be added. */
#define ARRIVAL_MASK ((1ULL << 60) - 1)

int spread_new(struct spread **ret, struct pool *sent)
{
	struct spread *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	resend_init(&s->resend, sent);
	for (unsigned i = 0; i < PATH_BINDINGS; i++)
		s->bound[i].slot = PATH_SLOT_NONE;
	*ret = s;
	return 0;
}

void spread_free(struct spread *s)
{
	if (!s)
		return;
	resend_deinit(&s->resend);
	urgent_free(s->urgent);
	for (unsigned i = 0; i < PATHS_MAX; i++)
		free(s->controls[i]);
	free(s);
}

bool spread_is_controlled(const struct path_set *set)
{
	return set->is_multilink && set->mode != BOND_REDUNDANT && !set->is_by_weight;
}

static void tell(struct path *p, const struct pathctl *c, nsec_t now)
{
	atomic_store_explicit(&p->learnt_bps, (uint64_t)(8 * c->capacity), memory_order_relaxed);
	atomic_store_explicit(&p->queue, c->delays.queue, memory_order_relaxed);
	atomic_store_explicit(&p->queue_at, now, memory_order_relaxed);
}

struct pathctl *spread_control(struct spread *s, const struct path_set *set,
			       const struct path_entry *e, nsec_t now)
{
	struct pathctl **c = &s->controls[e->path->slot];
	uint32_t epoch = path_epoch(e->path);
	nsec_t small_at = atomic_load_explicit(&s->small_at, memory_order_relaxed);

	if (!*c) {
		*c = malloc(sizeof(**c));
		if (*c)
			(*c)->epoch = 0;
	}
	if (*c && (*c)->epoch != epoch) {
		pathctl_init(*c, epoch, path_set_share(set, e), now);
		tell(e->path, *c, now);
	}
	if (*c) {
		(*c)->cap = (double)e->rate / 8;
		(*c)->is_shared = small_at && now - small_at < SPREAD_SMALL_MEMORY;
	}
	return *c;
}

static void note_unsent(struct unsent *u, struct link *l)
{
	for (unsigned i = 0; i < u->n; i++) {
		if (u->links[i] == l)
			return;
	}
	if (u->n < PATHS_MAX)
		u->links[u->n++] = l;
	else
		link_flush(l); /* the paths have changed meanwhile */
}

static bool push(struct spread *s, const struct path_entry *e, struct burst *b)
{
	if (!s->unsent)
		return path_push(e, b);
	if (!path_enqueue(e, b))
		return false;
	note_unsent(s->unsent, e->path->link);
	return true;
}

bool spread_push(struct spread *s, struct pathctl *c, const struct path_entry *e, struct burst *b,
		 nsec_t now)
{
	struct wg_data header;

	if (!push(s, e, b))
		return false;
	memcpy(&header, b->data, sizeof(header));
	if (c)
		pathctl_sent(c, b->binding == BINDING_NONE ? SENT_NEW : SENT_APART,
			     le32_get(header.receiver_index), le64_get(header.counter), b->n,
			     b->len, now);
	return true;
}

/* Every active path gets a copy; one whose queue is full must not hold up the others. */
static enum spread_result send_all(struct spread *s, const struct path_set *set, struct burst *b)
{
	unsigned n = 0;

	for (unsigned i = 0; i < set->n_active; i++) {
		const struct path_entry *e = &set->entries[set->active[i]];

		if (link_has_room(e->path->link) && push(s, e, b))
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
	if (!push(s, &set->entries[entry_of[pick]], b))
		return SPREAD_FULL;
	sched_charge(&s->sched, &candidates[pick], b->len);
	return SPREAD_SENT;
}

bool spread_is_silent(struct spread *s, const struct path_set *set, const struct path_entry *e,
		      nsec_t now)
{
	const struct pathctl *c = spread_control(s, set, e, now);

	return c && pathctl_is_silent(c, now);
}

bool spread_probe(struct spread *s, const struct path_set *set, const struct path_entry *e,
		  struct burst *b, nsec_t now)
{
	nsec_t *next = &s->next_probe[e->path->slot];

	if (now < *next || !link_has_room(e->path->link))
		return false;
	*next = now + PROBE_INTERVAL;
	return spread_push(s, spread_control(s, set, e, now), e, b, now);
}

static bool send_over(struct spread *s, const struct path_set *set, const struct choice *c,
		      struct burst *b, nsec_t now)
{
	if (!c->entry || !spread_push(s, c->control, c->entry, b, now))
		return false;
	spread_keep(s, set, c->entry, b, now);
	return true;
}

/* The best active path but `taken`; one that has gone silent may well be back. NULL: none. */
static const struct path_entry *second_best(struct spread *s, const struct path_set *set,
					    const struct path_entry *taken, const struct burst *b,
					    nsec_t now)
{
	const struct path_entry *best = NULL;
	nsec_t least = 0;

	for (unsigned i = 0; i < set->n_active; i++) {
		const struct path_entry *e = &set->entries[set->active[i]];
		const struct pathctl *c = spread_control(s, set, e, now);
		nsec_t arrival = c ? pathctl_arrival(c, b->len, now) : now;

		if (e == taken || e->state != HEALTH_UP || !link_has_room(e->path->link))
			continue;
		if (c && pathctl_is_silent(c, now))
			arrival += NSEC_PER_SEC;
		if (!best || arrival < least) {
			best = e;
			least = arrival;
		}
	}
	return best;
}

/* The account of copies comes with the first. */
static bool has_urgent(struct spread *s, nsec_t now)
{
	struct urgent *u;

	if (s->urgent)
		return true;
	if (urgent_new(&u, now) < 0)
		return false;
	/* release: status reads through it */
	atomic_store_explicit(&s->urgent, u, memory_order_release);
	return true;
}

/*
 * In mode auto, what is urgent goes over a second path as well, which is returned; NULL: over none.
 */
static const struct path_entry *copy_urgent(struct spread *s, const struct path_set *set,
					    const struct path_entry *taken, struct burst *b,
					    nsec_t now)
{
	bool is_wanted = b->is_urgent && set->mode == BOND_AUTO;
	const struct path_entry *e = is_wanted ? second_best(s, set, taken, b, now) : NULL;
	struct pathctl *c = e ? spread_control(s, set, e, now) : NULL;

	if (!e || !has_urgent(s, now) ||
	    !urgent_may_copy(s->urgent, b->n, b->len, c ? c->rate : PATHCTL_RATE_START, now))
		return NULL;
	if (!spread_push(s, c, e, b, now))
		return NULL;
	urgent_copied(s->urgent, b->n, b->len);
	return e;
}

/*
 * While there is a path that reports, a silent one gets copies. When none is left, the windows
 * of all may be full of what will never be reported (the peer has restarted): then real bursts
 * go out now and then, so that the first report opens them again.
 */
static enum spread_result send_controlled(struct spread *s, const struct path_set *set,
					  struct burst *b, nsec_t now, nsec_t *ret_retry)
{
	const struct path_entry *copied = NULL;
	struct candidates candidates;
	struct choice best;
	bool is_sent;

	spread_find_candidates(s, set, now, &candidates);
	spread_choose(s, set, &candidates, b, now, &best);
	is_sent = send_over(s, set, &best, b, now);
	if (is_sent)
		copied = copy_urgent(s, set, best.entry, b, now);
	for (unsigned i = 0; i < set->n_active; i++) {
		const struct path_entry *e = &set->entries[set->active[i]];

		if ((is_sent || candidates.kind == SILENT) && e != best.entry && e != copied &&
		    (spread_is_silent(s, set, e, now) || best.crowded & 1U << e->path->slot) &&
		    spread_probe(s, set, e, b, now)) {
			if (!is_sent)
				spread_keep(s, set, e, b, now);
			is_sent = true;
		}
	}
	*ret_retry = best.retry;
	return is_sent ? SPREAD_SENT : SPREAD_FULL;
}

enum spread_result spread_send_rcu(struct spread *s, const struct path_set *set, struct burst *b,
				   nsec_t now, nsec_t *ret_retry)
{
	*ret_retry = NSEC_NEVER;
	if (!set || !set->n_active)
		return SPREAD_NO_PATH;
	if (b->binding != BINDING_NONE)
		return spread_send_bound_rcu(s, set, b, now, ret_retry);
	if (set->mode == BOND_REDUNDANT)
		return send_all(s, set, b);
	if (spread_is_controlled(set))
		return send_controlled(s, set, b, now, ret_retry);
	return send_by_weight(s, set, b);
}

bool spread_is_urgent_rcu(const struct path_set *set, struct sparse **flows, const uint8_t *packet,
			  size_t len, nsec_t now)
{
	if (!set || !spread_is_controlled(set) || set->n_active < 2)
		return false;
	if (!*flows)
		*flows = calloc(SPARSE_FLOWS, sizeof(**flows));
	return *flows && urgent_is(*flows, packet, len, now);
}

/* The paths that what has this binding may take. */
static void find_users(struct spread *s, const struct path_set *set, uint8_t binding, nsec_t now,
		       struct candidates *ret)
{
	const struct path_entry *e;

	if (binding == BINDING_NONE) {
		spread_find_candidates(s, set, now, ret);
		return;
	}
	e = spread_bound_path(s, set, binding, now);
	ret->n = e != NULL;
	if (e)
		ret->entries[0] = (uint8_t)(e - set->entries);
}

uint64_t spread_burst_bytes_rcu(struct spread *s, const struct path_set *set, uint8_t binding,
				nsec_t now)
{
	struct candidates candidates;
	uint64_t bytes = UINT64_MAX;

	if (!set || !spread_is_controlled(set))
		return bytes;
	find_users(s, set, binding, now, &candidates);
	for (unsigned i = 0; i < candidates.n; i++) {
		const struct path *p = set->entries[candidates.entries[i]].path;
		const struct pathctl *c = s->controls[p->slot];

		if (c && pathctl_burst_bytes(c) < bytes)
			bytes = pathctl_burst_bytes(c);
	}
	return bytes;
}

nsec_t spread_round_trip_rcu(struct spread *s, const struct path_set *set, uint8_t binding,
			     nsec_t now, bool *ret_fast)
{
	struct candidates candidates;
	double capacity = 0;
	nsec_t longest = 0;

	*ret_fast = false;
	if (!set || !spread_is_controlled(set))
		return 0;
	find_users(s, set, binding, now, &candidates);
	for (unsigned i = 0; i < candidates.n; i++) {
		const struct path *p = set->entries[candidates.entries[i]].path;
		const struct pathctl *c = s->controls[p->slot];

		capacity += c ? c->capacity : 0;
		if (c && c->delays.is_known)
			longest = nsec_max(longest, pathctl_round_trip(c) + pathctl_queue(c, now));
	}
	*ret_fast = capacity >= PATHCTL_RATE_FAST;
	if (longest && binding == BINDING_NONE)
		longest += spread_repair_wait(s, now);
	return longest;
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
		.arrival = (nsec_t)(report->arrival_ns & ARRIVAL_MASK),
	};

	for (unsigned i = 0; set && i < set->n; i++) {
		struct path *p = set->entries[i].path;
		struct pathctl *c = s->controls[p->slot];

		if (p->id != report->path_id || !c || c->epoch != path_epoch(p))
			continue;
		if (!pathctl_report(c, &r, now))
			continue;
		resend_reported(&s->resend, p, r.session, r.counter);
		tell(p, c, now);
	}
}
