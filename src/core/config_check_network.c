/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/config_check_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keys.h"

/* Without any [network], there is a default one; else each needs its [wireguard] and back. */
static void check_sections(struct config_check *c, const struct network_draft *n)
{
	const char *name = n->settings.name;

	if (!n->wireguard)
		config_errors_add(c->errors, n->network->line,
				  "%s: the section [wireguard] of the same name is missing",
				  n->network->label);
	else if (!n->network && (*n->wireguard->name || c->d->n_networks > 1))
		config_errors_add(c->errors, n->wireguard->line,
				  "%s: the section [network] of the same name ('%s') is missing",
				  n->wireguard->label, name);
}

static size_t count_family(const struct network_settings *n, int family)
{
	size_t count = 0;

	for (size_t i = 0; i < n->n_addresses; i++)
		count += n->addresses[i].prefix.family == family;
	return count;
}

static void check_addresses(struct config_check *c, const struct network_draft *n)
{
	const struct config_section *s = n->network;

	if (config_section_is_bad(s, "address"))
		return;
	if (n->netmask_len && n->n_plain_ipv4 != 1)
		config_report(
			c->errors, s, "netmask",
			"found %zu IPv4 addresses without /LENGTH in 'address', allowed: exactly "
			"one",
			n->n_plain_ipv4);
	if (n->destination.family && count_family(&n->settings, n->destination.family) != 1)
		config_report(c->errors, s, "destination",
			      "found %zu %s addresses in 'address', allowed: exactly one",
			      count_family(&n->settings, n->destination.family),
			      n->destination.family == AF_INET ? "IPv4" : "IPv6");
}

static void check_sizes(struct config_check *c, const struct network_draft *n)
{
	const struct network_settings *set = &n->settings;
	const struct config_section *s = n->network;

	if (config_section_is_bad(s, "mtu"))
		return;
	if (!config_section_is_bad(s, "buffer_size") && set->buffer_size < set->mtu)
		config_report(c->errors, s, "buffer_size",
			      "found %u, allowed: at least the mtu (%u)", set->buffer_size,
			      set->mtu);
	if (set->mtu < MTU_IPV6_MIN && count_family(set, AF_INET6))
		config_report(c->errors, s, "mtu",
			      "found %u, allowed: at least %u with an IPv6 address", set->mtu,
			      MTU_IPV6_MIN);
}

/* Without some that its own flow queues leave free, a peer could stop the others. */
static void check_pools(struct config_check *c, const struct network_draft *n)
{
	const struct network_sizes *sizes = &n->settings.sizes;
	uint32_t most = sizes->buffers - sizes->buffers / 4;

	if (!config_section_is_bad(n->network, "buffers") &&
	    !config_section_is_bad(n->network, "queue_buffers") && sizes->queue_buffers > most)
		config_report(c->errors, n->network, "queue_buffers",
			      "found %u, allowed: at most three quarters of buffers (%u)",
			      sizes->queue_buffers, most);
}

static void check_recovery(struct config_check *c, const struct network_draft *n)
{
	const struct health_settings *h = &n->settings.health;
	const struct config_section *s = n->wireguard;

	if (h->recovery_loss > h->failure_loss)
		config_report(c->errors, s, "recovery_loss",
			      "found %u, allowed: at most failure_loss (%u)", h->recovery_loss,
			      h->failure_loss);
	if (h->recovery_latency > h->failure_latency)
		config_report(c->errors, s, "recovery_latency_ms",
			      "found %lld, allowed: at most failure_latency_ms (%lld)",
			      (long long)(h->recovery_latency / NSEC_PER_MSEC),
			      (long long)(h->failure_latency / NSEC_PER_MSEC));
}

/* A timeout without a longer interval would declare every path dead between two pings. */
static void check_health(struct config_check *c, const struct network_draft *n)
{
	const struct health_settings *h = &n->settings.health;
	const struct config_section *s = n->wireguard;

	if (config_section_is_bad(s, "health_check_interval_ms") ||
	    config_section_is_bad(s, "health_check_timeout_ms") || h->timeout > h->interval)
		return;
	config_report(c->errors, s, "health_check_timeout_ms",
		      "found %lld, allowed: more than health_check_interval_ms (%lld)",
		      (long long)(h->timeout / NSEC_PER_MSEC),
		      (long long)(h->interval / NSEC_PER_MSEC));
}

static void check_single_form(struct config_check *c, const struct network_draft *n)
{
	if (n->n_peers)
		config_report(
			c->errors, n->wireguard, "peer_public_key",
			"found beside %zu [peer NAME] sections of the network, allowed: either",
			n->n_peers);
	config_check_secret(c, n->wireguard, "preshared_key", "preshared_key_file", false);
}

