/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What is in force in a network, as settings. Nothing here changes it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/bond.h"
#include "dataplane/links.h"
#include "dataplane/network.h"
#include "dataplane/network_state.h"

const struct network_settings *network_settings(const struct network *n)
{
	return n->settings;
}

const struct peer_settings *network_peer(const struct network *n, size_t i)
{
	return n->bonds[i]->settings;
}

static int note_rules(const struct network *n, struct network_settings *s)
{
	const struct rules *rules = rcu_own(&n->rules);

	s->rules = calloc(rules->n + 1, sizeof(*s->rules));
	if (!s->rules)
		return -ENOMEM;
	s->n_rules = rules->n;
	memcpy(s->rules, rules->list, rules->n * sizeof(*s->rules));
	return 0;
}

static int note_links(const struct network *n, struct network_settings *s)
{
	s->links = calloc(n->n_links + 1, sizeof(*s->links));
	if (!s->links)
		return -ENOMEM;
	for (size_t i = 0; i < n->n_links; i++) {
		if (n->links[i])
			s->links[s->n_links++] = *n->links[i]->settings;
	}
	return 0;
}

static int note_peers(const struct network *n, struct network_settings *s)
{
	s->peers = calloc(n->n_bonds + 1, sizeof(*s->peers));
	if (!s->peers)
		return -ENOMEM;
	for (; s->n_peers < n->n_bonds; s->n_peers++) {
		int r = peer_settings_init(&s->peers[s->n_peers], network_peer(n, s->n_peers));

		if (r < 0)
			return r;
	}
	return 0;
}

int network_settings_now(const struct network *n, struct network_settings **ret)
{
	struct network_settings *s;
	int r = network_settings_copy(&s, n->settings);

	if (r < 0)
		return r;
	r = note_rules(n, s);
	if (r == 0)
		r = note_links(n, s);
	if (r == 0)
		r = note_peers(n, s);
	if (r < 0) {
		network_settings_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

size_t network_n_links(const struct network *n)
{
	return n->n_links;
}

const struct link_settings *network_link(const struct network *n, size_t number)
{
	const struct link *l = n->links[number];

	return l ? l->settings : NULL;
}

const struct link_settings *network_find_link(const struct network *n, const char *name)
{
	const struct link *l = network_link_find(n, name);

	return l ? l->settings : NULL;
}
