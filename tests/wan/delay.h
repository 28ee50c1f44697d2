/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The distance: packets on their way, each with the time at which it arrives. Without jitter
 * that reorders and without packets held back they arrive in the order in which they were put
 * in, also when the delay gets shorter meanwhile.
 *
 * Jitter is a property of the moment, not of the packet: a line through points drawn once per
 * `jitter` of time. Were it drawn for each packet and the order then restored, all packets of
 * a dense flow would arrive with about the greatest delay, and there would be no jitter left.
 *
 * Time comes in as an argument; nothing here allocates after delay_new().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "chance.h"
#include "settings.h"

struct delay;

/* For at most `packets` packets. 0 or -ENOMEM. */
int delay_new(struct delay **ret, size_t packets);
/* The packets in it are the caller's. */
void delay_free(struct delay *d);

/*
 * Puts in a packet that leaves at `start`, which never decreases. False when there is no room;
 * `ret_held` says whether it was picked to be held back.
 */
bool delay_push(struct delay *d, nsec_t start, void *packet, const struct settings *s,
		struct chance *chance, bool *ret_held);
/* The packet that arrived first of those that have by now; NULL if none has. */
void *delay_pop(struct delay *d, nsec_t now);
/* When the next does; or NSEC_NEVER. */
nsec_t delay_next(const struct delay *d);
size_t delay_used(const struct delay *d);
