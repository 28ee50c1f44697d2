/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Both the wanted and the present ones are sorted, and walked together. */
#include "dataplane/routes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/network_state.h"
#include "util/log.h"

static int compare(const void *left, const void *right)
{
	const struct prefix *a = left;
	const struct prefix *b = right;
	int r = memcmp(a->bytes, b->bytes, sizeof(a->bytes));

	if (!r)
		r = a->family - b->family;
	return r ? r : a->len - b->len;
}

/* Where the interface has no IPv6, it takes no routes of it. */
static size_t collect(const struct network *n, struct prefix *to)
{
	size_t count = 0;

	for (size_t i = 0; i < n->n_bonds; i++) {
		const struct peer_settings *p = n->bonds[i]->settings;

		for (size_t j = 0; j < p->n_allowed_ips; j++) {
			if (p->allowed_ips[j].family == AF_INET6 && !network_has_ipv6(n))
				continue;
			if (to)
				to[count] = p->allowed_ips[j];
			count++;
		}
	}
	return count;
}

/* The table for that route, of the one that the configuration names. */
static uint32_t table_of(uint32_t table, const struct prefix *to)
{
	if (table == ROUTE_TABLE_AUTO)
		return to->len ? ROUTE_TABLE_MAIN : ROUTE_TABLE_TUNNEL;
	return table;
}

/* As routes like those are. */
static struct route route_to(const struct routes *like, const struct prefix *to)
{
	return (struct route){*to, table_of(like->table, to), like->metric};
}

/* The kernel makes one by itself to the subnet of an address, or to its other end. */
static bool is_subnet(const struct network *n, const struct route *route)
{
	const struct network_settings *s = n->settings;

	if (route->to.family != AF_INET || route->table != ROUTE_TABLE_MAIN || route->metric)
		return false;
	for (size_t i = 0; i < s->n_addresses; i++) {
		const struct interface_address *a = &s->addresses[i];
		const struct prefix *subnet =
			a->destination.family ? &a->destination : &a->in_force;

		if (subnet->len == route->to.len && prefix_covers(subnet, &route->to))
			return true;
	}
	return false;
}

/* `may_be_there`: as one of our own. */
static int add(struct network *n, const struct prefix *to, bool may_be_there)
{
	struct route route = route_to(&n->routes, to);
	char text[PREFIX_TEXT_MAX];
	int r = broker_add_route(n->broker, n->tun.name, &route);

	if (r == -EEXIST && (may_be_there || is_subnet(n, &route)))
		r = 0;
	if (r < 0)
		log_error("network %s: cannot add the route to %s in table %u: %s",
			  n->settings->name, prefix_format(to, text), route.table,
			  r == -EEXIST ? "there is one already" : strerror(-r));
	return r;
}

static void drop(struct network *n, const struct routes *like, const struct prefix *to)
{
	struct route route = route_to(like, to);
	char text[PREFIX_TEXT_MAX];
	int r = broker_remove_route(n->broker, n->tun.name, &route);

	if (r < 0 && r != -ESRCH)
		log_warn("network %s: cannot remove the route to %s: %s", n->settings->name,
			 prefix_format(to, text), strerror(-r));
}

static bool has_prefix(const struct prefix *list, size_t count, const struct prefix *p)
{
	return count && bsearch(p, list, count, sizeof(*list), compare);
}

/* Is a route like those the same as one like these? */
static bool is_same(const struct routes *those, const struct routes *these, const struct prefix *to)
{
	struct route a = route_to(those, to);
	struct route b = route_to(these, to);

	return a.table == b.table && route_metric(&a) == route_metric(&b);
}

/* Is there one already, from when routes were in another table? */
static bool stays(const struct network *n, const struct routes *had, const struct prefix *p)
{
	return is_same(had, &n->routes, p) && has_prefix(had->list, had->n, p);
}

/*
 * Keeps of `wanted` what is there in the end; returns how many these are. `had` are routes of
 * before that are not in the list of present ones.
 */
static size_t apply(struct network *n, const struct routes *had, struct prefix *wanted,
		    size_t n_wanted, int *ret_failure)
{
	size_t n_kept = 0;
	size_t old = 0;

	for (size_t i = 0; i < n_wanted || old < n->routes.n;) {
		int order = i == n_wanted	 ? 1
			    : old == n->routes.n ? -1
						 : compare(&wanted[i], &n->routes.list[old]);
		int r = 0;

		if (order > 0) {
			drop(n, &n->routes, &n->routes.list[old++]);
			continue;
		}
		if (order == 0)
			old++;
		else
			/* The former: of before a crash. */
			r = add(n, &wanted[i], n->was_kept || stays(n, had, &wanted[i]));
		if (r == 0)
			wanted[n_kept++] = wanted[i];
		else if (!*ret_failure)
			*ret_failure = r;
		i++;
	}
	return n_kept;
}

