/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A change is worked out as a whole (plan_peers()): each peer that it touches gets an edit, with
 * the settings wanted in the end. Nothing has happened until then, so that whatever fails leaves
 * the network as it was. Then it is carried out by visits to the threads (errand.h), each of which
 * changes what it owns, while the others go on.
 *
 * A peer that goes loses its sessions first, so that nothing is received for it, then its place
 * in the table of allowed IPs, so that nothing is sent. Who works on something of it still has
 * done so when he has been visited. The last to be visited are those to whom the others tell
 * things: each empties its queue, which may have named the peer. Then it is wiped and freed.
 */
#include "dataplane/change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keys.h"
#include "dataplane/bonds.h"
#include "dataplane/handshaker.h"
#include "dataplane/links.h"
#include "dataplane/monitor.h"
#include "dataplane/network_state.h"
#include "dataplane/recall.h"
#include "dataplane/routes.h"
#include "dataplane/rx.h"
#include "dataplane/tx.h"
#include "util/log.h"

/* What becomes of one bond. */
struct edit {
	struct bond *bond;
	struct peer_settings *wanted; /* NULL: it goes; of a new one: its own */
	bool is_new;
	bool has_endpoint; /* it has been given */
};

struct plan {
	struct network *network;
	const struct network_change *change;
	const uint8_t *private_key; /* another one than it had; NULL: it stays */
	struct noise_identity self;
	struct edit *edits;
	size_t n_edits, edits_room;
	size_t *by_key; /* number of an edit, from 1; by public key, with open addressing */
	size_t n_keys;	/* a power of two, above the number of edits that there can be */
	struct allowedip *given; /* in their order */
	size_t n_given;
	struct allowedips *allowed_ips; /* the table in the end */
	size_t n_new, n_gone;
	struct bond **gone;
	bool is_done;
	int result; /* of a visit */
};

/* The place of the key's edit, or where it would be. */
static size_t *place_of(struct plan *p, const uint8_t public_key[32])
{
	uint64_t hash;
	size_t at;

	memcpy(&hash, public_key, sizeof(hash));
	at = (hash ^ hash >> 32) & (p->n_keys - 1);
	while (p->by_key[at] && memcmp(p->edits[p->by_key[at] - 1].bond->peer.remote.public_key,
				       public_key, KEY_LEN) != 0)
		at = (at + 1) & (p->n_keys - 1);
	return &p->by_key[at];
}

static struct edit *add_edit(struct plan *p, struct bond *bond, bool is_new)
{
	struct edit *e = &p->edits[p->n_edits++];

	*e = (struct edit){.bond = bond, .is_new = is_new};
	bond->edit = e;
	*place_of(p, bond->peer.remote.public_key) = p->n_edits;
	return e;
}

static int make_room(struct plan *p)
{
	/* Removed and added again, a key has two edits. */
	size_t most = 2 * (p->network->n_bonds + p->change->n_peers) + 1;
	size_t n_given = 0;

	for (p->n_keys = 4; p->n_keys < 2 * most;)
		p->n_keys *= 2;
	for (size_t i = 0; i < p->change->n_peers; i++)
		n_given += p->change->peers[i].n_allowed_ips;
	p->edits = calloc(most, sizeof(*p->edits));
	p->by_key = calloc(p->n_keys, sizeof(*p->by_key));
	p->given = calloc(n_given + 1, sizeof(*p->given));
	return p->edits && p->by_key && p->given ? 0 : -ENOMEM;
}

static void plan_removal(struct edit *e)
{
	if (!e->is_new)
		peer_settings_free(e->wanted);
	e->wanted = NULL;
}

/* The edit of the peer with that key, NULL if there is no such peer, or not any more. */
static int find_edit(struct plan *p, const uint8_t public_key[32], struct edit **ret)
{
	size_t number = *place_of(p, public_key);
	struct edit *e = number ? &p->edits[number - 1] : NULL;
	struct peer *peer;

	if (!number && (peer = device_find_peer(p->network->device, public_key))) {
		e = add_edit(p, bond_of(peer), false);
		if (peer_settings_copy(&e->wanted, e->bond->settings) < 0)
			return -ENOMEM;
	}
	*ret = e && e->wanted ? e : NULL;
	return 0;
}

static int plan_new(struct plan *p, const struct peer_change *c, struct edit **ret)
{
	struct peer_settings s = {.is_on_demand = c->is_on_demand};
	struct bond *bond;
	struct edit *e;
	int r;

	memcpy(s.public_key, c->public_key, sizeof(s.public_key));
	memcpy(s.name, c->name, sizeof(s.name));
	if (!s.name[0])
		keys_to_base64(s.name, s.public_key);
	r = bond_new(&bond, p->network, &s, &p->self);
	if (r < 0)
		return r;
	e = add_edit(p, bond, true);
	e->wanted = bond->settings;
	*ret = e;
	return 0;
}

