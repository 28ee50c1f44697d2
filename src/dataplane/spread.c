/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/spread_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/wg.h"

/* A copy of a burst goes over a silent path this often, to see whether it is back. */
#define PROBE_INTERVAL (100 * NSEC_PER_MSEC)
/* When nothing else will wake us. */
#define RETRY_LATEST (50 * NSEC_PER_MSEC)
/* Shorter waits are not worth a sleep: pathctl lets a path catch up. */
#define RETRY_SOONEST (NSEC_PER_MSEC / 4)
/* So long after a small packet another one is expected, which is not to wait long. */
#define SMALL_MEMORY (NSEC_PER_SEC / 4)
/* Repairs of so long ago still tell what the next may take. */
#define REPAIR_AGE_SPAN NSEC_PER_SEC
/* A path that others fill is used for more than this part of what all of them carry. */
#define CROWDED_SHARE 0.1
/* Only differences of arrivals mean something. Of so many bits, a few times can be added. */
#define ARRIVAL_MASK ((1ULL << 60) - 1)
/* When what a dead path took along had nowhere to go. */
#define RESEND_RETRY (10 * NSEC_PER_MSEC)

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
		(*c)->is_shared = small_at && now - small_at < SMALL_MEMORY;
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

nsec_t spread_retry_at(nsec_t ready, nsec_t now)
{
	return nsec_min(nsec_max(ready, now + RETRY_SOONEST), now + RETRY_LATEST);
}

/*
 * The path on which the burst arrives first, of those that may take it now. What is urgent waits
 * for no path's pace: it is little, and charged to the path all the same. And nothing overflows to
 * a longer path while the shorter one is not full but only not known yet.
 */
struct choice {
	const struct path_entry *entry;
	struct pathctl *control;
	nsec_t arrival;
	nsec_t better; /* arrival on a path that is worth waiting for */
	nsec_t retry;
	uint32_t crowded; /* slots of paths that were left out because others fill them */
	double standing;  /* pathctl_standing() of all */
};

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

bool spread_is_silent(struct spread *s, const struct path_set *set, const struct path_entry *e,
		      nsec_t now)
{
	const struct pathctl *c = spread_control(s, set, e, now);

	return c && pathctl_is_silent(c, now);
}

/* Paths of which one will do, of the best kind there is. */
struct candidates {
	uint8_t entries[PATHS_MAX];
	unsigned n;
	enum { LIVELY_ACTIVE, LIVELY_STANDBY, SILENT, NO_CANDIDATE } kind;
};

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

