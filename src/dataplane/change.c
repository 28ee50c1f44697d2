/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A change is worked out as a whole (change_plan.h) and then carried out by errands to the threads
 * (util/errand.h), each of which changes what it owns while the others go on.
 *
 * A peer that is removed loses its sessions first, so that nothing is received for it, then its
 * place in the table of allowed IPs, so that nothing is sent. A thread that is still at work on
 * something of the peer's has finished with it when it runs its next errand. Threads that others
 * post to come last: their errand empties their queue, which may name the peer. Then the peer is
 * wiped and freed.
 */
#include "dataplane/change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keys.h"
#include "dataplane/bonds.h"
#include "dataplane/change_plan.h"
#include "dataplane/handshaker.h"
#include "dataplane/links.h"
#include "dataplane/monitor.h"
#include "dataplane/network_state.h"
#include "dataplane/recall.h"
#include "dataplane/routes.h"
#include "dataplane/rx.h"
#include "dataplane/tx.h"
#include "util/log.h"

/* Monitor. */
static void reserve_bonds(void *arg)
{
	struct plan *p = arg;

	p->result = network_reserve_bonds(p->network, p->n_new);
}

static void edit_keys(struct edit *e, nsec_t now)
{
	const struct peer_settings *had = e->bond->settings;
	const struct peer_settings *wanted = e->wanted;

	if (memcmp(had->preshared_key, wanted->preshared_key, KEY_LEN) != 0)
		device_set_preshared_key(&e->bond->peer, wanted->preshared_key);
	if (had->persistent_keepalive != wanted->persistent_keepalive)
		device_set_keepalive(&e->bond->peer, wanted->persistent_keepalive, now);
}

static void insert(struct device *d, struct edit *e)
{
	device_insert_peer(d, &e->bond->peer, e->wanted->persistent_keepalive, false);
	device_set_preshared_key(&e->bond->peer, e->wanted->preshared_key);
}

/* Handshake thread. What may fail comes first. */
static void edit_device(void *arg)
{
	struct plan *p = arg;
	struct device *d = p->network->device;
	nsec_t now = clock_now();

	p->result = device_reserve_peers(d, p->n_new);
	if (p->result == 0 && p->private_key)
		p->result = device_set_private_key(d, p->private_key, now);
	if (p->result < 0)
		return;
	for (size_t i = 0; i < p->n_gone; i++)
		device_unlink_peer(d, &p->gone[i]->peer);
	for (size_t i = 0; i < p->n_edits; i++) {
		struct edit *e = &p->edits[i];

		if (!e->wanted)
			continue;
		if (e->is_new)
			insert(d, e);
		else
			edit_keys(e, now);
	}
}

/* One that stays keeps its place in memory: the paths that lead there know it by that. */
static void take_endpoint(struct peer_settings *s, struct peer_settings *wanted)
{
	struct endpoint_name *had = s->endpoint;

	if (had && wanted->endpoint) {
		*had = *wanted->endpoint;
		return;
	}
	s->endpoint = wanted->endpoint;
	wanted->endpoint = had;
}

static void take_settings(struct peer_settings *s, struct peer_settings *wanted)
{
	struct prefix *had = s->allowed_ips;

	memcpy(s->preshared_key, wanted->preshared_key, sizeof(s->preshared_key));
	s->persistent_keepalive = wanted->persistent_keepalive;
	s->multilink = wanted->multilink;
	take_endpoint(s, wanted);
	s->allowed_ips = wanted->allowed_ips;
	s->n_allowed_ips = wanted->n_allowed_ips;
	wanted->allowed_ips = had;
}

/* Monitor. */
static void edit_paths(void *arg)
{
	struct plan *p = arg;
	struct network *n = p->network;

	for (size_t i = 0; i < p->n_gone; i++)
		network_take_bond(n, p->gone[i]);
	for (size_t i = 0; i < p->n_edits; i++) {
		struct edit *e = &p->edits[i];
		enum multilink had = e->bond->settings->multilink;

		if (!e->wanted)
			continue;
		if (!e->is_new)
			take_settings(e->bond->settings, e->wanted);
		if (e->is_new)
			network_add_bond(n, e->bond);
		if (e->is_new || e->has_endpoint)
			monitor_configure_bond(n->monitor, e->bond);
		if (!e->is_new && had != e->bond->settings->multilink)
			monitor_set_multilink(e->bond);
	}
}

/* Handshake thread: there are paths now for what it has to say. */
static void start_peers(void *arg)
{
	struct plan *p = arg;
	nsec_t now = clock_now();

	for (size_t i = 0; i < p->n_edits; i++) {
		struct edit *e = &p->edits[i];

		if (e->wanted)
			device_set_wanted_up(&e->bond->peer, bond_is_wanted_up(e->bond), now);
	}
	if (p->private_key)
		device_start(p->network->device, now);
}

static void clean_rx(void *arg)
{
	rx_remove_bonds(arg);
}

