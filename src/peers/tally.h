/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * How many of the handshakes begun of late were answered: both counts are halved each minute, so
 * that a failure that is over is soon forgotten. A value; whoever has several adds them up.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/clock.h"

struct tally {
	uint16_t begun, answered;
	uint32_t minute; /* of what they were counted in last */
};

static inline struct tally tally_at(struct tally t, nsec_t now)
{
	uint32_t minute = (uint32_t)(now / (60 * NSEC_PER_SEC));

	for (; t.minute < minute && (t.begun || t.answered); t.minute++) {
		t.begun /= 2;
		t.answered /= 2;
	}
	t.minute = minute;
	return t;
}

static inline struct tally tally_count(struct tally t, bool is_answer, nsec_t now)
{
	t = tally_at(t, now);
	if (is_answer && t.answered < t.begun)
		t.answered++;
	if (!is_answer && t.begun < UINT16_MAX)
		t.begun++;
	return t;
}
