/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/container.h"

#define DSCP_LE 1

static unsigned number_of(const struct rules *r, const char *name)
{
	for (unsigned i = 0; r && i < r->n; i++) {
		if (!strcmp(r->list[i].name, name))
			return r->numbers[i];
	}
	return RULES_MAX;
}

bool rules_is_known(const struct rules *r, const char *name)
{
	return number_of(r, name) != RULES_MAX;
}

int rules_new(struct rules **ret, const struct rule_settings *list, size_t n,
	      const struct rules *before)
{
	struct rules *r = calloc(1, sizeof(*r));
	uint64_t taken = 0;

	if (!r)
		return -ENOMEM;
	r->n = (unsigned)n;
	for (unsigned i = 0; i < n; i++) {
		unsigned number = number_of(before, list[i].name);

		r->list[i] = list[i];
		r->numbers[i] = (uint8_t)number;
		taken |= 1ULL << number;
	}
	for (unsigned i = 0; i < n; i++) {
		if (r->numbers[i] != RULES_MAX)
			continue;
		r->numbers[i] = (uint8_t)__builtin_ctzll(~taken);
		taken |= 1ULL << r->numbers[i];
	}
	*ret = r;
	return 0;
}

static void release(struct rcu_link *link)
{
	free(container_of(link, struct rules, rcu));
}

void rules_retire(struct rules *r)
{
	if (r)
		rcu_retire(&r->rcu, release);
}

static bool meets_prefix(const struct prefix *list, unsigned n, uint8_t family,
			 const uint8_t *address)
{
	for (unsigned i = 0; i < n; i++) {
		if (list[i].family == family && prefix_has(&list[i], address))
			return true;
	}
	return !n;
}

static bool meets_port(const struct port_range *list, unsigned n, uint16_t port)
{
	for (unsigned i = 0; i < n; i++) {
		if (list[i].first <= port && port <= list[i].last)
			return true;
	}
	return !n;
}

static bool meets_protocol(const struct rule_settings *r, uint8_t protocol)
{
	return !r->n_protocols || memchr(r->protocols, protocol, r->n_protocols);
}

bool rule_is_met(const struct rule_settings *r, const struct inner_key *key)
{
	const struct inner *inner = &key->inner;
	bool wants_ports = r->n_source_ports || r->n_destination_ports || r->n_ports;

	if (r->dscps && !(r->dscps >> key->dscp & 1))
		return false;
	if (!meets_protocol(r, key->protocol) || (wants_ports && !key->has_ports))
		return false;
	if (!meets_port(r->source_ports, r->n_source_ports, key->source_port) ||
	    !meets_port(r->destination_ports, r->n_destination_ports, key->destination_port))
		return false;
	if (!meets_port(r->ports, r->n_ports, key->source_port) &&
	    !meets_port(r->ports, r->n_ports, key->destination_port))
		return false;
	return meets_prefix(r->sources, r->n_sources, inner->family, inner->source) &&
	       meets_prefix(r->destinations, r->n_destinations, inner->family, inner->destination);
}

uint8_t rules_find(const struct rules *r, const uint8_t *packet, size_t len)
{
	struct inner_key key;

	if (r && r->n) {
		inner_read_key(&key, packet, len);
		for (unsigned i = 0; i < r->n; i++) {
			if (rule_is_met(&r->list[i], &key))
				return r->numbers[i];
		}
	}
	return inner_dscp(packet) == DSCP_LE ? BINDING_LOWER_EFFORT : BINDING_NONE;
}

static void add_entry(struct path_binding *b, unsigned entry)
{
	for (unsigned i = 0; i < b->n; i++) {
		if (b->entries[i] == entry)
			return;
	}
	if (b->n < PATH_BINDING_MAX)
		b->entries[b->n++] = (uint8_t)entry;
}

/* The working paths over a link of that name; those that are poor, if so. */
static void add_link(struct path_binding *b, const struct path_set *set,
		     const char *const *remote_links, const char *name, bool is_peers, bool is_poor,
		     bool is_probed)
{
	for (unsigned i = 0; i < set->n; i++) {
		const struct path_entry *e = &set->entries[i];
		const char *has = is_peers ? remote_links[i] : e->path->link->settings->name;

		if (e->is_poor == is_poor && path_set_works(set, i, is_probed) &&
		    !strcmp(has, name))
			add_entry(b, i);
	}
}

static void bind_rule(const struct rule_settings *r, struct path_binding *b,
		      const struct path_set *set, const char *const *remote_links, bool is_probed)
{
	b->is_redundant = r->is_redundant;
	b->is_strict = r->is_strict;
	/* What is poor comes after what is not, whichever is named first. */
	for (int is_poor = 0; is_poor < 2; is_poor++) {
		for (unsigned i = 0; i < r->n_links; i++)
			add_link(b, set, remote_links, r->links[i], false, is_poor, is_probed);
		for (unsigned i = 0; i < r->n_peer_links; i++)
			add_link(b, set, remote_links, r->peer_links[i], true, is_poor, is_probed);
	}
}

void rules_bind(const struct rules *r, struct path_set *set, const char *const *remote_links,
		bool is_probed)
{
	/* The answers of a stock peer follow what it is sent: where that goes, all goes. */
	bool is_lone = !set->is_multilink && set->mode == BOND_FAILOVER;

	for (unsigned i = 0; r && !is_lone && i < r->n; i++)
		bind_rule(&r->list[i], &set->bindings[r->numbers[i]], set, remote_links, is_probed);
}