static size_t find_prefix(const struct peer_settings *s, const struct prefix *prefix)
{
	size_t i = 0;

	while (i < s->n_allowed_ips && memcmp(&s->allowed_ips[i], prefix, sizeof(*prefix)) != 0)
		i++;
	return i;
}

/* What has been given to the bond in this change already, it does not get. */
static void forget_given(struct plan *p, const struct bond *bond, const struct prefix *prefix)
{
	for (size_t i = 0; i < p->n_given; i++) {
		if (p->given[i].owner == bond &&
		    memcmp(&p->given[i].prefix, prefix, sizeof(*prefix)) == 0)
			p->given[i].owner = NULL;
	}
}

static int plan_allowed_ips(struct plan *p, struct edit *e, const struct peer_change *c)
{
	struct peer_settings *s = e->wanted;
	struct prefix *room =
		realloc(s->allowed_ips, (s->n_allowed_ips + c->n_allowed_ips + 1) * sizeof(*room));

	if (!room)
		return -ENOMEM;
	s->allowed_ips = room;
	for (size_t i = 0; c->replaces_allowed_ips && i < s->n_allowed_ips; i++)
		forget_given(p, e->bond, &s->allowed_ips[i]);
	if (c->replaces_allowed_ips)
		s->n_allowed_ips = 0;
	for (size_t i = 0; i < c->n_allowed_ips; i++) {
		const struct prefix *prefix = &c->allowed_ips[i].prefix;
		size_t at = find_prefix(s, prefix);

		if (c->allowed_ips[i].is_removed) {
			forget_given(p, e->bond, prefix);
			if (at < s->n_allowed_ips)
				s->allowed_ips[at] = s->allowed_ips[--s->n_allowed_ips];
			continue;
		}
		if (at == s->n_allowed_ips)
			s->allowed_ips[s->n_allowed_ips++] = *prefix;
		p->given[p->n_given++] = (struct allowedip){*prefix, e->bond};
	}
	return 0;
}

static int plan_endpoint(struct edit *e, const struct endpoint_name *endpoint)
{
	struct peer_settings *s = e->wanted;

	e->has_endpoint = true;
	if (!endpoint->host[0]) {
		free(s->endpoint);
		s->endpoint = NULL;
		return 0;
	}
	if (!s->endpoint)
		s->endpoint = malloc(sizeof(*s->endpoint));
	if (!s->endpoint)
		return -ENOMEM;
	*s->endpoint = *endpoint;
	return 0;
}

static int plan_peer(struct plan *p, const struct peer_change *c)
{
	struct edit *e;
	int r = find_edit(p, c->public_key, &e);

	if (r < 0)
		return r;
	if (c->is_removed) {
		if (e)
			plan_removal(e);
		return 0;
	}
	if (!e && c->is_update_only)
		return 0;
	if (!e)
		r = plan_new(p, c, &e);
	if (r < 0)
		return r;
	if (c->has_preshared_key)
		memcpy(e->wanted->preshared_key, c->preshared_key, sizeof(c->preshared_key));
	if (c->has_persistent_keepalive)
		e->wanted->persistent_keepalive = c->persistent_keepalive;
	if (c->has_multilink)
		e->wanted->multilink = c->multilink;
	if (c->has_endpoint)
		r = plan_endpoint(e, &c->endpoint);
	return r < 0 ? r : plan_allowed_ips(p, e, c);
}

static void plan_all_gone(struct plan *p)
{
	for (size_t i = 0; i < p->network->n_bonds; i++)
		add_edit(p, p->network->bonds[i], false);
}

/* We are no peer of ourselves. */
static int plan_not_self(struct plan *p)
{
	struct edit *e;
	int r = find_edit(p, p->self.public_key, &e);

	if (r == 0 && e)
		plan_removal(e);
	return r;
}

static size_t count_prefixes(const struct plan *p)
{
	size_t n = p->n_given;

	for (size_t i = 0; i < p->network->n_bonds; i++)
		n += p->network->bonds[i]->settings->n_allowed_ips;
	for (size_t i = 0; i < p->n_edits; i++)
		n += p->edits[i].wanted ? p->edits[i].wanted->n_allowed_ips : 0;
	return n;
}

static size_t list_prefixes(struct allowedip *to, struct bond *bond, const struct peer_settings *s)
{
	for (size_t i = 0; i < s->n_allowed_ips; i++)
		to[i] = (struct allowedip){s->allowed_ips[i], bond};
	return s->n_allowed_ips;
}

/* Of equal prefixes the later one wins: what has been given comes last. */
static int plan_table(struct plan *p)
{
	struct network *n = p->network;
	struct allowedip *entries = calloc(count_prefixes(p) + 1, sizeof(*entries));
	size_t count = 0;
	int r;

	if (!entries)
		return -ENOMEM;
	for (size_t i = 0; i < n->n_bonds; i++) {
		if (!n->bonds[i]->edit)
			count += list_prefixes(entries + count, n->bonds[i], n->bonds[i]->settings);
	}
	for (size_t i = 0; i < p->n_edits; i++) {
		const struct edit *e = &p->edits[i];

		if (e->wanted)
			count += list_prefixes(entries + count, e->bond, e->wanted);
	}
	for (size_t i = 0; i < p->n_given; i++) {
		const struct bond *bond = p->given[i].owner;

		if (bond && bond->edit->wanted)
			entries[count++] = p->given[i];
	}
	r = allowedips_new(&p->allowed_ips, entries, count);
	free(entries);
	return r;
}

