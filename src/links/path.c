/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "links/path.h"

#include <stdlib.h>
#include <string.h>

#include "util/container.h"

/* While data goes there, reports come more often. */
#define QUEUE_MEMORY (100 * NSEC_PER_MSEC)

/* How good a path is: only those of the best rank present are candidates. */
enum path_rank {
	RANK_UP,
	RANK_UP_BACKUP,
	RANK_POOR,
	RANK_POOR_BACKUP,
	RANK_HELD,
	RANK_PROBING,
	RANK_DOWN,
	RANK_UNUSABLE,
};

static enum path_rank rank(const struct path_set *set, unsigned i, bool is_probed)
{
	const struct path_entry *e = &set->entries[i];
	bool may_probe = !is_probed || set->mode == BOND_REDUNDANT;
	bool is_poor = e->is_poor && set->mode != BOND_REDUNDANT;

	if (!e->is_usable)
		return RANK_UNUSABLE;
	if (e->state == HEALTH_UP || (may_probe && e->state == HEALTH_PROBING))
		return (is_poor ? RANK_POOR : RANK_UP) + e->is_backup;
	if (e->state == HEALTH_PROBING)
		return RANK_PROBING;
	return e->is_held ? RANK_HELD : RANK_DOWN;
}

bool path_set_works(const struct path_set *set, unsigned index, bool is_probed)
{
	return rank(set, index, is_probed) <= RANK_POOR_BACKUP;
}

static uint32_t heaviest_weight(const struct path_set *set)
{
	uint32_t heaviest = 0;

	for (unsigned i = 0; i < set->n && set->mode != BOND_FAILOVER; i++) {
		if (set->entries[i].weight > heaviest)
			heaviest = set->entries[i].weight;
	}
	return heaviest;
}

void path_set_choose(struct path_set *set, bool is_probed)
{
	enum path_rank best = RANK_UNUSABLE;
	unsigned heaviest = 0;

	for (unsigned i = 0; i < set->n; i++) {
		if (rank(set, i, is_probed) < best)
			best = rank(set, i, is_probed);
	}
	set->n_active = 0;
	set->heaviest = heaviest_weight(set);
	for (unsigned i = 0; i < set->n; i++) {
		if (rank(set, i, is_probed) != best)
			continue;
		if (set->n_active && set->entries[i].weight > set->entries[heaviest].weight)
			heaviest = i;
		else if (!set->n_active)
			heaviest = i;
		set->active[set->n_active++] = (uint8_t)i;
	}
	if (set->mode == BOND_FAILOVER && set->n_active) {
		set->active[0] = (uint8_t)heaviest;
		set->n_active = 1;
	}
}

uint8_t path_set_slot(const struct path_set *set, const struct link *link,
		      const struct addr *remote)
{
	if (!set)
		return PATH_SLOT_NONE;
	for (unsigned i = 0; i < set->n; i++) {
		const struct path_entry *e = &set->entries[i];

		if (e->path->link == link && addr_equal(&e->to.remote, remote))
			return e->path->slot;
	}
	return PATH_SLOT_NONE;
}

const struct path_entry *path_set_by_slot(const struct path_set *set, uint8_t slot)
{
	for (unsigned i = 0; set && i < set->n; i++) {
		if (set->entries[i].path->slot == slot)
			return &set->entries[i];
	}
	return NULL;
}

/* By what is configured, not by what is known: the order in which a stock peer's are tried. */
static bool is_preferred(const struct path_entry *a, const struct path_entry *b)
{
	if (a->is_usable != b->is_usable)
		return a->is_usable;
	if (a->is_backup != b->is_backup)
		return b->is_backup;
	return a->weight != b->weight ? a->weight > b->weight : a < b;
}

static const struct path_entry *nth_preferred(const struct path_set *set, unsigned nth)
{
	for (unsigned i = 0; i < set->n; i++) {
		unsigned n_before = 0;

		for (unsigned j = 0; j < set->n; j++)
			n_before += is_preferred(&set->entries[j], &set->entries[i]);
		if (n_before == nth)
			return &set->entries[i];
	}
	return NULL;
}

bool path_set_is_active(const struct path_set *set, unsigned index)
{
	return memchr(set->active, (int)index, set->n_active);
}

const struct path_entry *path_set_nth(const struct path_set *set, unsigned nth)
{
	if (!set->is_multilink)
		return nth_preferred(set, nth);
	if (nth < set->n_active)
		return &set->entries[set->active[nth]];
	nth -= set->n_active;
	for (unsigned i = 0; i < set->n; i++) {
		if (!path_set_is_active(set, i) && nth-- == 0)
			return &set->entries[i];
	}
	return NULL;
}

nsec_t path_queue(const struct path *p, nsec_t now)
{
	nsec_t queue = atomic_load_explicit(&p->queue, memory_order_relaxed);
	nsec_t at = atomic_load_explicit(&p->queue_at, memory_order_relaxed);

	return now - at > queue + QUEUE_MEMORY ? 0 : queue;
}

bool path_push(const struct path_entry *e, struct burst *b)
{
	if (!path_enqueue(e, b))
		return false;
	link_flush(e->path->link);
	return true;
}

bool path_enqueue(const struct path_entry *e, struct burst *b)
{
	struct path *p = e->path;

	if (!link_enqueue(p->link, b, &e->to, p->id))
		return false;
	path_count_add(&p->sent, b->n, b->len);
	return true;
}

static void release_set(struct rcu_link *link)
{
	free(container_of(link, struct path_set, rcu));
}

void path_leads_elsewhere(struct path *p, uint32_t epoch)
{
	atomic_store_explicit(&p->epoch, epoch, memory_order_relaxed);
	atomic_store_explicit(&p->rtt, 0, memory_order_relaxed);
}

void path_set_retire(struct path_set *set)
{
	if (set)
		rcu_retire(&set->rcu, release_set);
}

static void release_path(struct rcu_link *link)
{
	free(container_of(link, struct path, rcu));
}

void path_retire(struct path *p)
{
	rcu_retire(&p->rcu, release_path);
}
