/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * What the kernel tells of its interfaces and their addresses as it happens (rtnetlink
 * multicast). A change is news, not the state: who has lost some asks for the state itself.
 * Never blocks.
 */
#pragma once

#include "netlink/message.h"

typedef void (*netif_change_fn)(void *ctx, const struct netif_change *change);

/* Returns a descriptor, readable when there is something to read, or -errno. */
int netif_watch_open(void);
/*
 * Gives `each` what has changed since the last call. 0; -ENOBUFS: there was more than the kernel
 * would keep, and `each` has not had all; or another -errno, after which the descriptor is useless.
 */
int netif_watch_read(int fd, netif_change_fn each, void *ctx);
