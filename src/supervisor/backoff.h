/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* When an engine that has crashed is started again, and when no more. Plain values. */
#pragma once

#include <stdbool.h>

#include "util/clock.h"

/* Soon, so that a tunnel is back before its flows give up; then ever later. */
#define BACKOFF_FIRST (100 * NSEC_PER_MSEC)
#define BACKOFF_MOST (10 * NSEC_PER_SEC)
/* An engine that has run for so long was well: it begins anew. */
#define BACKOFF_FORGET (60 * NSEC_PER_SEC)

struct backoff {
	unsigned limit; /* crashes in a row after which it is given up */
	unsigned n_crashes;
	nsec_t delay;
};

/* False: no more. Else the engine is to be started `ret_delay` from now. */
bool backoff_crashed(struct backoff *b, nsec_t lived, nsec_t *ret_delay);