/* The new ones come before the old ones go; what is where it should be is left alone. */
static int move(struct network *n, struct prefix *wanted, size_t *n_wanted)
{
	const struct routes had = n->routes;
	int failure = 0;

	n->routes.table = n->settings->route_table;
	n->routes.metric = n->settings->route_metric;
	n->routes.n = 0;
	*n_wanted = apply(n, &had, wanted, *n_wanted, &failure);
	for (size_t i = 0; i < had.n; i++) {
		const struct prefix *p = &had.list[i];

		if (!stays(n, &had, p) || !has_prefix(wanted, *n_wanted, p))
			drop(n, &had, p);
	}
	n->routes.n = had.n;
	return failure;
}

/* That of the links' own packets: all have the same. 0: they have none. */
static uint32_t mark_of(const struct network *n)
{
	for (size_t i = 0; i < network_n_links(n); i++)
		if (network_link(n, i))
			return network_link(n, i)->fwmark;
	return 0;
}

static bool has_default_route(const struct network *n, int family)
{
	for (size_t i = 0; i < n->routes.n; i++)
		if (n->routes.list[i].family == family && !n->routes.list[i].len)
			return true;
	return false;
}

static int sync_rules(struct network *n, int family)
{
	uint32_t *present = &n->routes.marks[family == AF_INET6];
	bool is_wanted =
		n->settings->route_table == ROUTE_TABLE_AUTO && has_default_route(n, family);
	uint32_t mark = is_wanted ? mark_of(n) : 0;
	int r;

	if (is_wanted && !mark)
		log_error("network %s: its links have no mark (fwmark), so the default route is "
			  "not taken",
			  n->settings->name);
	if (mark == *present && !n->was_kept)
		return 0;
	r = broker_set_rules(n->broker, n->tun.name, family, mark);
	*present = r < 0 ? 0 : mark;
	if (r < 0)
		log_error("network %s: cannot set the rules that lead to table %d: %s",
			  n->settings->name, ROUTE_TABLE_TUNNEL,
			  r == -EBUSY ? "another network has them" : strerror(-r));
	return r;
}

/* What a crashed engine has left of peers that were there by command alone, or of a reload. */
static void drop_strays(struct network *n, uint8_t family)
{
	struct route *found;
	size_t n_found;
	int r = netif_list_routes(n->tun.name, family, &found, &n_found);

	if (r < 0) {
		log_warn("network %s: cannot look for routes from before the crash: %s",
			 n->settings->name, strerror(-r));
		return;
	}
	for (size_t i = 0; i < n_found; i++) {
		const struct routes like = {.table = found[i].table, .metric = found[i].metric};
		const struct prefix *to = &found[i].to;

		if (!is_same(&like, &n->routes, to) || !has_prefix(n->routes.list, n->routes.n, to))
			drop(n, &like, to);
	}
	free(found);
}

int routes_sync(struct network *n)
{
	const struct network_settings *s = n->settings;
	size_t n_wanted = s->route_table ? collect(n, NULL) : 0;
	const struct routes none = {0};
	const bool gets_metric = n->routes.n && !n->routes.metric && s->route_metric;
	struct prefix *wanted;
	int failure = 0;
	int r;

	if (!s->route_table && !n->routes.n && !n->was_kept)
		return 0;
	wanted = calloc(n_wanted + 1, sizeof(*wanted));
	if (!wanted)
		return -ENOMEM;
	if (n_wanted)
		collect(n, wanted);
	qsort(wanted, n_wanted, sizeof(*wanted), compare);
	if (n->routes.table != s->route_table || n->routes.metric != s->route_metric)
		failure = move(n, wanted, &n_wanted);
	else
		n_wanted = apply(n, &none, wanted, n_wanted, &failure);
	free(n->routes.list);
	n->routes.list = wanted;
	n->routes.n = n_wanted;
	/* One without is removed as one of any: where the kernel had its own, ours is gone. */
	if (gets_metric)
		routes_restore(n);
	r = sync_rules(n, AF_INET);
	failure = failure ? failure : r;
	r = sync_rules(n, AF_INET6);
	failure = failure ? failure : r;
	if (n->was_kept) {
		drop_strays(n, AF_INET);
		drop_strays(n, AF_INET6);
		n->was_kept = false;
	}
	return failure;
}

void routes_restore(struct network *n)
{
	for (size_t i = 0; i < n->routes.n; i++)
		add(n, &n->routes.list[i], true);
}

void routes_deinit(struct network *n)
{
	free(n->routes.list);
	n->routes.list = NULL;
	n->routes.n = 0;
}
