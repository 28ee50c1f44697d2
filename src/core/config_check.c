/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/config_check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_rule.h"
#include "crypto/keys.h"
#include "netlink/route.h"
#include "util/thread.h"

/* Threads of a network that it has in any case: vt-tun, vt-monitor, vt-handshake. */
#define NETWORK_THREADS 3

struct check {
	struct config_draft *d;
	struct config_errors *errors;
	bool has_stray_links, has_stray_peers; /* of an unknown network: none may be missing then */
};

/* An error about a key of a section, at the key's line if it is given there. */
#define report(c, section, key, format, ...)                                                       \
	config_errors_add((c)->errors, config_section_line(section, key), "%s %s: " format,        \
			  (section)->label, key, ##__VA_ARGS__)

static const char *value_of(const struct config_section *s, const char *key)
{
	return config_section_find(s, key)->value;
}

/* A key that can be given inline or as the path of a file. */
static void check_secret(struct check *c, const struct config_section *s, const char *key,
			 const char *file_key, bool is_required)
{
	if (config_section_has(s, key) && config_section_has(s, file_key))
		report(c, s, file_key, "found beside %s, allowed: one of the two", key);
	else if (is_required && !config_section_has(s, key) && !config_section_has(s, file_key))
		report(c, s, key, "missing, allowed: %s or %s", key, file_key);
}

/* Without any [network], there is a default one; else each needs its [wireguard] and back. */
static void check_sections(struct check *c, const struct network_draft *n)
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

static void check_addresses(struct check *c, const struct network_draft *n)
{
	const struct config_section *s = n->network;

	if (config_section_is_bad(s, "address"))
		return;
	if (n->netmask_len && n->n_plain_ipv4 != 1)
		report(c, s, "netmask",
		       "found %zu IPv4 addresses without /LENGTH in 'address', allowed: exactly "
		       "one",
		       n->n_plain_ipv4);
	if (n->destination.family && count_family(&n->settings, n->destination.family) != 1)
		report(c, s, "destination",
		       "found %zu %s addresses in 'address', allowed: exactly one",
		       count_family(&n->settings, n->destination.family),
		       n->destination.family == AF_INET ? "IPv4" : "IPv6");
}

static void check_sizes(struct check *c, const struct network_draft *n)
{
	const struct network_settings *set = &n->settings;
	const struct config_section *s = n->network;

	if (config_section_is_bad(s, "mtu"))
		return;
	if (!config_section_is_bad(s, "buffer_size") && set->buffer_size < set->mtu)
		report(c, s, "buffer_size", "found %u, allowed: at least the mtu (%u)",
		       set->buffer_size, set->mtu);
	if (set->mtu < MTU_IPV6_MIN && count_family(set, AF_INET6))
		report(c, s, "mtu", "found %u, allowed: at least %u with an IPv6 address", set->mtu,
		       MTU_IPV6_MIN);
}

/* What is on in any case must fit the buffers. */
static void check_buffers(struct check *c, const struct network_settings *set,
			  const struct config_section *s, const char *key, enum offload wanted)
{
	if (wanted == OFFLOAD_ON && set->buffer_size < BUFFER_SIZE_DEFAULT)
		report(c, s, key, "found on, allowed: auto or off with a buffer_size below %u (%u)",
		       BUFFER_SIZE_DEFAULT, set->buffer_size);
}

/* Without some that its own flow queues leave free, a peer could stop the others. */
static void check_pools(struct check *c, const struct network_draft *n)
{
	const struct network_sizes *sizes = &n->settings.sizes;
	uint32_t most = sizes->buffers - sizes->buffers / 4;

	if (!config_section_is_bad(n->network, "buffers") &&
	    !config_section_is_bad(n->network, "queue_buffers") && sizes->queue_buffers > most)
		report(c, n->network, "queue_buffers",
		       "found %u, allowed: at most three quarters of buffers (%u)",
		       sizes->queue_buffers, most);
}

static void check_recovery(struct check *c, const struct network_draft *n)
{
	const struct health_settings *h = &n->settings.health;
	const struct config_section *s = n->wireguard;

	if (h->recovery_loss > h->failure_loss)
		report(c, s, "recovery_loss", "found %u, allowed: at most failure_loss (%u)",
		       h->recovery_loss, h->failure_loss);
	if (h->recovery_latency > h->failure_latency)
		report(c, s, "recovery_latency_ms",
		       "found %lld, allowed: at most failure_latency_ms (%lld)",
		       (long long)(h->recovery_latency / NSEC_PER_MSEC),
		       (long long)(h->failure_latency / NSEC_PER_MSEC));
}

/* A timeout without a longer interval would declare every path dead between two pings. */
static void check_health(struct check *c, const struct network_draft *n)
{
	const struct health_settings *h = &n->settings.health;
	const struct config_section *s = n->wireguard;

	if (config_section_is_bad(s, "health_check_interval_ms") ||
	    config_section_is_bad(s, "health_check_timeout_ms") || h->timeout > h->interval)
		return;
	report(c, s, "health_check_timeout_ms",
	       "found %lld, allowed: more than health_check_interval_ms (%lld)",
	       (long long)(h->timeout / NSEC_PER_MSEC), (long long)(h->interval / NSEC_PER_MSEC));
}

static void check_single_form(struct check *c, const struct network_draft *n)
{
	if (n->n_peers)
		report(c, n->wireguard, "peer_public_key",
		       "found beside %zu [peer NAME] sections of the network, allowed: either",
		       n->n_peers);
	check_secret(c, n->wireguard, "preshared_key", "preshared_key_file", false);
}

/* Keys that speak of the one peer make no sense where the peers have sections of their own. */
static void check_multi_form(struct check *c, const struct network_draft *n)
{
	static const char *const peer_keys[] = {"preshared_key", "preshared_key_file",
						"allowed_ips", "persistent_keepalive", "multilink"};

	if (!n->n_peers && c->has_stray_peers)
		return;
	if (!n->n_peers) {
		report(c, n->wireguard, "peer_public_key",
		       "missing, allowed: it, or sections [peer NAME]");
		return;
	}
	for (size_t i = 0; i < sizeof(peer_keys) / sizeof(*peer_keys); i++)
		if (config_section_has(n->wireguard, peer_keys[i]))
			report(c, n->wireguard, peer_keys[i],
			       "found without peer_public_key, allowed: in [peer NAME]");
	for (size_t i = 0; i < c->d->n_links; i++) {
		const struct link_draft *l = &c->d->links[i];

		if (l->network == n && config_section_has(l->section, "endpoint"))
			report(c, l->section, "endpoint",
			       "found in the network of [peer NAME] sections, allowed: in those");
	}
}

static void check_own_key(struct check *c, const struct network_draft *n)
{
	uint8_t own[KEY_LEN];

	if (keys_is_zero(n->settings.private_key))
		return;
	keys_public(own, n->settings.private_key);
	if (!memcmp(n->peer.public_key, own, KEY_LEN))
		report(c, n->wireguard, "peer_public_key",
		       "found this network's own public key, allowed: the peer's");
	for (size_t i = 0; i < c->d->n_peers; i++) {
		const struct peer_draft *p = &c->d->peers[i];

		if (p->network == n && !memcmp(p->settings.public_key, own, KEY_LEN))
			report(c, p->section, "public_key",
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
static int check_allowed_ips(struct check *c, const struct network_draft *n)
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
			report(c, all[i].section, "allowed_ips",
			       "found %s, which %s (line %d) has already, allowed: each prefix "
			       "once",
			       prefix_format(all[i].prefix, text), all[i - 1].section->label,
			       all[i - 1].section->line);
	}
	free(all);
	return 0;
}

static int check_network(struct check *c, const struct network_draft *n)
{
	check_sections(c, n);
	if (n->network) {
		check_addresses(c, n);
		check_sizes(c, n);
		check_buffers(c, &n->settings, n->network, "tso", n->settings.tso);
		check_buffers(c, &n->settings, n->network, "uso", n->settings.uso);
		check_pools(c, n);
	}
	if (!n->wireguard)
		return 0;
	check_secret(c, n->wireguard, "private_key", "private_key_file", true);
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

/* One TUN interface cannot serve two networks. */
static void check_interfaces(struct check *c)
{
	for (size_t i = 0; i < c->d->n_networks; i++) {
		const struct network_draft *a = &c->d->networks[i];

		for (size_t j = 0; j < i; j++) {
			const struct network_draft *b = &c->d->networks[j];

			if (!a->network || !a->settings.is_enabled || !b->settings.is_enabled ||
			    strcmp(a->settings.interface, b->settings.interface) != 0)
				continue;
			report(c, a->network, "interface",
			       "found %s, which network '%s' has already, allowed: another one",
			       a->settings.interface, b->settings.name);
		}
	}
}

static void check_families(struct check *c, const struct link_draft *l)
{
	int family = endpoint_family(&l->settings.endpoint);

	if (family == AF_UNSPEC || !addr_is_set(&l->settings.bind) ||
	    l->settings.bind.sa.sa_family == family)
		return;
	report(c, l->section, "bind",
	       "found the %s address %s with the %s endpoint %s, allowed: both of one family",
	       family == AF_INET ? "IPv6" : "IPv4", value_of(l->section, "bind"),
	       family == AF_INET ? "IPv4" : "IPv6", value_of(l->section, "endpoint"));
}

/*
 * The rules of table = auto tell the links' own packets by one mark, which links have that say
 * nothing else.
 */
static void settle_marks(struct check *c, const struct network_draft *n)
{
	uint32_t mark = 0;

	if (n->settings.route_table != ROUTE_TABLE_AUTO)
		return;
	for (size_t i = 0; i < c->d->n_links; i++) {
		const struct link_draft *l = &c->d->links[i];

		if (l->network != n || !l->settings.fwmark)
			continue;
		if (mark && l->settings.fwmark != mark)
			report(c, l->section, "fwmark",
			       "found %s, allowed with table = auto: the same for all links",
			       value_of(l->section, "fwmark"));
		mark = mark ? mark : l->settings.fwmark;
	}
	for (size_t i = 0; i < c->d->n_links; i++)
		if (c->d->links[i].network == n)
			c->d->links[i].settings.fwmark = mark ? mark : ROUTE_MARK_TUNNEL;
}

static bool is_wildcard(const struct addr *a)
{
	return a->sa.sa_family == AF_INET ? a->v4.sin_addr.s_addr == INADDR_ANY
					  : IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr);
}

static uint16_t port_of(const struct link_settings *s)
{
	return addr_is_set(&s->bind) ? addr_port(&s->bind) : s->port;
}

/* As the kernel sees it: no device is every device, the wildcard, or no address, every address. */
static bool take_same_port(const struct link_settings *a, const struct link_settings *b)
{
	if (!port_of(a) || port_of(a) != port_of(b))
		return false;
	if (*a->device && *b->device && strcmp(a->device, b->device) != 0)
		return false;
	if (!addr_is_set(&a->bind) || !addr_is_set(&b->bind))
		return true;
	if (a->bind.sa.sa_family != b->bind.sa.sa_family)
		return false;
	return is_wildcard(&a->bind) || is_wildcard(&b->bind) || addr_equal(&a->bind, &b->bind);
}

static void check_ports(struct check *c, const struct link_draft *l)
{
	const char *key = config_section_has(l->section, "bind") ? "bind" : "port";

	if (*key == 'b' && config_section_has(l->section, "port"))
		report(c, l->section, "port", "found beside bind, allowed: bind = ADDRESS:PORT");
	for (const struct link_draft *other = c->d->links; other < l; other++)
		if (take_same_port(&l->settings, &other->settings))
			report(c, l->section, key,
			       "found %s, which %s (line %d) takes already, allowed: another port, "
			       "address or device",
			       value_of(l->section, key), other->section->label,
			       other->section->line);
}

static void check_peer(struct check *c, const struct peer_draft *p)
{
	const struct config_section *s = p->section;

	if (!config_section_has(s, "public_key"))
		report(c, s, "public_key", "missing, allowed: 32 bytes in base64");
	if (!config_section_has(s, "allowed_ips"))
		report(c, s, "allowed_ips", "missing, allowed: a list of ADDRESS/LENGTH");
	check_secret(c, s, "preshared_key", "preshared_key_file", false);
}

static int compare_keys(const void *left, const void *right)
{
	const struct peer_draft *a = *(const struct peer_draft *const *)left;
	const struct peer_draft *b = *(const struct peer_draft *const *)right;
	int r = memcmp(a->settings.public_key, b->settings.public_key, KEY_LEN);

	if (!r)
		r = (a->network > b->network) - (a->network < b->network);
	return r ? r : (a > b) - (a < b);
}

/* Sorted, as the allowed IPs are. */
static int check_peer_keys(struct check *c)
{
	size_t n = c->d->n_peers;
	const struct peer_draft **all = calloc(n + 1, sizeof(*all));

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		all[i] = &c->d->peers[i];
	qsort(all, n, sizeof(*all), compare_keys);
	for (size_t i = 1; i < n; i++) {
		const struct peer_draft *a = all[i - 1];
		const struct peer_draft *b = all[i];

		if (!keys_is_zero(b->settings.public_key) && a->network == b->network &&
		    !memcmp(a->settings.public_key, b->settings.public_key, KEY_LEN))
			report(c, b->section, "public_key",
			       "found the key of %s (line %d), allowed: one peer per key",
			       a->section->label, a->section->line);
	}
	free(all);
	return 0;
}

/* "home, office"; cut off where there are very many. */
static const char *list_networks(const struct config_draft *d, char *buf, size_t size)
{
	size_t len = 0;

	*buf = '\0';
	for (size_t i = 0; i < d->n_networks && len + NETWORK_NAME_MAX + 3 < size; i++)
		len += (size_t)snprintf(buf + len, size - len, "%s%s", i ? ", " : "",
					d->networks[i].settings.name);
	return buf;
}

/* The network that a link, peer or rule names, or the only one; NULL after an error. */
static struct network_draft *find_network(struct check *c, const struct config_section *s,
					  const char *name)
{
	struct config_draft *d = c->d;
	char names[256];

	if (config_section_is_bad(s, "network") || !d->n_networks)
		return NULL;
	if (!*name && d->n_networks == 1)
		return d->networks;
	for (size_t i = 0; i < d->n_networks; i++)
		if (!strcmp(d->networks[i].settings.name, name))
			return &d->networks[i];
	if (*name)
		report(c, s, "network", "found '%s', allowed: %s", name,
		       list_networks(d, names, sizeof(names)));
	else
		report(c, s, "network", "missing where there are several, allowed: %s",
		       list_networks(d, names, sizeof(names)));
	return NULL;
}

static void assign_networks(struct check *c)
{
	for (size_t i = 0; i < c->d->n_links; i++) {
		struct link_draft *l = &c->d->links[i];

		l->network = find_network(c, l->section, l->network_name);
		if (l->network)
			l->network->n_links++;
		else
			c->has_stray_links = true;
	}
	for (size_t i = 0; i < c->d->n_rules; i++) {
		struct rule_draft *r = &c->d->rules[i];

		r->network = find_network(c, r->section, r->network_name);
		if (r->network && ++r->network->n_rules == RULES_MAX + 1)
			config_errors_add(c->errors, r->section->line,
					  "%s: one too many, allowed: at most %d rules of a "
					  "network",
					  r->section->label, RULES_MAX);
	}
	for (size_t i = 0; i < c->d->n_peers; i++) {
		struct peer_draft *p = &c->d->peers[i];

		p->network = find_network(c, p->section, p->network_name);
		if (p->network)
			p->network->n_peers++;
		else
			c->has_stray_peers = true;
	}
}

/* False after saying that these, of which the key asks for `found`, are too many. */
static bool fit_threads(struct check *c, size_t n, const struct config_section *s, const char *key,
			uint32_t found)
{
	if (n <= THREAD_SLOTS)
		return true;
	report(c, s, key, "found %u, which makes %zu threads in all, allowed: at most %u", found, n,
	       THREAD_SLOTS);
	return false;
}

/* Too many threads would fail only when the last of them is to start. */
static void check_threads(struct check *c)
{
	size_t n = 1; /* the main thread */

	for (size_t i = 0; i < c->d->n_networks; i++) {
		const struct network_draft *network = &c->d->networks[i];
		uint32_t queues = network->settings.queues ? network->settings.queues : 1;

		if (!network->settings.is_enabled)
			continue;
		n += NETWORK_THREADS + queues - 1;
		if (queues > 1 && !fit_threads(c, n, network->network, "queues", queues))
			return;
	}
	for (size_t i = 0; i < c->d->n_links; i++) {
		const struct link_draft *l = &c->d->links[i];

		if (!l->network || !l->network->settings.is_enabled || !l->is_enabled)
			continue;
		n += l->settings.workers;
		if (!fit_threads(c, n, l->section, "workers", l->settings.workers))
			return;
	}
}

int config_check(struct config_draft *d, struct config_errors *errors)
{
	struct check c = {.d = d, .errors = errors};

	if (!d->n_networks)
		config_errors_add(errors, 0, "the section [wireguard] is missing");
	assign_networks(&c);
	for (size_t i = 0; i < d->n_networks; i++) {
		int r;

		settle_marks(&c, &d->networks[i]);
		r = check_network(&c, &d->networks[i]);
		if (r < 0)
			return r;
	}
	check_interfaces(&c);
	check_threads(&c);
	for (size_t i = 0; i < d->n_links; i++) {
		check_families(&c, &d->links[i]);
		check_ports(&c, &d->links[i]);
		if (d->links[i].network)
			check_buffers(&c, &d->links[i].network->settings, d->links[i].section,
				      "gro", d->links[i].settings.gro);
	}
	for (size_t i = 0; i < d->n_peers; i++)
		check_peer(&c, &d->peers[i]);
	for (size_t i = 0; i < d->n_rules; i++)
		if (d->rules[i].network)
			config_check_rule(d, &d->rules[i], errors);
	return check_peer_keys(&c);
}
