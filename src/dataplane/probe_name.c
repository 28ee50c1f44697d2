/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Endpoints by name. A name may have several addresses: while nothing answers at one, the next is
 * tried, and after a round the name is looked up again. One that answers stays in use until the
 * name does not have it any more: docs/design/endpoint-names.md
 */
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/network_state.h"
#include "dataplane/probe_internal.h"
#include "dataplane/resolver.h"
#include "util/container.h"
#include "util/log.h"

/* A name whose path does not work is looked up this often, */
#define RETRY_INTERVAL (30 * NSEC_PER_SEC)
/* and each of its addresses has this long to answer: so long a handshake waits for its response. */
#define TRY_TIME (5 * NSEC_PER_SEC)

static bool take_literal(const struct probe_path *pp, struct addr *ret)
{
	return resolver_literal(ret, pp->name, pp->path->link->settings->bind.sa.sa_family) == 0;
}

static bool is_literal(const struct probe_path *pp)
{
	struct addr ignored;

	return take_literal(pp, &ignored);
}

/* Since when nothing answers at the address in use, of which there is one; NSEC_NEVER: something
 * does, or may. */
static nsec_t silent_since(const struct probe_path *pp, nsec_t now)
{
	const struct health *h = &pp->health;

	if (!is_literal(pp) && !probe_has_session(pp->probe, now))
		return pp->tried_at;
	if (h->state != HEALTH_DOWN)
		return NSEC_NEVER;
	if (!pp->probe->is_multilink)
		return nsec_max(pp->tried_at, h->since);
	return nsec_max(pp->tried_at, h->unanswered_since ? h->unanswered_since : now);
}

/* When the address in use has had its time. */
static nsec_t given_up_at(const struct probe_path *pp, nsec_t now)
{
	nsec_t since = silent_since(pp, now);

	return since == NSEC_NEVER ? NSEC_NEVER : since + TRY_TIME;
}

static nsec_t deadline(const struct probe_path *pp, nsec_t now)
{
	nsec_t given_up;

	if (!pp->name || pp->is_resolving)
		return NSEC_NEVER;
	if (!addr_is_set(&pp->to.remote))
		return pp->looked_up_at + RETRY_INTERVAL;
	given_up = given_up_at(pp, now);
	if (given_up == NSEC_NEVER || pp->n_untried)
		return nsec_min(given_up, pp->resolve_at);
	return nsec_min(nsec_max(given_up, pp->looked_up_at + RETRY_INTERVAL), pp->resolve_at);
}

static int find(const struct lookup_addresses *list, const struct addr *a)
{
	for (uint32_t i = 0; i < list->n; i++)
		if (addr_equal(&list->list[i], a))
			return (int)i;
	return -1;
}

static void go_to(struct probe_path *pp, const struct addr *a, nsec_t now)
{
	const struct endpoint to = {.remote = *a};

	pp->named = *a;
	pp->tried_at = now;
	if (addr_equal(&pp->to.remote, a))
		return;
	pp->left = pp->to.remote;
	probe_path_move(pp, &to, now);
	pp->health.next_ping = now;
	/* An address that was configured was there before the first initiation. */
	if (!is_literal(pp))
		peer_poke(&pp->probe->bond->peer, POKE_PATH);
}

bool probe_name_has_left(const struct probe_path *pp, const struct addr *remote, nsec_t now)
{
	return pp->name && addr_equal(&pp->left, remote) && now - pp->tried_at < TRY_TIME;
}

/* The one behind that in use; with one alone, that again. */
static void go_on(struct probe_path *pp, nsec_t now)
{
	int at = find(pp->found, &pp->to.remote);

	if (at < 0)
		at = find(pp->found, &pp->named);
	pp->n_untried -= pp->n_untried > 0;
	go_to(pp, &pp->found->list[(uint32_t)(at + 1) % pp->found->n], now);
}

static void take(struct probe_path *pp, const struct lookup_addresses *found, nsec_t now)
{
	if (!pp->found)
		pp->found = calloc(1, sizeof(*pp->found));
	if (!pp->found || !found->n)
		return; /* another time */
	*pp->found = *found;
	pp->n_untried = found->n;
	if (!addr_is_set(&pp->to.remote)) {
		pp->n_untried--;
		go_to(pp, &found->list[0], now);
	} else if (now >= given_up_at(pp, now)) {
		go_on(pp, now);
	} else if (addr_equal(&pp->to.remote, &pp->named) && find(found, &pp->named) < 0) {
		/* Else the peer itself has gone there, which counts more as long as it answers. */
		go_to(pp, &found->list[0], now);
	}
}

void probe_path_resolve(struct probe_path *pp, nsec_t now)
{
	struct probe *p = pp->probe;
	nsec_t interval = p->network->settings->health.resolve_interval;
	struct resolver_request q = {
		.bond = p->bond,
		.path_id = pp->path->id,
		.lookup = {.name = *pp->name,
			   .family = pp->path->link->settings->bind.sa.sa_family},
	};
	struct lookup_addresses literal = {.n = 1};

	pp->looked_up_at = now;
	pp->n_untried = 0;
	pp->resolve_at = NSEC_NEVER;
	if (take_literal(pp, &literal.list[0])) {
		take(pp, &literal, now);
		return;
	}
	if (interval)
		pp->resolve_at = now + interval;
	if (!*p->resolver && resolver_new(p->resolver, p->network) < 0) {
		log_error("network %s: cannot start the resolver thread",
			  p->network->settings->name);
		return;
	}
	pp->is_resolving = resolver_ask(*p->resolver, &q);
}

void probe_name_recall(struct probe_path *pp, const struct addr *remote, nsec_t now)
{
	if (!addr_is_set(&pp->to.remote))
		go_to(pp, remote, now);
}

void probe_name_arm(struct probe *p, nsec_t now)
{
	nsec_t at = NSEC_NEVER;

	for (unsigned i = 0; i < PATHS_MAX; i++)
		if (p->paths[i])
			at = nsec_min(at, deadline(p->paths[i], now));
	if (at == NSEC_NEVER)
		timerq_disarm(p->timers, &p->name_timer);
	else
		timerq_arm(p->timers, &p->name_timer, at);
}

void probe_name_tick(struct timer *t, nsec_t now)
{
	struct probe *p = container_of(t, struct probe, name_timer);

	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (!pp || now < deadline(pp, now))
			continue;
		if (now >= pp->resolve_at || !pp->n_untried)
			probe_path_resolve(pp, now);
		else
			go_on(pp, now);
		probe_path_arm(pp);
	}
	probe_name_arm(p, now);
}

static void report(const struct probe_path *pp, int error)
{
	log_warn("network %s: link %s: cannot resolve %s: %s", pp->probe->network->settings->name,
		 pp->path->link->settings->name, pp->name->host, gai_strerror(error));
}

bool probe_resolved(struct probe *p, const struct event *e)
{
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (!pp || pp->path->id != e->path_id)
			continue;
		pp->is_resolving = false;
		if (!pp->name)
			return true; /* has been taken away meanwhile */
		if (e->error)
			report(pp, e->error);
		else
			take(pp, &e->addresses, e->at);
		probe_path_arm(pp);
		probe_name_arm(p, e->at);
		return true;
	}
	return false;
}
