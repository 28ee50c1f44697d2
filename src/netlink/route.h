/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Routes into an interface, by rtnetlink. They have a protocol number of our own, so that
 * `ip route show proto 119` lists them, and routing daemons can tell them from others.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "util/addr.h"

#define ROUTE_PROTOCOL 119
/* What the kernel gives an IPv6 route that has none (IP6_RT_PRIO_USER). */
#define ROUTE_METRIC_IPV6 1024
/* linux/rtnetlink.h */
#define ROUTE_TABLE_MAIN 254
#define ROUTE_TABLE_LOCAL 255
/* Of a configuration: the main table, but for default routes the tunnel's own, with rule.h. */
#define ROUTE_TABLE_AUTO UINT32_MAX
/* That one, and the mark of the tunnel's own packets, as wg-quick(8) begins with. */
#define ROUTE_TABLE_TUNNEL 51820
#define ROUTE_MARK_TUNNEL 51820

struct route {
	struct prefix to;
	uint32_t table;
	uint32_t metric; /* 0: the kernel's default */
};

/* The one that it gets. */
uint32_t route_metric(const struct route *r);

/*
 * 0 or the kernel's -errno: -EEXIST if there is one of the same prefix, table and metric already,
 * -ENETDOWN while the interface is down, -ENODEV where there is none.
 */
int netif_add_route(const char *ifname, const struct route *r);
/* -ESRCH where it is not there. */
int netif_remove_route(const char *ifname, const struct route *r);
/* All of our protocol into that interface, for the caller to free. 0 or -errno. */
int netif_list_routes(const char *ifname, uint8_t family, struct route **ret, size_t *ret_n);
