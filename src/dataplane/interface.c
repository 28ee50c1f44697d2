/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Addresses of a running interface: new ones come before old ones go, so that it is not without
 * one, which would cost it all its routes. Where an old one goes, the kernel may take others of
 * its subnet with it; these are put back.
 *
 * One that another interface has would have the kernel keep for itself what is for the tunnel, or
 * the other way round. It is refused, or, if so configured, the next of its subnet is taken that is
 * free. What is chosen once stays while the network runs, and over a crash.
 */
#include "dataplane/interface.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/bond.h"
#include "dataplane/carrier.h"
#include "dataplane/monitor.h"
#include "dataplane/mtu.h"
#include "dataplane/network_state.h"
#include "dataplane/routes.h"
#include "netlink/address.h"
#include "util/log.h"
#include "util/warnings.h"

/* Of a subnet: where so many are taken, somebody has to look. */
#define ADDRESS_TRIES 1024

/* Other addresses of the network, and what its peers have of the same subnet. */
static bool is_spoken_for(const struct network *n, const struct network_settings *s,
			  const struct prefix *candidate)
{
	for (size_t i = 0; i < s->n_addresses; i++) {
		const struct interface_address *a = &s->addresses[i];

		if (prefix_is_address(&a->prefix, candidate) ||
		    prefix_is_address(&a->in_force, candidate) ||
		    prefix_is_address(&a->destination, candidate))
			return true;
	}
	for (size_t i = 0; i < n->n_bonds; i++) {
		const struct peer_settings *p = n->bonds[i]->settings;

		for (size_t k = 0; k < p->n_allowed_ips; k++)
			if (p->allowed_ips[k].len > candidate->len &&
			    prefix_covers(&p->allowed_ips[k], candidate))
				return true;
	}
	return false;
}

/* The next of its subnet behind `p` that may be taken in its place; false: there is no other. */
static bool next_candidate(const struct network *n, const struct network_settings *s,
			   const struct interface_address *a, struct prefix *p, unsigned *tries)
{
	while (*tries > 0) {
		--*tries;
		prefix_next_host(p);
		if (prefix_is_address(p, &a->prefix))
			return false;
		if (!is_spoken_for(n, s, p))
			return true;
	}
	return false;
}

/* The same one at every start, if the same ones are taken. -EADDRINUSE: none is free. */
static int choose_next(struct network *n, const struct network_settings *s,
		       struct interface_address *a)
{
	unsigned tries = ADDRESS_TRIES;
	struct prefix p = a->prefix;
	char other[IFNAMSIZ];

	while (next_candidate(n, s, a, &p, &tries)) {
		int r = netif_find_address(&p, n->tun.name, other);

		if (r == -ENOENT)
			a->in_force = p;
		if (r != 0)
			return r == -ENOENT ? 0 : r;
	}
	return -EADDRINUSE;
}

/* Takes what a crashed engine had taken; false: nothing. */
static bool recall_address(struct network *n, const struct network_settings *s,
			   struct interface_address *a)
{
	unsigned tries = s->takes_next_address ? ADDRESS_TRIES : 0;
	struct prefix p = a->prefix;
	int r = netif_look_for_address(n->tun.name, &p);

	while (r == -ENOENT && next_candidate(n, s, a, &p, &tries))
		r = netif_look_for_address(n->tun.name, &p);
	if (r == 0)
		a->in_force = p;
	return r == 0;
}

/* Takes the one that is configured, or another in its place. */
static int choose_address(struct network *n, const struct network_settings *s,
			  struct interface_address *a)
{
	char text[PREFIX_TEXT_MAX], chosen[PREFIX_TEXT_MAX];
	char other[IFNAMSIZ];
	int r = netif_find_address(&a->prefix, n->tun.name, other);

	if (r == -ENOENT) {
		a->in_force = a->prefix;
		return 0;
	}
	prefix_format(&a->prefix, text);
	if (r == 0)
		r = s->takes_next_address ? choose_next(n, s, a) : -EADDRINUSE;
	if (r == 0)
		log_notice("network %s: address %s is taken by interface %s: it is %s", s->name,
			   text, other, prefix_format(&a->in_force, chosen));
	else if (r == -EADDRINUSE)
		log_error("network %s: address %s is taken by interface %s%s", s->name, text, other,
			  s->takes_next_address ? ", and none that follows is free" : "");
	else
		log_error("network %s: cannot look for addresses of other interfaces: %s", s->name,
			  strerror(-r));
	return r;
}