/* Keys that speak of the one peer make no sense where the peers have sections of their own. */
static void check_multi_form(struct config_check *c, const struct network_draft *n)
{
	static const char *const peer_keys[] = {"preshared_key", "preshared_key_file",
						"allowed_ips", "persistent_keepalive", "multilink"};

	if (!n->n_peers && c->has_stray_peers)
		return;
	if (!n->n_peers) {
		config_report(c->errors, n->wireguard, "peer_public_key",
			      "missing, allowed: it, or sections [peer NAME]");
		return;
	}
	for (size_t i = 0; i < sizeof(peer_keys) / sizeof(*peer_keys); i++)
		if (config_section_has(n->wireguard, peer_keys[i]))
			config_report(c->errors, n->wireguard, peer_keys[i],
				      "found without peer_public_key, allowed: in [peer NAME]");
	for (size_t i = 0; i < c->d->n_links; i++) {
		const struct link_draft *l = &c->d->links[i];

		if (l->network == n && config_section_has(l->section, "endpoint"))
			config_report(
				c->errors, l->section, "endpoint",
				"found in the network of [peer NAME] sections, allowed: in those");
	}
}

static void check_own_key(struct config_check *c, const struct network_draft *n)
{
	uint8_t own[KEY_LEN];

	if (keys_is_zero(n->settings.private_key))
		return;
	keys_public(own, n->settings.private_key);
	if (!memcmp(n->peer.public_key, own, KEY_LEN))
		config_report(c->errors, n->wireguard, "peer_public_key",
			      "found this network's own public key, allowed: the peer's");
	for (size_t i = 0; i < c->d->n_peers; i++) {
		const struct peer_draft *p = &c->d->peers[i];

		if (p->network == n && !memcmp(p->settings.public_key, own, KEY_LEN))
			config_report(
				c->errors, p->section, "public_key",
				"found the own public key of network '%s', allowed: the peer's",
				n->settings.name);
	}
}

struct allowed_ip {
	const struct prefix *prefix;
	const struct config_section *section;
};

static int compare_allowed_ips(const void *left, const void *right)
{
	const struct allowed_ip *a = left;
	const struct allowed_ip *b = right;
	int r = memcmp(a->prefix->bytes, b->prefix->bytes, sizeof(a->prefix->bytes));

	if (!r)
		r = (a->prefix->family > b->prefix->family) -
		    (a->prefix->family < b->prefix->family);
	if (!r)
		r = a->prefix->len - b->prefix->len;
	return r ? r : a->section->line - b->section->line;
}

static size_t collect_allowed_ips(struct allowed_ip *to, const struct peer_settings *p,
				  const struct config_section *section)
{
	for (size_t i = 0; to && i < p->n_allowed_ips; i++)
		to[i] = (struct allowed_ip){&p->allowed_ips[i], section};
	return p->n_allowed_ips;
}

/* All of a network's into `to`; NULL only counts them. */
static size_t collect_network(const struct config_draft *d, const struct network_draft *n,
			      struct allowed_ip *to)
{
	size_t count = collect_allowed_ips(to, &n->peer, n->wireguard);

	for (size_t i = 0; i < d->n_peers; i++)
		if (d->peers[i].network == n)
			count += collect_allowed_ips(to ? to + count : NULL, &d->peers[i].settings,
						     d->peers[i].section);
	return count;
}

/* Sorted, so that equal ones are neighbours. */
static int check_allowed_ips(struct config_check *c, const struct network_draft *n)
{
	size_t count = collect_network(c->d, n, NULL);
	struct allowed_ip *all = calloc(count + 1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	collect_network(c->d, n, all);
	qsort(all, count, sizeof(*all), compare_allowed_ips);
	for (size_t i = 1; i < count; i++) {
		char text[PREFIX_TEXT_MAX];

		if (prefix_equal(all[i - 1].prefix, all[i].prefix))
			config_report(
				c->errors, all[i].section, "allowed_ips",
				"found %s, which %s (line %d) has already, allowed: each prefix "
				"once",
				prefix_format(all[i].prefix, text), all[i - 1].section->label,
				all[i - 1].section->line);
	}
	free(all);
	return 0;
}

int config_check_network(struct config_check *c, const struct network_draft *n)
{
	check_sections(c, n);
	if (n->network) {
		check_addresses(c, n);
		check_sizes(c, n);
		config_check_buffers(c, &n->settings, n->network, "tso", n->settings.tso);
		config_check_buffers(c, &n->settings, n->network, "uso", n->settings.uso);
		check_pools(c, n);
	}
	if (!n->wireguard)
		return 0;
	config_check_secret(c, n->wireguard, "private_key", "private_key_file", true);
	check_health(c, n);
	check_recovery(c, n);
	if (network_draft_is_single(n))
		check_single_form(c, n);
	else
		check_multi_form(c, n);
	check_own_key(c, n);
	if (n->settings.is_enabled && !n->n_links && !c->has_stray_links)
		config_errors_add(c->errors, n->wireguard->line,
				  "%s: links cannot be empty, allowed: at least one [link NAME]",
				  n->wireguard->label);
	return check_allowed_ips(c, n);
}
