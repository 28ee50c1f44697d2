/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/probe_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/network_state.h"
#include "dataplane/news.h"
#include "dataplane/recall.h"
#include "dataplane/resolver.h"
#include "dataplane/tx.h"
#include "util/log.h"

/*
 * A stock peer delivers in the order of arrival and reports nothing, so over links of unlike delay
 * several at once are slower than one: only where the weights are said to be right.
 */
static enum bond_mode mode_of(const struct probe *p)
{
	const struct network_settings *s = p->network->settings;

	bool stripes = s->mode == BOND_AGGREGATE || s->mode == BOND_AUTO;

	if (stripes && !p->is_multilink && s->scheduler != SCHEDULER_WEIGHT)
		return BOND_FAILOVER;
	return s->mode;
}

bool probe_path_is_backup(const struct probe_path *pp)
{
	return pp->path->link->settings->role == LINK_BACKUP || pp->is_remote_backup;
}

bool probe_publish(struct probe *p)
{
	const char *remote_links[PATHS_MAX];
	struct path_set *set = calloc(1, sizeof(*set));
	struct path_set *old = rcu_own(&p->bond->paths);

	if (!set) {
		log_error("network %s: no memory for a path table; the old one stays in force",
			  p->network->settings->name);
		return false;
	}
	set->mode = mode_of(p);
	set->is_multilink = p->is_multilink;
	set->is_by_weight = p->network->settings->scheduler == SCHEDULER_WEIGHT;
	set->max_spread = p->network->settings->max_spread;
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (!pp || !addr_is_set(&pp->to.remote))
			continue;
		remote_links[set->n] = pp->remote_link;
		set->entries[set->n++] = (struct path_entry){
			.path = pp->path,
			.to = pp->to,
			.weight = pp->weight,
			.remote_id = pp->remote_id,
			.state = pp->health.state,
			.is_usable = link_is_usable(pp->path->link),
			.is_held = pp->is_held,
			.is_poor = pp->is_poor,
			.is_backup = probe_path_is_backup(pp),
			.rate = pp->path->link->settings->rate,
		};
	}
	path_set_choose(set, p->is_multilink);
	rules_bind(rcu_own(&p->network->rules), set, remote_links, p->is_multilink);
	probe_stand_by(p, set);
	rcu_publish(&p->bond->paths, set);
	path_set_retire(old);
	recall_note(p);
	tx_kick(p->network->tx);
	return true;
}

static unsigned free_slot(const struct probe *p)
{
	unsigned slot = 0;

	while (slot < PATHS_MAX && p->paths[slot])
		slot++;
	return slot;
}

/*
 * A slot that is free, PATHS_MAX if there is none. A peer whose links come and go leaves learnt
 * paths behind: they are kept in case it is back there, but not at the expense of where it is now.
 */
static unsigned make_room(struct probe *p)
{
	struct probe_path *oldest = NULL;
	unsigned slot = free_slot(p);

	if (slot < PATHS_MAX)
		return slot;
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (pp->name || pp->health.state != HEALTH_DOWN)
			continue;
		if (!oldest || pp->health.since < oldest->health.since)
			oldest = pp;
	}
	if (oldest)
		probe_remove_path(oldest);
	return free_slot(p);
}

/* NULL: no slot, or no memory. */
static struct probe_path *add_path(struct probe *p, struct link *l, nsec_t now)
{
	unsigned slot = make_room(p);
	struct probe_path *pp;

	if (slot == PATHS_MAX)
		return NULL;
	pp = calloc(1, sizeof(*pp));
	if (!pp || posix_memalign((void **)&pp->path, _Alignof(struct path), sizeof(*pp->path))) {
		free(pp);
		return NULL;
	}
	memset(pp->path, 0, sizeof(*pp->path));
	pp->path->id = ++p->network->last_path_id;
	atomic_init(&pp->path->epoch, pp->path->id);
	pp->path->slot = (uint8_t)slot;
	pp->path->link = l;
	pp->probe = p;
	pp->timer.fire = probe_path_tick;
	pp->weight = l->settings->weight;
	loss_meter_init(&pp->tx_loss);
	loss_meter_init(&pp->rx_loss);
	health_init(&pp->health, now);
	pp->heard_at = now;
	p->paths[slot] = pp;
	return pp;
}