/* Of two interfaces in one subnet, only one gets what is sent there. */
static void warn_of_same_subnet(const struct network *n, const struct prefix *address)
{
	char text[PREFIX_TEXT_MAX];
	char other[IFNAMSIZ];

	if (netif_find_subnet(address, n->tun.name, other) == 0)
		warning_add("network %s: interface %s is in the subnet of %s as well: what is "
			    "meant for the tunnel may go there",
			    n->settings->name, other, prefix_format(address, text));
}

/* `may_be_there`: on this interface. */
static int add_address(struct network *n, const struct network_settings *s,
		       struct interface_address *a, bool may_be_there)
{
	const bool is_new = !a->in_force.family && !(n->was_kept && recall_address(n, s, a));
	char text[PREFIX_TEXT_MAX];
	int r = is_new ? choose_address(n, s, a) : 0;

	if (r < 0)
		return r;
	r = broker_add_address(n->broker, n->tun.name, &a->in_force, &a->destination);
	if (r == -EEXIST && may_be_there)
		r = 0;
	if (r < 0)
		log_error("network %s: cannot add address %s to %s: %s", s->name,
			  prefix_format(&a->in_force, text), n->tun.name, strerror(-r));
	else if (is_new && !a->destination.family)
		warn_of_same_subnet(n, &a->in_force);
	return r;
}

/*
 * To be called again after others were removed: with the first IPv4 address of a subnet the kernel
 * takes the rest of them away.
 */
static int add_all(struct network *n, struct network_settings *s, bool may_be_there)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n_addresses; i++)
		r = add_address(n, s, &s->addresses[i], may_be_there);
	return r;
}

/* The same one as configured; NULL: there is none. */
static const struct interface_address *find_address(const struct network_settings *s,
						    const struct interface_address *a)
{
	for (size_t i = 0; i < s->n_addresses; i++)
		if (!memcmp(&s->addresses[i].prefix, &a->prefix, sizeof(a->prefix)) &&
		    !memcmp(&s->addresses[i].destination, &a->destination, sizeof(a->destination)))
			return &s->addresses[i];
	return NULL;
}

static void remove_address(struct network *n, const struct prefix *address,
			   const struct prefix *destination)
{
	char text[PREFIX_TEXT_MAX];
	int r = broker_remove_address(n->broker, n->tun.name, address, destination);

	if (r < 0 && r != -EADDRNOTAVAIL)
		log_warn("network %s: cannot remove address %s: %s", n->settings->name,
			 prefix_format(address, text), strerror(-r));
}

/* Those of `s` that `other` does not have. */
static void remove_others(struct network *n, const struct network_settings *s,
			  const struct network_settings *other)
{
	for (size_t i = 0; i < s->n_addresses; i++) {
		const struct interface_address *a = &s->addresses[i];

		if (a->in_force.family && !find_address(other, a))
			remove_address(n, &a->in_force, &a->destination);
	}
}

static const struct prefix *subnet_of(const struct prefix *address,
				      const struct prefix *destination)
{
	return destination->family ? destination : address;
}

static bool is_in_force(const struct network_settings *s, const struct netif_address *found)
{
	const struct prefix *found_in = subnet_of(&found->prefix, &found->destination);

	for (size_t i = 0; i < s->n_addresses; i++) {
		const struct interface_address *a = &s->addresses[i];
		const struct prefix *subnet = subnet_of(&a->in_force, &a->destination);

		if (prefix_is_address(&a->in_force, &found->prefix) &&
		    prefix_is_address(subnet, found_in) && subnet->len == found_in->len)
			return true;
	}
	return false;
}

/* What a crashed engine has left of a reload. */
static void remove_strays(struct network *n, uint8_t family)
{
	struct netif_address *found;
	size_t n_found;
	int r = netif_list_addresses(n->tun.name, family, &found, &n_found);

	if (r < 0) {
		log_warn("network %s: cannot look for addresses from before the crash: %s",
			 n->settings->name, strerror(-r));
		return;
	}
	for (size_t i = 0; i < n_found; i++)
		if (!is_in_force(n->settings, &found[i]))
			remove_address(n, &found[i].prefix, &found[i].destination);
	free(found);
}

