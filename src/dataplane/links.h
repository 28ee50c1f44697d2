/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The links of a network: made, changed and freed by the main thread. */
#pragma once

#include "dataplane/change.h"
#include "links/link.h"

struct network;

/* With settings of its own, and its workers' struct rx. 0 or -errno. */
int network_link_new(struct link **ret, struct network *n, uint32_t number,
		     const struct link_settings *s);
/* No thread uses it any more. NULL is fine. */
void network_link_free(struct link *l);

/* NULL if there is none of that name. */
struct link *network_link_find(const struct network *n, const char *name);
/*
 * See network_change(); each link is there once at the most. All are tried; the first failure is
 * returned: -EADDRINUSE, -EPERM and such where a socket cannot be opened, -EAGAIN or -E2BIG without
 * a thread or number for one more, -ENOMEM.
 */
int network_links_change(struct network *n, const struct link_change *changes, size_t count);

/* After endpoints have changed: where the socket has not the family for them, another one. */
void network_links_follow_endpoints(struct network *n);

/* Keeps away from all what a network of so many links does not need of the pool of bursts. */
int network_put_by_bursts(struct network *n, size_t n_links);
/* Before the pool is freed. */
void network_give_back_bursts(struct network *n);
