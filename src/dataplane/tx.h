/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The way out, on the TUN reader thread: read, route, cut, gather equal-size packets of one
 * peer into a burst across reads, seal it as a whole, choose its path, push it.
 */
#pragma once

#include <stdbool.h>

#include "util/clock.h"
#include "wire/frame.h"

struct bond;
struct network;
struct tx;

int tx_new(struct tx **ret, struct network *n); /* 0 or -errno */
void tx_free(struct tx *t);
int tx_start(struct tx *t);
void tx_stop(struct tx *t);

/* Any thread: a session or a path has come into being, or a queue has room: look again. */
void tx_kick(struct tx *t);
/* Any thread: a peer's report or repair request, come at `at`; false if the queue is full. */
bool tx_post_frame(struct tx *t, struct bond *bond, const struct frame *frame, nsec_t at);
