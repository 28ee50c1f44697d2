/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* See docs/design/two-processes.md. */
#include "dataplane/recall.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/links.h"
#include "dataplane/network_state.h"
#include "dataplane/probe_internal.h"
#include "util/container.h"
#include "util/log.h"

/* The same peer is told of so seldom, */
#define TELL_INTERVAL (50 * NSEC_PER_MSEC)
/* and one of all so often: we wait for the supervisor's answer, which takes 20 to 50 us. */
#define TELL_STEP NSEC_PER_MSEC
/* Between the handshakes that are begun: with a thousand peers within a second. */
#define HANDSHAKE_STEP NSEC_PER_MSEC

void recall_note(struct probe *p)
{
	struct network *n = p->network;

	if (timer_is_armed(&p->recall_timer))
		return;
	timerq_arm(p->timers, &p->recall_timer,
		   nsec_max(n->recall_at, p->recalled_at + TELL_INTERVAL));
	n->recall_at += TELL_STEP;
}

/* A path that was learnt was authentic; one that is configured is when something is heard there. */
static bool is_authentic(const struct probe_path *pp)
{
	return !pp->name || pp->health.state == HEALTH_UP;
}

static void begin(struct broker_endpoints *e, const struct bond *bond)
{
	*e = (struct broker_endpoints){.n = 0};
	strcpy(e->network, bond->network->settings->name);
	memcpy(e->public_key, bond->settings->public_key, sizeof(e->public_key));
}

static void add(struct broker_endpoints *e, const struct path_entry *path)
{
	struct broker_endpoint *to = &e->list[e->n++];

	strcpy(to->link, path->path->link->settings->name);
	to->remote = path->to.remote;
	to->local = path->to.local;
}

/* Where it fails, the next engine waits for the peer. */
static void tell(const struct network *n, const struct broker_endpoints *e, const char *peer)
{
	int r = broker_keep_endpoints(n->broker, e);

	log_debug(
		"network %s: peer %s: %u endpoints, the first over link %s, for after a crash: %s",
		n->settings->name, peer, e->n, e->n ? e->list[0].link : "-",
		r < 0 ? strerror(-r) : "kept");
}

void recall_tick(struct timer *t, nsec_t now)
{
	struct probe *p = container_of(t, struct probe, recall_timer);
	const struct path_set *set = rcu_own(&p->bond->paths);
	struct broker_endpoints e;

	begin(&e, p->bond);
	e.session_at = atomic_load_explicit(&p->bond->peer.last_handshake, memory_order_relaxed);
	if (!e.session_at || !set)
		return;
	for (unsigned i = 0; i < set->n && e.n < BROKER_ENDPOINTS_MAX; i++) {
		const struct path_entry *path = path_set_nth(set, i);

		if (is_authentic(p->paths[path->path->slot]))
			add(&e, path);
	}
	if (!e.n)
		return; /* it is nowhere now; where it was is better than nothing */
	tell(p->network, &e, p->bond->settings->name);
	p->recalled_at = now;
	p->bond->is_recalled = true;
}

void recall_forget(const struct bond *bond)
{
	struct broker_endpoints e;

	if (!bond->is_recalled)
		return;
	begin(&e, bond);
	tell(bond->network, &e, bond->settings->name);
}

static int latest_first(const void *a, const void *b)
{
	const struct broker_endpoints *x = a, *y = b;

	return (x->session_at < y->session_at) - (x->session_at > y->session_at);
}

/* NULL: there are no links. */
static struct link *first_link(const struct network *n)
{
	for (size_t i = 0; i < n->n_links; i++)
		if (n->links[i])
			return n->links[i];
	return NULL;
}

/* The peer may be reached over another link as well, if its own has gone or has another name. */
static void make_path(struct probe *p, const struct broker_endpoint *e, nsec_t now)
{
	struct link *l = network_link_find(p->network, e->link);
	struct endpoint to = {.remote = e->remote};

	if (l)
		to.local = e->local;
	else
		l = first_link(p->network);
	if (l)
		probe_recall_path(p, l, &to, now);
}

/* False without memory. */
static bool make_paths(const struct probe_context *c, struct bond *bond,
		       const struct broker_endpoints *e, nsec_t now)
{
	bond->is_recalled = true;
	if (!bond->probe && probe_new(&bond->probe, c, bond, now) < 0)
		return false;
	for (uint32_t i = 0; i < e->n; i++)
		make_path(bond->probe, &e->list[i], now);
	return true;
}

/* The latest first, since who has just lost a session needs another one soonest. */
static void take(const struct probe_context *c, struct broker_endpoints *list, size_t count,
		 nsec_t now)
{
	struct network *n = c->network;
	size_t n_known = 0, n_begun = 0;

	qsort(list, count, sizeof(*list), latest_first);
	for (size_t i = 0; i < count; i++) {
		struct peer *p = device_find_peer(n->device, list[i].public_key);

		if (!p) { /* it went, and then the engine before us crashed */
			list[i].n = 0;
			tell(n, &list[i], "that is gone");
			continue;
		}
		if (!make_paths(c, bond_of(p), &list[i], now))
			continue;
		n_known++;
		if (!p->is_wanted_up && now - list[i].session_at < REJECT_AFTER_TIME)
			device_resume_peer(p, now + (nsec_t)n_begun++ * HANDSHAKE_STEP, now);
	}
	log_notice("network %s: where %zu peers were is known from before; handshakes are begun "
		   "with %zu of them",
		   n->settings->name, n_known, n_begun);
}

void recall_load(const struct probe_context *c, nsec_t now)
{
	struct network *n = c->network;
	struct broker_endpoints *list;
	size_t count;
	int r = broker_load_endpoints(n->broker, n->settings->name, &list, &count);

	if (r == -ENOENT)
		return;
	if (r < 0) {
		log_warn("network %s: where its peers were is not known (%s); they are waited for",
			 n->settings->name, strerror(-r));
		return;
	}
	take(c, list, count, now);
	free(list);
}
