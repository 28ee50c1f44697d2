/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Handshakes, or cookies, per second and source while under load: a token bucket per IPv4 address
 * or IPv6 /64 (as the kernel does: 20 a second, bursts of 5), and per port if it is so made. A
 * fixed number of entries, so that a flood from many sources costs no memory. Owner: the handshake
 * thread.
 */
#pragma once

#include <stdbool.h>

#include "util/addr.h"
#include "util/clock.h"

#define RATELIMIT_PER_SECOND 20
#define RATELIMIT_BURST 5

struct ratelimit;

int ratelimit_new(struct ratelimit **ret, bool has_ports); /* 0 or -ENOMEM */
void ratelimit_free(struct ratelimit *r);
bool ratelimit_allows(struct ratelimit *r, const struct addr *from, nsec_t now);
