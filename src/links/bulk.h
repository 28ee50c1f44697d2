/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Does a link carry so much that it is held up by CPUs, and not by lines? Its workers then let
 * others finish their turns instead of interrupting them whenever something comes. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/clock.h"

#define BULK_RATE 125000000 /* bytes/s: from here on; it ends below half of that */
#define BULK_SPAN (10 * NSEC_PER_MSEC)

struct bulk {
	nsec_t since;	/* the span that is looked at */
	uint64_t bytes; /* by then */
	bool is_on;
};

/* The link has carried so many bytes since it was made, both ways. Is it bulk at the moment? */
bool bulk_look(struct bulk *b, uint64_t bytes, nsec_t now);
