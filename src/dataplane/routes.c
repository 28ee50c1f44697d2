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

static size_t collect(const struct network *n, struct prefix *to)
{
	size_t count = 0;

	for (size_t i = 0; i < n->n_bonds; i++) {
		const struct peer_settings *p = n->bonds[i]->settings;

		for (size_t j = 0; j < p->n_allowed_ips; j++, count++)
			if (to)
				to[count] = p->allowed_ips[j];
	}
	return count;
}

static struct route route_to(const struct network *n, const struct prefix *to)
{
	return (struct route){*to, n->routes.table, n->routes.metric};
}

/* `may_be_there`: as one of our own. */
static int add(struct network *n, const struct prefix *to, bool may_be_there)
{
	struct route route = route_to(n, to);
	char text[PREFIX_TEXT_MAX];
	int r = broker_add_route(n->broker, n->tun.name, &route);

	if (r == -EEXIST && may_be_there)
		r = 0;
	if (r < 0)
		log_error("network %s: cannot add the route to %s in table %u: %s",
			  n->settings->name, prefix_format(to, text), route.table,
			  r == -EEXIST ? "there is one already" : strerror(-r));
	return r;
}

static void drop(struct network *n, const struct prefix *to)
{
	struct route route = route_to(n, to);
	char text[PREFIX_TEXT_MAX];
	int r = broker_remove_route(n->broker, n->tun.name, &route);

	if (r < 0 && r != -ESRCH)
		log_warn("network %s: cannot remove the route to %s: %s", n->settings->name,
			 prefix_format(to, text), strerror(-r));
}

/* Keeps of `wanted` what is there in the end; returns how many these are. */
static size_t apply(struct network *n, struct prefix *wanted, size_t n_wanted, int *ret_failure)
{
	size_t n_kept = 0;
	size_t old = 0;

	for (size_t i = 0; i < n_wanted || old < n->routes.n;) {
		int order = i == n_wanted	 ? 1
			    : old == n->routes.n ? -1
						 : compare(&wanted[i], &n->routes.list[old]);
		int r = 0;

		if (order > 0) {
			drop(n, &n->routes.list[old++]);
			continue;
		}
		if (order == 0)
			old++;
		else
			r = add(n, &wanted[i], n->was_kept); /* of before a crash */
		if (r == 0)
			wanted[n_kept++] = wanted[i];
		else if (!*ret_failure)
			*ret_failure = r;
		i++;
	}
	return n_kept;
}

/* The new ones come before the old ones go. */
static int move(struct network *n, struct prefix *wanted, size_t *n_wanted)
{
	struct routes had = n->routes;
	struct routes kept;
	int failure = 0;

	n->routes = (struct routes){.table = n->settings->route_table,
				    .metric = n->settings->route_metric};
	*n_wanted = apply(n, wanted, *n_wanted, &failure);
	kept = n->routes;
	n->routes = had;
	for (size_t i = 0; i < had.n; i++)
		drop(n, &had.list[i]);
	n->routes.table = kept.table;
	n->routes.metric = kept.metric;
	return failure;
}

int routes_sync(struct network *n)
{
	const struct network_settings *s = n->settings;
	size_t n_wanted = s->route_table ? collect(n, NULL) : 0;
	struct prefix *wanted;
	int failure = 0;

	if (!s->route_table && !n->routes.n)
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
		n_wanted = apply(n, wanted, n_wanted, &failure);
	free(n->routes.list);
	n->routes.list = wanted;
	n->routes.n = n_wanted;
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