static void clean_monitor(void *arg)
{
	struct plan *p = arg;

	monitor_remove_bonds(p->network->monitor, p->gone, p->n_gone);
}

static void clean_pokes(void *arg)
{
	handshaker_take_pokes(arg);
}

/*
 * A worker's last batch may have gone to another one, which ran its errand before: after the first
 * round no worker has a batch left, after the second none is still at work on another's.
 */
static void clean_workers(struct link *l)
{
	uint32_t rounds = l->n_workers > 1 ? 2 : 1;

	for (uint32_t i = 0; i < rounds * l->n_workers; i++) {
		struct link_worker *w = &l->workers[i % l->n_workers];

		link_send_errand(w, clean_rx, w->user);
	}
}

/* Whoever posts to a thread comes before that thread. */
static void remove_gone(struct plan *p)
{
	struct network *n = p->network;

	for (size_t i = 0; i < n->n_links; i++) {
		if (n->links[i])
			clean_workers(n->links[i]);
	}
	tx_remove_bonds(n->tx, p->gone, p->n_gone);
	monitor_send_errand(n->monitor, clean_monitor, p);
	handshaker_send_errand(n->handshaker, clean_pokes, n->handshaker);
}

/* What one peer was given, another had. */
static void prune_settings(struct plan *p)
{
	const struct network *n = p->network;

	for (size_t i = 0; p->n_given && i < n->n_bonds; i++) {
		struct peer_settings *s = n->bonds[i]->settings;
		size_t kept = 0;

		for (size_t j = 0; j < s->n_allowed_ips; j++) {
			if (allowedips_owner(p->allowed_ips, &s->allowed_ips[j]) == n->bonds[i])
				s->allowed_ips[kept++] = s->allowed_ips[j];
		}
		s->n_allowed_ips = kept;
	}
}

static void publish_table(struct plan *p)
{
	struct network *n = p->network;
	struct allowedips *old = rcu_own(&n->allowed_ips);

	prune_settings(p);
	rcu_publish(&n->allowed_ips, p->allowed_ips);
	p->allowed_ips = NULL;
	allowedips_retire(old);
}

static int carry_out(struct plan *p)
{
	struct network *n = p->network;

	if (p->n_new)
		monitor_send_errand(n->monitor, reserve_bonds, p);
	if (p->result == 0)
		handshaker_send_errand(n->handshaker, edit_device, p);
	if (p->result < 0)
		return p->result;
	p->is_done = true;
	for (size_t i = 0; i < p->n_gone; i++)
		p->gone[i]->is_removed = true;
	if (p->private_key)
		memcpy(n->settings->private_key, p->private_key, KEY_LEN);
	monitor_send_errand(n->monitor, edit_paths, p);
	publish_table(p);
	if (p->n_edits || p->change->n_links)
		network_links_follow_endpoints(n);
	handshaker_send_errand(n->handshaker, start_peers, p);
	if (p->n_gone)
		remove_gone(p);
	for (size_t i = 0; i < p->n_gone; i++)
		recall_forget(p->gone[i]);
	return 0;
}

/* What takes a change of a link back. */
static struct link_change inverse_of(const struct network *n, const struct link_change *c)
{
	const struct link_settings *had = network_find_link(n, c->settings.name);

	if (had)
		return (struct link_change){.settings = *had};
	return (struct link_change){.settings = c->settings, .is_removed = true};
}

/* `inverse` has room for all. */
static int change_links(struct network *n, const struct network_change *change,
			struct link_change *inverse)
{
	for (size_t i = 0; i < change->n_links; i++)
		inverse[i] = inverse_of(n, &change->links[i]);
	return network_links_change(n, change->links, change->n_links);
}

static void change_links_back(struct network *n, const struct link_change *inverse, size_t count)
{
	int r = network_links_change(n, inverse, count);

	if (r < 0)
		log_error("network %s: its links cannot go back to what they were: %s",
			  n->settings->name, strerror(-r));
}

/* The key that it has already may be given too, as `wg syncconf` does: then all sessions stay. */
static const uint8_t *other_private_key(const struct network *n, const uint8_t *given)
{
	bool is_other = given && !keys_equal(given, n->settings->private_key, KEY_LEN);

	return is_other ? given : NULL;
}

int network_change(struct network *n, const struct network_change *change)
{
	struct link_change *inverse = calloc(change->n_links + 1, sizeof(*inverse));
	struct plan p = {.network = n,
			 .change = change,
			 .private_key = other_private_key(n, change->private_key)};
	int r = inverse ? change_links(n, change, inverse) : -ENOMEM;

	if (r == 0)
		r = plan_peers(&p);
	if (r == 0)
		r = carry_out(&p);
	if (r == 0)
		routes_sync(n); /* what fails there has been said, and hinders nothing else */
	else if (inverse)
		change_links_back(n, inverse, change->n_links);
	plan_free(&p);
	free(inverse);
	return r;
}
