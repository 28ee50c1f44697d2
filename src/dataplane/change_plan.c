/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/change_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keys.h"
#include "dataplane/bonds.h"
#include "dataplane/network_state.h"
#include "peers/allowedips.h"
#include "peers/device.h"

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
	return plan_endpoint(e, &c->endpoint);
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
	/* Another name is another peer. */
	if (e && *c->name && strcmp(c->name, e->wanted->name) != 0) {
		plan_removal(e);
		e = NULL;
	}
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

int plan_peers(struct plan *p)
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

void plan_free(struct plan *p)
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
