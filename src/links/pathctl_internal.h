/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What pathctl.c, which learns from reports, and pathctl_send.c, which answers senders, share. */
#pragma once

#include "links/pathctl.h"
#include "util/number.h"

/* A report comes so much later than what it tells of, at the latest. */
#define PATHCTL_REPORT_DELAY (15 * NSEC_PER_MSEC)

/* An hour at most: of a rate that is not known yet, or next to nothing. */
static inline nsec_t duration(double bytes, double rate)
{
	double seconds = bytes / rate;

	return seconds < 3600 ? (nsec_t)(seconds * (double)NSEC_PER_SEC) : 3600 * NSEC_PER_SEC;
}

static inline bool pathctl_is_starting(const struct pathctl *c)
{
	return c->state == PATHCTL_START || c->state == PATHCTL_RESTART;
}