/* Where the interface was kept, it has them already, and perhaps others. */
int interface_add_addresses(struct network *n)
{
	int r = add_all(n, n->settings, n->was_kept);

	if (r < 0 || !n->was_kept)
		return r;
	remove_strays(n, AF_INET);
	remove_strays(n, AF_INET6);
	return add_all(n, n->settings, true);
}

static bool has_same_addresses(const struct network_settings *a, const struct network_settings *b)
{
	for (size_t i = 0; i < a->n_addresses; i++)
		if (!find_address(b, &a->addresses[i]))
			return false;
	return a->n_addresses == b->n_addresses; /* each is there once */
}

/* From what is in force to that list. */
static int move_addresses(struct network *n, struct network_settings *wanted)
{
	int r;

	for (size_t i = 0; i < wanted->n_addresses; i++) {
		struct interface_address *a = &wanted->addresses[i];
		const struct interface_address *had = find_address(n->settings, a);

		if (had)
			a->in_force = had->in_force;
	}
	r = add_all(n, wanted, true);
	if (r == 0) {
		remove_others(n, n->settings, wanted);
		r = add_all(n, wanted, true);
	}
	if (r < 0) {
		remove_others(n, wanted, n->settings);
		add_all(n, n->settings, true);
	}
	routes_restore(n);
	return r;
}

static int change_addresses(struct network *n, const struct network_settings *wanted)
{
	struct network_settings *copy = NULL;
	struct interface_address *had = n->settings->addresses;
	int r;

	if (has_same_addresses(n->settings, wanted)) {
		n->settings->takes_next_address = wanted->takes_next_address;
		return 0;
	}
	r = network_settings_copy(&copy, wanted);
	if (r == 0)
		r = move_addresses(n, copy);
	if (r == 0) {
		n->settings->addresses = copy->addresses;
		n->settings->n_addresses = copy->n_addresses;
		n->settings->takes_next_address = copy->takes_next_address;
		copy->addresses = had;
	}
	network_settings_free(copy);
	return r;
}

/* Of the settings, what the monitor reads. */
struct shape {
	struct network *network;
	uint32_t mtu;
	bool is_mtu_auto, mss_clamp, follows_carrier;
	int result;
};

static struct shape shape_of(struct network *n, const struct network_settings *s)
{
	return (struct shape){n, s->mtu, s->is_mtu_auto, s->mss_clamp, s->follows_carrier, 0};
}

/* Monitor. */
static void take_shape(void *arg)
{
	struct shape *wanted = arg;
	struct network *n = wanted->network;
	struct network_settings *s = n->settings;

	if (wanted->mtu != s->mtu || wanted->is_mtu_auto != s->is_mtu_auto)
		wanted->result = mtu_change(n, wanted->mtu, wanted->is_mtu_auto);
	if (wanted->result < 0)
		return;
	s->mss_clamp = wanted->mss_clamp;
	atomic_store_explicit(&n->clamps_mss, wanted->mss_clamp, memory_order_relaxed);
	if (wanted->follows_carrier != s->follows_carrier)
		carrier_follow(n, wanted->follows_carrier);
}

/* Whether the interface had IPv6 so far: routes come and go with it. */
static int move_routes(struct network *n, uint32_t table, uint32_t metric, bool had_ipv6)
{
	struct network_settings *s = n->settings;

	if (s->route_table == table && s->route_metric == metric && had_ipv6 == network_has_ipv6(n))
		return 0;
	s->route_table = table;
	s->route_metric = metric;
	return routes_sync(n);
}

int network_reshape(struct network *n, const struct network_settings *wanted)
{
	const uint32_t table = n->settings->route_table;
	const uint32_t metric = n->settings->route_metric;
	struct shape before = shape_of(n, n->settings);
	struct shape after = shape_of(n, wanted);
	bool had_ipv6 = network_has_ipv6(n);
	int r;

	monitor_send_errand(n->monitor, take_shape, &after);
	if (after.result < 0)
		return after.result;
	r = move_routes(n, wanted->route_table, wanted->route_metric, had_ipv6);
	if (r == 0)
		r = change_addresses(n, wanted);
	if (r < 0) {
		had_ipv6 = network_has_ipv6(n);
		monitor_send_errand(n->monitor, take_shape, &before);
		move_routes(n, table, metric, had_ipv6);
	}
	return r;
}
