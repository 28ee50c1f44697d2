/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The way out, on the TUN reader thread: read, route, cut, gather equal-size packets of one
 * peer into a burst across reads, seal it as a whole, choose its path, push it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/clock.h"
#include "util/errand.h"
#include "wire/frame.h"

struct bond;
struct network;
struct tx;

int tx_new(struct tx **ret, struct network *n); /* 0 or -errno */
void tx_free(struct tx *t);
int tx_start(struct tx *t);
void tx_stop(struct tx *t);

/* Main thread: has the TUN reader call visit(arg), and waits for it; see errand.h. */
void tx_visit(struct tx *t, errand_fn visit, void *arg);

/*
 * In a visit: forgets these bonds, which are marked as removed, and drops what waits for them.
 * Nothing comes for them any more, neither from the interface nor from the links.
 */
void tx_remove_bonds(struct tx *t, struct bond **bonds, size_t n);

/* Any thread: a session or a path has come into being, or a queue has room: look again. */
void tx_kick(struct tx *t);
/* Any thread: a peer's report or repair request, come at `at`; false if the queue is full. */
bool tx_post_frame(struct tx *t, struct bond *bond, const struct frame *frame, nsec_t at);
