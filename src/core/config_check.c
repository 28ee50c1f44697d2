/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/config_check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_check_internal.h"
#include "core/config_rule.h"
#include "crypto/keys.h"
#include "netlink/route.h"
#include "util/thread.h"

/* Threads of a network that it has in any case: vt-tun, vt-monitor, vt-handshake. */
#define NETWORK_THREADS 3

static const char *value_of(const struct config_section *s, const char *key)
{
	return config_section_find(s, key)->value;
}

void config_check_secret(struct config_check *c, const struct config_section *s, const char *key,
			 const char *file_key, bool is_required)
{
	if (config_section_has(s, key) && config_section_has(s, file_key))
		config_report(c->errors, s, file_key, "found beside %s, allowed: one of the two",
			      key);
	else if (is_required && !config_section_has(s, key) && !config_section_has(s, file_key))
		config_report(c->errors, s, key, "missing, allowed: %s or %s", key, file_key);
}

void config_check_buffers(struct config_check *c, const struct network_settings *set,
			  const struct config_section *s, const char *key, enum offload wanted)
{
	if (wanted == OFFLOAD_ON && set->buffer_size < BUFFER_SIZE_DEFAULT)
		config_report(c->errors, s, key,
			      "found on, allowed: auto or off with a buffer_size below %u (%u)",
			      BUFFER_SIZE_DEFAULT, set->buffer_size);
}

/* One TUN interface cannot serve two networks. */
static void check_interfaces(struct config_check *c)
{
	for (size_t i = 0; i < c->d->n_networks; i++) {
		const struct network_draft *a = &c->d->networks[i];

		for (size_t j = 0; j < i; j++) {
			const struct network_draft *b = &c->d->networks[j];

			if (!a->network || !a->settings.is_enabled || !b->settings.is_enabled ||
			    strcmp(a->settings.interface, b->settings.interface) != 0)
				continue;
			config_report(
				c->errors, a->network, "interface",
				"found %s, which network '%s' has already, allowed: another one",
				a->settings.interface, b->settings.name);
		}
	}
}

static void check_families(struct config_check *c, const struct link_draft *l)
{
	int family = endpoint_family(&l->settings.endpoint);

	if (family == AF_UNSPEC || !addr_is_set(&l->settings.bind) ||
	    l->settings.bind.sa.sa_family == family)
		return;
	config_report(
		c->errors, l->section, "bind",
		"found the %s address %s with the %s endpoint %s, allowed: both of one family",
		family == AF_INET ? "IPv6" : "IPv4", value_of(l->section, "bind"),
		family == AF_INET ? "IPv4" : "IPv6", value_of(l->section, "endpoint"));
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
bool config_take_same_port(const struct link_settings *a, const struct link_settings *b)
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

static void check_ports(struct config_check *c, const struct link_draft *l)
{
	const char *key = config_section_has(l->section, "bind") ? "bind" : "port";

	if (*key == 'b' && config_section_has(l->section, "port"))
		config_report(c->errors, l->section, "port",
			      "found beside bind, allowed: bind = ADDRESS:PORT");
	for (const struct link_draft *other = c->d->links; other < l; other++)
		if (config_take_same_port(&l->settings, &other->settings))
			config_report(c->errors, l->section, key,
				      "found %s, which %s (line %d) takes already, allowed: "
				      "another port, "
				      "address or device",
				      value_of(l->section, key), other->section->label,
				      other->section->line);
}

static void check_peer(struct config_check *c, const struct peer_draft *p)
{
	const struct config_section *s = p->section;

	if (!config_section_has(s, "public_key"))
		config_report(c->errors, s, "public_key", "missing, allowed: 32 bytes in base64");
	if (!config_section_has(s, "allowed_ips"))
		config_report(c->errors, s, "allowed_ips",
			      "missing, allowed: a list of ADDRESS/LENGTH");
	config_check_secret(c, s, "preshared_key", "preshared_key_file", false);
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
static int check_peer_keys(struct config_check *c)
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
			config_report(c->errors, b->section, "public_key",
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
static struct network_draft *find_network(struct config_check *c, const struct config_section *s,
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
		config_report(c->errors, s, "network", "found '%s', allowed: %s", name,
			      list_networks(d, names, sizeof(names)));
	else
		config_report(c->errors, s, "network",
			      "missing where there are several, allowed: %s",
			      list_networks(d, names, sizeof(names)));
	return NULL;
}

static void assign_networks(struct config_check *c)
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
static bool fit_threads(struct config_check *c, size_t n, const struct config_section *s,
			const char *key, uint32_t found)
{
	if (n <= THREAD_SLOTS)
		return true;
	config_report(c->errors, s, key,
		      "found %u, which makes %zu threads in all, allowed: at most %u", found, n,
		      THREAD_SLOTS);
	return false;
}

/* Too many threads would fail only when the last of them is to start. */
static void check_threads(struct config_check *c)
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

/*
 * The rules of table = auto tell the links' own packets by one mark, which links have that say
 * nothing else.
 */
static void settle_marks(struct config_check *c, const struct network_draft *n)
{
	uint32_t mark = 0;

	if (n->settings.route_table != ROUTE_TABLE_AUTO)
		return;
	for (size_t i = 0; i < c->d->n_links; i++) {
		const struct link_draft *l = &c->d->links[i];

		if (l->network != n || !l->settings.fwmark)
			continue;
		if (mark && l->settings.fwmark != mark)
			config_report(c->errors, l->section, "fwmark",
				      "found %s, allowed with table = auto: the same for all links",
				      value_of(l->section, "fwmark"));
		mark = mark ? mark : l->settings.fwmark;
	}
	for (size_t i = 0; i < c->d->n_links; i++)
		if (c->d->links[i].network == n)
			c->d->links[i].settings.fwmark = mark ? mark : ROUTE_MARK_TUNNEL;
}

int config_check(struct config_draft *d, struct config_errors *errors)
{
	struct config_check c = {.d = d, .errors = errors};

	if (!d->n_networks)
		config_errors_add(errors, 0, "the section [wireguard] is missing");
	assign_networks(&c);
	for (size_t i = 0; i < d->n_networks; i++) {
		int r;

		settle_marks(&c, &d->networks[i]);
		r = config_check_network(&c, &d->networks[i]);
		if (r < 0)
			return r;
	}
	check_interfaces(&c);
	check_threads(&c);
	for (size_t i = 0; i < d->n_links; i++) {
		check_families(&c, &d->links[i]);
		check_ports(&c, &d->links[i]);
		if (d->links[i].network)
			config_check_buffers(&c, &d->links[i].network->settings,
					     d->links[i].section, "gro", d->links[i].settings.gro);
	}
	for (size_t i = 0; i < d->n_peers; i++)
		check_peer(&c, &d->peers[i]);
	for (size_t i = 0; i < d->n_rules; i++)
		if (d->rules[i].network)
			config_check_rule(d, &d->rules[i], errors);
	return check_peer_keys(&c);
}