bool probe_remove_path(struct probe_path *pp)
{
	struct probe *p = pp->probe;

	p->paths[pp->path->slot] = NULL;
	if (!probe_publish(p) && rcu_own(&p->bond->paths)) {
		p->paths[pp->path->slot] = pp;
		return false;
	}
	timerq_disarm(p->timers, &pp->timer);
	news_path_removed(pp);
	path_retire(pp->path);
	free(pp->found);
	free(pp);
	return true;
}

static struct probe_path *find_path(struct probe *p, const struct link *l,
				    const struct addr *remote)
{
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (pp && pp->path->link == l && (!remote || addr_equal(&pp->to.remote, remote)))
			return pp;
	}
	return NULL;
}

/* The path leads elsewhere: what was learnt by data, pings and probes of the MTU is forgotten. */
static void begin_epoch(struct probe_path *pp, nsec_t now)
{
	path_leads_elsewhere(pp->path, ++pp->probe->network->last_path_id);
	health_forget_rtt(&pp->health, now);
	loss_meter_init(&pp->tx_loss);
	loss_meter_init(&pp->rx_loss);
	memset(&pp->pmtu, 0, sizeof(pp->pmtu));
}

static bool is_same_host(const struct addr *a, const struct addr *b)
{
	struct prefix host;

	return addr_host(a, &host) && addr_is_host(b, &host);
}

/* Another port of the same host is a NAT's doing, behind which all is as it was. */
void probe_path_move(struct probe_path *pp, const struct endpoint *to, nsec_t now)
{
	struct addr from = pp->to.remote;

	pp->to = *to;
	if (is_same_host(&from, &to->remote))
		memset(&pp->pmtu, 0, sizeof(pp->pmtu));
	else
		begin_epoch(pp, now);
	if (addr_is_set(&from))
		news_path_moved(pp, &from);
	probe_publish(pp->probe);
}

static struct probe_path *learn_path(struct probe *p, const struct event *e)
{
	struct probe_path *pp = add_path(p, e->link, e->at);

	if (!pp) {
		log_debug("network %s: peer %s: no room for one more path",
			  p->network->settings->name, p->bond->settings->name);
		return NULL;
	}
	pp->to = e->from;
	news_path_learnt(pp);
	probe_publish(p);
	probe_path_arm(pp);
	return pp;
}

/* A stock peer has one endpoint, its last: other paths that were learnt lead nowhere now. */
static void forget_others(struct probe *p, const struct probe_path *kept)
{
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		if (p->paths[i] && p->paths[i] != kept && !p->paths[i]->name)
			probe_remove_path(p->paths[i]);
	}
}

/* The same two ends; of our own only if we know it. */
static bool leads_back(const struct probe_path *pp, const struct endpoint *from)
{
	return addr_equal(&pp->to.remote, &from->remote) &&
	       (!addr_is_set(&pp->to.local) || addr_equal(&pp->to.local, &from->local));
}

void probe_heard(struct probe *p, const struct event *e)
{
	struct probe_path *pp = find_path(p, e->link, NULL);

	/* A vtrunkd says itself where its paths are: see probe_path_of_frame(). */
	if (p->is_multilink && find_path(p, e->link, &e->from.remote))
		return;
	if (p->is_multilink && rcu_own(&p->bond->paths) && rcu_own(&p->bond->paths)->n)
		return;
	if (!pp)
		pp = learn_path(p, e);
	else if (!leads_back(pp, &e->from) && !probe_name_has_left(pp, &e->from.remote, e->at))
		probe_path_move(pp, &e->from, e->at);
	if (!pp)
		return;
	if (!pp->name)
		forget_others(p, pp);
	if (pp->health.state == HEALTH_PROBING && !p->is_multilink) {
		health_heard(&pp->health, &p->network->settings->health, e->at);
		probe_path_announce(pp, "heard from the peer", e->at);
	}
}

void probe_recall_path(struct probe *p, struct link *l, const struct endpoint *to, nsec_t now)
{
	const struct event e = {.link = l, .from = *to, .at = now};
	struct probe_path *pp = find_path(p, l, NULL);

	if (pp && pp->name)
		probe_name_recall(pp, &to->remote, now);
	else if (!find_path(p, l, &to->remote))
		learn_path(p, &e);
}

