/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The kernel's routes into the tunnel: one for each allowed IP of each peer, where the
 * configuration names a table; with `auto`, and a default route, also the rules that lead there.
 * Owner: the main thread.
 */
#pragma once

struct network;

/*
 * Adds what is missing and removes what is too much; again after each change of peers, links, the
 * table or the metric. 0; or the -errno of the first that could not be added, which is logged: the
 * others are there.
 */
int routes_sync(struct network *n);
/* The kernel may have removed some, with an address of the interface: they are there again. */
void routes_restore(struct network *n);
void routes_deinit(struct network *n);