/* If no active path reports any more, any other that is up will do; else the silent ones. */
static void find_candidates(struct spread *s, const struct path_set *set, nsec_t now,
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

static void choose(struct spread *s, const struct path_set *set, const struct candidates *from,
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

bool spread_probe(struct spread *s, const struct path_set *set, const struct path_entry *e,
		  struct burst *b, nsec_t now)
{
	nsec_t *next = &s->next_probe[e->path->slot];

	if (now < *next || !link_has_room(e->path->link))
		return false;
	*next = now + PROBE_INTERVAL;
	return spread_push(s, spread_control(s, set, e, now), e, b, now);
}

/* Is it worth keeping what goes over a path? Not if there is no other, or it is too fast. */
static bool is_worth_keeping(const struct spread *s, const struct path_set *set,
			     const struct pathctl *c)
{
	unsigned n_up = 0;

	if (!c || !s->resend.store.cells)
		return false;
	for (unsigned i = 0; i < set->n; i++)
		n_up += set->entries[i].state == HEALTH_UP;
	return n_up > 1 &&
	       pathctl_exposure(c) <= pool_cells(s->resend.store.cells) * STORE_CELL_BYTES / 2;
}

/* The burst has been given to this path, and to no other before. */
static void keep(struct spread *s, const struct path_set *set, const struct path_entry *e,
		 struct burst *b, nsec_t now)
{
	if (is_worth_keeping(s, set, spread_control(s, set, e, now)))
		resend_keep(&s->resend, e->path, b, now);
}

static bool send_over(struct spread *s, const struct path_set *set, const struct choice *c,
		      struct burst *b, nsec_t now)
{
	if (!c->entry || !spread_push(s, c->control, c->entry, b, now))
		return false;
	keep(s, set, c->entry, b, now);
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

/* In mode auto, what is urgent goes over a second path as well, which is returned; NULL: over none.
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

	find_candidates(s, set, now, &candidates);
	choose(s, set, &candidates, b, now, &best);
	is_sent = send_over(s, set, &best, b, now);
	if (is_sent)
		copied = copy_urgent(s, set, best.entry, b, now);
	for (unsigned i = 0; i < set->n_active; i++) {
		const struct path_entry *e = &set->entries[set->active[i]];

		if ((is_sent || candidates.kind == SILENT) && e != best.entry && e != copied &&
		    (spread_is_silent(s, set, e, now) || best.crowded & 1U << e->path->slot) &&
		    spread_probe(s, set, e, b, now)) {
			if (!is_sent)
				keep(s, set, e, b, now);
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

bool spread_want(struct spread *s, const struct frame_repair *repair)
{
	for (unsigned i = 0; i < repair->n_gaps; i++)
		resend_want(&s->resend, repair->session, repair->gaps[i].counter,
			    repair->gaps[i].n);
	return resend_is_wanted(&s->resend);
}

/* The slots of paths that will not report any more what they were given. */
static uint32_t dead_slots(struct spread *s, const struct path_set *set, nsec_t now)
{
	uint32_t dead = s->resend.outstanding;

	for (unsigned i = 0; i < set->n; i++) {
		const struct path_entry *e = &set->entries[i];

		if (s->resend.paths[e->path->slot].epoch == path_epoch(e->path) &&
		    e->state != HEALTH_DOWN && e->is_usable && !spread_is_silent(s, set, e, now))
			dead &= ~(1U << e->path->slot);
	}
	return dead;
}

/* A burst of what is to be sent again, as long as the paths want it. */
static struct burst *copy_run(const struct store_run *run, uint64_t limit, struct pool *bursts)
{
	struct burst *b = burst_take(bursts);
	struct store_run part = *run;

	if (!b)
		return NULL;
	store_run_cut(&part, limit / part.stride ? limit / part.stride : 1);
	b->stride = part.stride;
	b->len = part.len;
	b->n = part.n;
	memcpy(b->data, part.data, part.len);
	return b;
}

/* Who asks for a packet knows that it is missing that long after it was sent. */
static void note_repair(struct spread *s, nsec_t age, nsec_t now)
{
	bool is_first = now - s->repair_at > REPAIR_AGE_SPAN;

	s->repair_age += is_first ? age - s->repair_age : (age - s->repair_age) / 16;
	s->repair_at = now;
}

static void note_resent(struct spread *s, const struct choice *sent, const struct resend_item *item,
			const struct burst *b, nsec_t now)
{
	struct pathctl *c = sent->control;
	nsec_t until = now;

	if (c) {
		pathctl_sent(c, SENT_AGAIN, item->run.session, item->run.first, b->n, b->len, now);
		until = pathctl_reported_at(c, now);
	}
	resend_done(&s->resend, item, b->n, b->len, sent->entry->path->slot, until);
}

bool spread_resend_rcu(struct spread *s, const struct path_set *set, struct pool *bursts,
		       nsec_t now, nsec_t *ret_retry)
{
	struct candidates candidates;
	struct resend_item item;
	struct choice best;
	struct burst *b;
	bool is_sent = true;

	if (!set || !spread_is_controlled(set))
		return true;
	store_expire(&s->resend.store, now);
	find_candidates(s, set, now, &candidates);
	if (candidates.kind > LIVELY_STANDBY)
		return true; /* nowhere to send it */
	while (is_sent && resend_next(&s->resend, dead_slots(s, set, now), now, &item)) {
		b = copy_run(&item.run, spread_burst_bytes_rcu(s, set, BINDING_NONE, now), bursts);
		if (!b)
			return true;
		b->is_urgent = item.slot == PATH_SLOT_NONE;
		if (b->is_urgent)
			note_repair(s, now - item.run.at, now);
		choose(s, set, &candidates, b, now, &best);
		is_sent = best.entry && push(s, best.entry, b);
		if (is_sent)
			note_resent(s, &best, &item, b, now);
		*ret_retry = best.retry;
		burst_put(b);
	}
	return is_sent;
}

nsec_t spread_deadline(const struct spread *s, nsec_t now)
{
	nsec_t at = store_deadline(&s->resend.store);

	if (at == NSEC_NEVER)
		return at;
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		if (s->resend.outstanding & 1U << i && s->controls[i])
			at = nsec_min(at, pathctl_silent_at(s->controls[i]));
	}
	/* What is due already, and could not be done, is looked at again before long. */
	return nsec_max(at, now + RESEND_RETRY);
}

/* The paths that what has this binding may take. */
static void find_users(struct spread *s, const struct path_set *set, uint8_t binding, nsec_t now,
		       struct candidates *ret)
{
	const struct path_entry *e;

	if (binding == BINDING_NONE) {
		find_candidates(s, set, now, ret);
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
	if (longest && binding == BINDING_NONE && now - s->repair_at < REPAIR_AGE_SPAN)
		longest += s->repair_age;
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
