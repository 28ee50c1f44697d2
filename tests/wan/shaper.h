/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The bottleneck: a bounded FIFO served at a rate. Its times follow from those of the packets,
 * not from when it is asked: a caller that comes late loses no rate. What a packet is, only the
 * caller knows. Time comes in as an argument; nothing here allocates after shaper_new().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/clock.h"

struct shaper;

/* For at most `packets` waiting packets. 0 or -ENOMEM. */
int shaper_new(struct shaper **ret, size_t packets);
/* The packets in it are the caller's. */
void shaper_free(struct shaper *s);

/* 0 is infinite. The packet being served goes on with the rest of its bits. */
void shaper_set_rate(struct shaper *s, nsec_t now, uint64_t rate_bps);

/*
 * The end of the queue, unless more than `limit_bytes` would wait behind the packet being
 * served; false then. What has been served by now must have been taken out before.
 */
bool shaper_push(struct shaper *s, nsec_t now, void *packet, size_t bytes, uint64_t limit_bytes);

/* The packet served first of those served by now, and when that was; NULL if none is. */
void *shaper_pop(struct shaper *s, nsec_t now, nsec_t *ret_served);
/* When the next is; or NSEC_NEVER. */
nsec_t shaper_next(const struct shaper *s);

/* Bytes in it, with those of the packet being served. */
uint64_t shaper_backlog(const struct shaper *s);
