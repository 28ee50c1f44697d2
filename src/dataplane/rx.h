/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The receive side, on the link workers' threads: classifies datagrams, finds the session, decrypts
 * in place; then gives each peer's packets, in the order in which they came, to its receive lane.
 */
#pragma once

#include "links/link.h"

struct network;
struct rx;

extern const struct link_calls rx_link_calls;

/* One for each worker of a link, as its `user`; `ctx` of the link's calls is the network. */
int rx_new(struct rx **ret, struct network *n); /* 0 or -ENOMEM */
void rx_free(struct rx *r);
/* In an errand to the worker: it stops watching the deadlines of bonds marked as removed. */
void rx_remove_bonds(struct rx *r);
/*
 * In an errand to the worker of `r`: takes over what one that has ended watched. NULL: nobody does.
 */
void rx_take_over(struct rx *r, struct rx *ended);
