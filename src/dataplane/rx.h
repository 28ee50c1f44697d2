/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The way in, on the link workers' threads: classify, find the session, open in place; then, in the
 * order in which it came, give what belongs to one peer to that peer's receive lane.
 */
#pragma once

#include "links/link.h"

struct network;
struct rx;

extern const struct link_calls rx_link_calls;

/* One for each worker of a link, as its `user`; `ctx` of the link's calls is the network. */
int rx_new(struct rx **ret, struct network *n); /* 0 or -ENOMEM */
void rx_free(struct rx *r);
/* In an errand to the worker: it watches the deadlines of no bond any more that is marked as
 * removed.
 */
void rx_remove_bonds(struct rx *r);
/* In an errand to the worker of `r`, or without one (NULL): takes over what another, ended one
 * watched. */
void rx_take_over(struct rx *r, struct rx *ended);
