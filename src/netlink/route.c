/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "netlink/route.h"

#include <errno.h>
#include <net/if.h>
#include <sys/socket.h>

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
