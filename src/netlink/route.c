/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "netlink/route.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>

#include "netlink/exchange.h"

/*
 * Without a metric the kernel adds an IPv6 route with its own default, and removes one with any:
 * the first, which may be another one. An IPv4 route has 0 then, of which it is the first.
 */
uint32_t route_metric(const struct route *r)
{
	return r->metric || r->to.family == AF_INET ? r->metric : ROUTE_METRIC_IPV6;
}

static int change(const char *ifname, const struct route *r, bool is_new)
{
	union message_buffer request;
	unsigned ifindex = if_nametoindex(ifname);
	struct exchange x;
	int result;

	if (!ifindex)
		return -errno;
	message_change_route(&request, ifindex, r, is_new);
	result = exchange_open(&x);
	if (result < 0)
		return result;
	result = exchange_change(&x, &request);
	exchange_close(&x);
	return result;
}

int netif_add_route(const char *ifname, const struct route *r)
{
	return change(ifname, r, true);
}

int netif_remove_route(const char *ifname, const struct route *r)
{
	return change(ifname, r, false);
}

struct list {
	unsigned ifindex;
	struct route *routes;
	size_t n, room;
};

static void forget(void *ctx)
{
	struct list *l = ctx;

	l->n = 0;
}

static int collect(void *ctx, const struct nlmsghdr *message)
{
	struct list *l = ctx;
	struct route route;
	unsigned ifindex;
	int r = message_parse_route(message, &route, &ifindex);

	if (r <= 0 || ifindex != l->ifindex)
		return r < 0 ? r : 0;
	if (l->n == l->room) {
		size_t room = l->room ? 2 * l->room : 16;
		struct route *grown = reallocarray(l->routes, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		l->routes = grown;
		l->room = room;
	}
	l->routes[l->n++] = route;
	return 0;
}

int netif_list_routes(const char *ifname, uint8_t family, struct route **ret, size_t *ret_n)
{
	struct list list = {.ifindex = if_nametoindex(ifname)};
	const struct exchange_dump dump = {
		.type = RTM_NEWROUTE, .restart = forget, .each = collect, .ctx = &list};
	union message_buffer request;
	struct exchange x;
	int r = list.ifindex ? exchange_open(&x) : -errno;

	if (r < 0)
		return r;
	message_dump_routes(&request, family);
	r = exchange_dump(&x, &request, &dump);
	exchange_close(&x);
	if (r < 0) {
		free(list.routes);
		return r;
	}
	*ret = list.routes;
	*ret_n = list.n;
	return 0;
}
