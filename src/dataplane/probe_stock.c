/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A stock peer's paths. It answers no pings, but it answers handshakes, which go over one path
 * after the other, the preferred one first, until one is answered. If that is not the path that
 * carries the data, and nothing has come over that one although we send, it is dead; until a
 * later handshake is answered there. See docs/design/stock-peers.md.
 */
#include "dataplane/network_state.h"
#include "dataplane/probe_internal.h"

/* So long without an answer is no delay any more: a stock peer answers data within this time. */
#define UNANSWERED_TIME KEEPALIVE_TIMEOUT

static uint64_t packets(const struct path_count *c)
{
	return atomic_load_explicit(&c->packets, memory_order_relaxed);
}

void probe_stock_sample(struct probe_path *pp, nsec_t now)
{
	uint64_t received = packets(&pp->path->received);

	if (received == pp->heard_received)
		return;
	pp->heard_received = received;
	pp->heard_sent = packets(&pp->path->sent);
	pp->heard_at = now;
}

static bool is_unanswered(struct probe_path *pp, nsec_t now)
{
	probe_stock_sample(pp, now);
	return now - pp->heard_at > UNANSWERED_TIME && packets(&pp->path->sent) > pp->heard_sent;
}

static void answered(struct probe_path *pp, nsec_t now)
{
	const struct probe *p = pp->probe;

	if (pp->health.state == HEALTH_UP)
		return;
	health_init(&pp->health, now);
	health_heard(&pp->health, &p->network->settings->health, now);
	probe_path_announce(pp, "a handshake is answered there", now);
	probe_path_arm(pp);
}

/* In redundant mode all paths are used in any case. */
void probe_handshake(struct probe *p, const struct event *e)
{
	const struct path_set *set = rcu_own(&p->bond->paths);
	struct probe_path *dead[PATHS_MAX];
	unsigned n_dead = 0;

	if (p->is_multilink || !set || set->mode == BOND_REDUNDANT)
		return;
	for (unsigned i = 0; i < set->n_active; i++) {
		struct probe_path *pp = p->paths[set->entries[set->active[i]].path->slot];

		if (pp->path->link != e->link && is_unanswered(pp, e->at))
			dead[n_dead++] = pp;
	}
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (pp && pp->path->link == e->link && addr_equal(&pp->to.remote, &e->from.remote))
			answered(pp, e->at);
	}
	for (unsigned i = 0; i < n_dead; i++) {
		if (!health_unanswered(&dead[i]->health, &p->network->settings->health, e->at))
			continue;
		probe_path_announce(dead[i], "a handshake is answered on another path only", e->at);
		probe_path_arm(dead[i]);
	}
}

void probe_stock_call(struct probe *p, nsec_t now)
{
	const struct path_set *set = rcu_own(&p->bond->paths);

	if (!set || set->n_active == set->n)
		return;
	rcu_begin();
	bond_send_control_rcu(p->bond, NULL, "", 0, now);
	rcu_end();
}