/*
 * The path on which the peer's own path `remote_id` ends. Its packets tell where that path comes
 * from now, so an address that has changed (a NAT's new port, a new lease) moves the path.
 */
struct probe_path *probe_path_of_frame(struct probe *p, const struct event *e, uint32_t remote_id)
{
	struct probe_path *pp = NULL;
	struct probe_path *elsewhere = NULL;

	for (unsigned i = 0; i < PATHS_MAX; i++) {
		if (!p->paths[i] || p->paths[i]->remote_id != remote_id)
			continue;
		if (p->paths[i]->path->link == e->link)
			pp = p->paths[i];
		else if (!p->paths[i]->name)
			elsewhere = p->paths[i];
	}
	if (!pp)
		pp = find_path(p, e->link, &e->from.remote);
	if (!pp && elsewhere)
		probe_remove_path(elsewhere);
	if (!pp)
		pp = learn_path(p, e);
	if (!pp)
		return NULL;
	if (probe_name_has_left(pp, &e->from.remote, e->at))
		return pp;
	if (!addr_equal(&pp->to.remote, &e->from.remote))
		probe_path_move(pp, &e->from, e->at);
	if (pp->remote_id != remote_id || !addr_equal(&pp->to.local, &e->from.local)) {
		pp->remote_id = remote_id;
		pp->to.local = e->from.local;
		probe_publish(p);
	}
	return pp;
}

/* A stock peer has no other path over a link than that to its endpoint. */
static void remove_superseded(struct probe *p, const struct link *l, const struct probe_path *by)
{
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (pp && pp != by && pp->path->link == l && (pp->name || !p->is_multilink))
			probe_remove_path(pp);
	}
}

/* Where the paths lead is known from the peer alone now. */
static void forget_names(struct probe *p, const struct link *l)
{
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		if (p->paths[i] && p->paths[i]->path->link == l)
			p->paths[i]->name = NULL;
	}
}

int probe_configure_link(struct probe *p, struct link *l, nsec_t now)
{
	const struct endpoint_name *name = l->settings->endpoint.host[0]
						   ? &l->settings->endpoint
						   : p->bond->settings->endpoint;
	struct probe_path *pp = NULL;
	struct addr literal;

	/* What led there all the time stays; what is looked up begins anew. */
	if (name && resolver_literal(&literal, name, l->settings->bind.sa.sa_family) == 0)
		pp = find_path(p, l, &literal);
	if (!pp && name) {
		pp = add_path(p, l, now);
		if (!pp)
			return -ENOMEM;
	}
	if (pp && pp->name != name) {
		pp->name = name;
		probe_path_resolve(pp, now);
		probe_path_arm(pp);
		probe_name_arm(p, now);
	}
	if (pp)
		remove_superseded(p, l, pp);
	else
		forget_names(p, l);
	return 0;
}

void probe_reconfigure_link(struct probe *p, struct link *l, nsec_t now)
{
	if (probe_configure_link(p, l, now) < 0)
		log_error("network %s: peer %s: no memory for a path over link %s",
			  p->network->settings->name, p->bond->settings->name, l->settings->name);
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (!pp || pp->path->link != l)
			continue;
		pp->weight = l->settings->weight;
		pp->is_introduced = false; /* so that the peer hears of it */
	}
	probe_publish(p);
}

void probe_link_elsewhere(struct probe *p, const struct link *l, nsec_t now)
{
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (!pp || pp->path->link != l)
			continue;
		begin_epoch(pp, now);
		/* Who is asked answers from where he was; who asks takes what the link has now. */
		if (pp->name)
			memset(&pp->to.local, 0, sizeof(pp->to.local));
	}
	probe_publish(p);
}

void probe_remove_link(struct probe *p, const struct link *l)
{
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (!pp || pp->path->link != l)
			continue;
		/* Else the peer would go on sending to where nobody listens. */
		pp->health.state = HEALTH_DOWN;
		probe_path_tell_down(pp, clock_now());
		if (probe_remove_path(pp))
			continue;
		/* No memory for a snapshot without it: then none at all, for now. */
		path_set_retire(rcu_own(&p->bond->paths));
		rcu_publish(&p->bond->paths, NULL);
		probe_remove_path(pp);
	}
}
