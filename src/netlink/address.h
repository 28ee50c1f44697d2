/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Addresses, MTU and state of an interface, by rtnetlink (libmnl). Each call opens a socket,
 * asks the kernel, waits for its answer and closes it. All return 0 or the kernel's -errno;
 * -ENODEV where there is no such interface.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/addr.h"

struct netif_address {
	struct prefix prefix;	   /* keeps its host bits */
	struct prefix destination; /* family 0: none */
};

int netif_set_mtu(const char *ifname, uint32_t mtu);
int netif_set_up(const char *ifname);
/*
 * Adds an address (`p` keeps its host bits here); for IPv4 up to /30 with the broadcast address.
 * `destination` (may be NULL or of family 0) makes it point-to-point. -EEXIST if it is there. Since
 * Linux 5.18 it is of our protocol, as routes are.
 */
int netif_add_address(const char *ifname, const struct prefix *p, const struct prefix *destination);
/*
 * Takes one away that was added so; -EADDRNOTAVAIL if it is not there. The kernel also takes those
 * that are in its subnet and came after it, unless the interface promotes them.
 */
int netif_remove_address(const char *ifname, const struct prefix *p,
			 const struct prefix *destination);
/* All of our protocol on that interface, for the caller to free. 0 or -errno. */
int netif_list_addresses(const char *ifname, uint8_t family, struct netif_address **ret,
			 size_t *ret_n);
/* Its index, and whether it is up and has a carrier. */
int netif_look(const char *ifname, unsigned *ret_ifindex, bool *ret_is_running);
/*
 * The name of an interface that has this very address, other than `except` (may be NULL).
 * 0, -ENOENT where there is none, or -errno.
 */
int netif_find_address(const struct prefix *p, const char *except, char ret_ifname[16]);
/* Has that interface this very address? 0, -ENOENT where it has not, or -errno. */
int netif_look_for_address(const char *ifname, const struct prefix *p);
/* The name of one that has an address of the very subnet that this one is of. */
int netif_find_subnet(const struct prefix *p, const char *except, char ret_ifname[16]);
/* Has the interface an address of that family, link-local ones of IPv6 aside? 0 or -errno. */
int netif_has_address(unsigned ifindex, uint8_t family, bool *ret);
