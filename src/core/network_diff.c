/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/network_diff.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keys.h"

static int compare_keys(const void *left, const void *right)
{
	const struct peer_settings *a = *(const struct peer_settings *const *)left;
	const struct peer_settings *b = *(const struct peer_settings *const *)right;

	return memcmp(a->public_key, b->public_key, KEY_LEN);
}

/* By public key; NULL: no memory. */
static const struct peer_settings **sort_peers(const struct network_settings *s)
{
	const struct peer_settings **sorted = calloc(s->n_peers + 1, sizeof(*sorted));

	for (size_t i = 0; sorted && i < s->n_peers; i++)
		sorted[i] = &s->peers[i];
	if (sorted)
		qsort(sorted, s->n_peers, sizeof(*sorted), compare_keys);
	return sorted;
}

/* The same peer, which has the same name; another name is another peer. */
static const struct peer_settings *find_peer(const struct peer_settings **sorted, size_t n,
					     const struct peer_settings *like)
{
	const struct peer_settings **found =
		bsearch(&like, sorted, n, sizeof(*sorted), compare_keys);

	return found && !strcmp((*found)->name, like->name) ? *found : NULL;
}

static const struct link_settings *find_link(const struct network_settings *s, const char *name)
{
	for (size_t i = 0; i < s->n_links; i++)
		if (!strcmp(s->links[i].name, name))
			return &s->links[i];
	return NULL;
}

static bool has_same_allowed_ips(const struct peer_settings *a, const struct peer_settings *b)
{
	return a->n_allowed_ips == b->n_allowed_ips &&
	       !memcmp(a->allowed_ips, b->allowed_ips, a->n_allowed_ips * sizeof(*a->allowed_ips));
}

static bool is_same_endpoint(const struct endpoint_name *a, const struct endpoint_name *b)
{
	if (!a || !b)
		return a == b;
	return a->port == b->port && !strcmp(a->host, b->host);
}

static void add_removal(struct network_diff *d, const struct peer_settings *p)
{
	struct peer_change *c = &d->peers[d->change.n_peers++];

	*c = (struct peer_change){.is_removed = true};
	memcpy(c->public_key, p->public_key, KEY_LEN);
}

/*
 * `from` NULL: a peer that comes. Of one that changes all is given, since wg(8) may have changed
 * the rest of it; but the endpoint, as where it leads now may be elsewhere. `prefixes` has room for
 * all its allowed IPs. False: it does not change.
 */
static bool fill_peer(struct peer_change *c, const struct peer_settings *from,
		      const struct peer_settings *to, struct prefix_change *prefixes)
{
	*c = (struct peer_change){
		.has_preshared_key = true,
		.has_endpoint = !from || !is_same_endpoint(from->endpoint, to->endpoint),
		.has_persistent_keepalive = true,
		.has_multilink = true,
		.replaces_allowed_ips = true,
		.is_on_demand = to->is_on_demand,
		.persistent_keepalive = to->persistent_keepalive,
		.multilink = to->multilink,
	};
	memcpy(c->public_key, to->public_key, KEY_LEN);
	memcpy(c->preshared_key, to->preshared_key, KEY_LEN);
	strcpy(c->name, to->name);
	if (to->endpoint)
		c->endpoint = *to->endpoint;
	for (size_t i = 0; i < to->n_allowed_ips; i++)
		prefixes[i].prefix = to->allowed_ips[i];
	c->allowed_ips = prefixes;
	c->n_allowed_ips = to->n_allowed_ips;
	return !from || c->has_endpoint ||
	       memcmp(from->preshared_key, to->preshared_key, KEY_LEN) != 0 ||
	       from->persistent_keepalive != to->persistent_keepalive ||
	       from->multilink != to->multilink || !has_same_allowed_ips(from, to);
}

/* Those that go are first, so that what they were allowed is free. */
static int diff_peers(struct network_diff *d, const struct network_settings *from,
		      const struct network_settings *to)
{
	struct prefix_change *prefixes = d->prefixes;
	const struct peer_settings **before = sort_peers(from);
	const struct peer_settings **after = sort_peers(to);
	int r = before && after ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < from->n_peers; i++) {
		if (!find_peer(after, to->n_peers, &from->peers[i]))
			add_removal(d, &from->peers[i]);
	}
	for (size_t i = 0; r == 0 && i < to->n_peers; i++) {
		const struct peer_settings *p = &to->peers[i];
		struct peer_change *c = &d->peers[d->change.n_peers];

		if (!fill_peer(c, find_peer(before, from->n_peers, p), p, prefixes))
			continue;
		prefixes += c->n_allowed_ips;
		d->change.n_peers++;
	}
	free(before);
	free(after);
	return r;
}

/*
 * Here, and of tuning, what differs in its padding alone is taken for another one: to set what is
 * set already does nothing.
 */
static bool is_same_link(const struct link_settings *a, const struct link_settings *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static bool has_same_links(const struct network_settings *a, const struct network_settings *b)
{
	for (size_t i = 0; i < a->n_links; i++) {
		const struct link_settings *other = find_link(b, a->links[i].name);

		if (!other || !is_same_link(other, &a->links[i]))
			return false;
	}
	return a->n_links == b->n_links;
}

/* Where one changes all are given: wg(8) may have changed the mark, of which all have the same. */
static void diff_links(struct network_diff *d, const struct network_settings *from,
		       const struct network_settings *to)
{
	if (has_same_links(from, to))
		return;
	for (size_t i = 0; i < from->n_links; i++) {
		if (find_link(to, from->links[i].name))
			continue;
		d->links[d->change.n_links++] =
			(struct link_change){.settings = from->links[i], .is_removed = true};
	}
	for (size_t i = 0; i < to->n_links; i++)
		d->links[d->change.n_links++] = (struct link_change){.settings = to->links[i]};
}

static bool has_other_tuning(const struct network_settings *a, const struct network_settings *b)
{
	return a->mode != b->mode || a->scheduler != b->scheduler ||
	       a->max_spread != b->max_spread || a->n_rules != b->n_rules ||
	       (a->n_rules && memcmp(a->rules, b->rules, a->n_rules * sizeof(*a->rules)) != 0) ||
	       memcmp(&a->health, &b->health, sizeof(a->health)) != 0;
}

static size_t count_prefixes(const struct network_settings *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_peers; i++)
		n += s->peers[i].n_allowed_ips;
	return n;
}

int network_diff(const struct network_settings *from, const struct network_settings *to,
		 struct network_diff *ret)
{
	struct network_diff d = {
		.links = calloc(from->n_links + to->n_links + 1, sizeof(*d.links)),
		.peers = calloc(from->n_peers + to->n_peers + 1, sizeof(*d.peers)),
		.prefixes = calloc(count_prefixes(to) + 1, sizeof(*d.prefixes)),
		.has_tuning = has_other_tuning(from, to),
	};
	int r = d.links && d.peers && d.prefixes ? diff_peers(&d, from, to) : -ENOMEM;

	if (r < 0) {
		network_diff_deinit(&d);
		return r;
	}
	diff_links(&d, from, to);
	if (memcmp(from->private_key, to->private_key, KEY_LEN) != 0)
		d.change.private_key = to->private_key;
	d.change.links = d.links;
	d.change.peers = d.peers;
	*ret = d;
	return 0;
}

void network_diff_deinit(struct network_diff *d)
{
	if (d->peers)
		keys_wipe(d->peers, d->change.n_peers * sizeof(*d->peers));
	free(d->links);
	free(d->peers);
	free(d->prefixes);
	*d = (struct network_diff){0};
}
