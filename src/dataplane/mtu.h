/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The MTU of the tunnel interface: as configured, or, if that is to follow the paths, what the
 * smallest of those in use carries. Owner: the monitor thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/clock.h"

struct network;

/* It is configured so from now on. 0; or -errno, and nothing has changed. */
int mtu_change(struct network *n, uint32_t mtu, bool is_auto);

/*
 * The paths have changed, or a second has passed. Lowers it at once, and raises it with patience.
 */
void mtu_update(struct network *n, nsec_t now);
