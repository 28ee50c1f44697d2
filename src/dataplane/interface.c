/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Addresses of a running interface: new ones come before old ones go, so that it is not without
 * one, which would cost it all its routes. Where an old one goes, the kernel may take others of
 * its subnet with it; these are put back.
 */
#include "dataplane/interface.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/carrier.h"
#include "dataplane/monitor.h"
#include "dataplane/mtu.h"
#include "dataplane/network_state.h"
#include "dataplane/routes.h"
#include "netlink/address.h"
#include "util/log.h"

/* `may_be_there`: on this interface. */
static int add_address(struct network *n, const struct interface_address *a, bool may_be_there)
{
	char text[PREFIX_TEXT_MAX];
	char other[IFNAMSIZ];
	int r = netif_find_address(&a->prefix, n->tun.name, other);

	if (r == 0) {
		log_error("network %s: address %s is taken by interface %s", n->settings->name,
			  prefix_format(&a->prefix, text), other);
		return -EADDRINUSE;
	}
	if (r != -ENOENT) {
		log_error("network %s: cannot look for addresses of other interfaces: %s",
			  n->settings->name, strerror(-r));
		return r;
	}
	r = broker_add_address(n->broker, n->tun.name, &a->prefix, &a->destination);
	if (r == -EEXIST && may_be_there)
		return 0;
	if (r < 0)
		log_error("network %s: cannot add address %s to %s: %s", n->settings->name,
			  prefix_format(&a->prefix, text), n->tun.name, strerror(-r));
	return r;
}

static int add_all(struct network *n, const struct network_settings *s, bool may_be_there)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n_addresses; i++)
		r = add_address(n, &s->addresses[i], may_be_there);
	return r;
}

/* Where the interface was kept, it has them already. */
int interface_add_addresses(struct network *n)
{
	return add_all(n, n->settings, n->was_kept);
}

static bool has_address(const struct network_settings *s, const struct interface_address *a)
{
	for (size_t i = 0; i < s->n_addresses; i++)
		if (!memcmp(&s->addresses[i], a, sizeof(*a)))
			return true;
	return false;
}

/* Those of `s` that `other` does not have. */
static void remove_others(struct network *n, const struct network_settings *s,
			  const struct network_settings *other)
{
	char text[PREFIX_TEXT_MAX];

	for (size_t i = 0; i < s->n_addresses; i++) {
		const struct interface_address *a = &s->addresses[i];
		int r;

		if (has_address(other, a))
			continue;
		r = broker_remove_address(n->broker, n->tun.name, &a->prefix, &a->destination);
		if (r < 0 && r != -EADDRNOTAVAIL)
			log_warn("network %s: cannot remove address %s: %s", n->settings->name,
				 prefix_format(&a->prefix, text), strerror(-r));
	}
}

static bool has_same_addresses(const struct network_settings *a, const struct network_settings *b)
{
	for (size_t i = 0; i < a->n_addresses; i++)
		if (!has_address(b, &a->addresses[i]))
			return false;
	return a->n_addresses == b->n_addresses; /* each is there once */
}

/* From what is in force to that list. */
static int move_addresses(struct network *n, const struct network_settings *wanted)
{
	int r = add_all(n, wanted, true);

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

	if (has_same_addresses(n->settings, wanted))
		return 0;
	r = network_settings_copy(&copy, wanted);
	if (r == 0)
		r = move_addresses(n, wanted);
	if (r == 0) {
		n->settings->addresses = copy->addresses;
		n->settings->n_addresses = copy->n_addresses;
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

static int move_routes(struct network *n, uint32_t table, uint32_t metric)
{
	struct network_settings *s = n->settings;

	if (s->route_table == table && s->route_metric == metric)
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
	int r;

	monitor_visit(n->monitor, take_shape, &after);
	if (after.result < 0)
		return after.result;
	r = move_routes(n, wanted->route_table, wanted->route_metric);
	if (r == 0)
		r = change_addresses(n, wanted);
	if (r < 0) {
		move_routes(n, table, metric);
		monitor_visit(n->monitor, take_shape, &before);
	}
	return r;
}
