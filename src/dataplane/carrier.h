/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The carrier of the tunnel interface: with `carrier = follow` it is there while at least one peer
 * can be reached, so that routing daemons withdraw their routes when none can. Owner: the monitor.
 */
#pragma once

#include <stdbool.h>

struct network;

/* Before the threads run: no peer can be reached yet. */
void carrier_begin(struct network *n);
/* From now on it follows, or is always there. */
void carrier_follow(struct network *n, bool follows);
/* One peer more, or less, can be reached. */
void carrier_peer_changed(struct network *n, bool is_up);