static int count_edits(struct plan *p)
{
	p->gone = calloc(p->n_edits + 1, sizeof(struct bond *));
	if (!p->gone)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_edits; i++) {
		const struct edit *e = &p->edits[i];

		if (e->is_new && e->wanted)
			p->n_new++;
		else if (!e->is_new && !e->wanted)
			p->gone[p->n_gone++] = e->bond;
	}
	return 0;
}

/* Works out all that is to be done. -EINVAL, -ENOMEM, and nothing has been. */
static int plan_peers(struct plan *p)
{
	const struct network_change *c = p->change;
	const uint8_t *key = p->private_key ? p->private_key : p->network->settings->private_key;
	int r = make_room(p);

	if (r < 0)
		return r;
	if (!keys_is_zero(key))
		noise_identity_set(&p->self, key);
	if (c->replaces_peers)
		plan_all_gone(p);
	for (size_t i = 0; r == 0 && i < c->n_peers; i++)
		r = plan_peer(p, &c->peers[i]);
	if (r == 0)
		r = plan_not_self(p);
	if (r == 0)
		r = plan_table(p);
	return r < 0 ? r : count_edits(p);
}

static void free_plan(struct plan *p)
{
	for (size_t i = 0; i < p->n_edits; i++) {
		struct edit *e = &p->edits[i];

		e->bond->edit = NULL;
		if (!e->is_new)
			peer_settings_free(e->wanted);
		if (p->is_done ? !e->wanted : e->is_new)
			bond_free(e->bond);
	}
	allowedips_free(p->allowed_ips);
	keys_wipe(&p->self, sizeof(p->self));
	free(p->gone);
	free(p->given);
	free(p->by_key);
	free(p->edits);
}

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
 * A worker's last batch may be with another one, that was visited before it: after the first
 * round nobody has anything left, and after the second nobody is still at what others have left.
 */
static void visit_workers(struct link *l)
{
	uint32_t rounds = l->n_workers > 1 ? 2 : 1;

	for (uint32_t i = 0; i < rounds * l->n_workers; i++) {
		struct link_worker *w = &l->workers[i % l->n_workers];

		link_visit(w, clean_rx, w->user);
	}
}

/* Who tells others something comes before them. */
static void remove_gone(struct plan *p)
{
	struct network *n = p->network;

	for (size_t i = 0; i < n->n_links; i++) {
		if (n->links[i])
			visit_workers(n->links[i]);
	}
	tx_remove_bonds(n->tx, p->gone, p->n_gone);
	monitor_visit(n->monitor, clean_monitor, p);
	handshaker_visit(n->handshaker, clean_pokes, n->handshaker);
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
		monitor_visit(n->monitor, reserve_bonds, p);
	if (p->result == 0)
		handshaker_visit(n->handshaker, edit_device, p);
	if (p->result < 0)
		return p->result;
	p->is_done = true;
	for (size_t i = 0; i < p->n_gone; i++)
		p->gone[i]->is_removed = true;
	if (p->private_key)
		memcpy(n->settings->private_key, p->private_key, KEY_LEN);
	monitor_visit(n->monitor, edit_paths, p);
	publish_table(p);
	if (p->n_edits || p->change->n_links)
		network_links_follow_endpoints(n);
	handshaker_visit(n->handshaker, start_peers, p);
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

/* `inverse` has room for all; *ret_n is how many of the changes have been made. */
static int change_links(struct network *n, const struct network_change *change,
			struct link_change *inverse, size_t *ret_n)
{
	int r = 0;

	for (*ret_n = 0; *ret_n < change->n_links; ++*ret_n) {
		inverse[*ret_n] = inverse_of(n, &change->links[*ret_n]);
		r = network_link_change(n, &change->links[*ret_n]);
		if (r < 0)
			break;
	}
	return r;
}

static void change_links_back(struct network *n, const struct link_change *inverse, size_t count)
{
	while (count > 0) {
		const struct link_change *c = &inverse[--count];
		int r = network_link_change(n, c);

		if (r < 0)
			log_error("network %s: link %s: cannot go back to what it was: %s",
				  n->settings->name, c->settings.name, strerror(-r));
	}
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
	size_t n_changed = 0;
	int r = inverse ? change_links(n, change, inverse, &n_changed) : -ENOMEM;

	if (r == 0)
		r = plan_peers(&p);
	if (r == 0)
		r = carry_out(&p);
	if (r == 0)
		routes_sync(n); /* what fails there has been said, and hinders nothing else */
	else
		change_links_back(n, inverse, n_changed);
	free_plan(&p);
	free(inverse);
	return r;
}
