/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What is sent again: what a dead path had taken along, and what the peer misses. */
#include "dataplane/spread_internal.h"

#include <string.h>

/* Repairs of so long ago still tell what the next may take. */
#define REPAIR_AGE_SPAN NSEC_PER_SEC
/* When what a dead path took along had nowhere to go. */
#define RESEND_RETRY (10 * NSEC_PER_MSEC)

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

void spread_keep(struct spread *s, const struct path_set *set, const struct path_entry *e,
		 struct burst *b, nsec_t now)
{
	if (is_worth_keeping(s, set, spread_control(s, set, e, now)))
		resend_keep(&s->resend, e->path, b, now);
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
	spread_find_candidates(s, set, now, &candidates);
	if (candidates.kind > LIVELY_STANDBY)
		return true; /* nowhere to send it */
	while (is_sent && resend_next(&s->resend, dead_slots(s, set, now), now, &item)) {
		b = copy_run(&item.run, spread_burst_bytes_rcu(s, set, BINDING_NONE, now), bursts);
		if (!b)
			return true;
		b->is_urgent = item.slot == PATH_SLOT_NONE;
		if (b->is_urgent)
			note_repair(s, now - item.run.at, now);
		spread_choose(s, set, &candidates, b, now, &best);
		is_sent = best.entry && spread_push(s, NULL, best.entry, b, now);
		if (is_sent)
			note_resent(s, &best, &item, b, now);
		*ret_retry = best.retry;
		burst_put(b);
	}
	return is_sent;
}

nsec_t spread_repair_wait(const struct spread *s, nsec_t now)
{
	return now - s->repair_at < REPAIR_AGE_SPAN ? s->repair_age : 0;
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
