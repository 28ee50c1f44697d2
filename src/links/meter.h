/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Meters of a path: what share of the packets is lost, and how much goes through. Fed with
 * cumulative counts. Pure; owner: the monitor thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/clock.h"

/* What of the packets sent has arrived, by reports that come now and then. */
struct loss_meter {
	uint64_t sent;
	uint64_t arrived;
	double loss; /* 0..1, smoothed; < 0: unknown */
	bool has_base;
};

struct rate_meter {
	uint64_t bytes;
	uint64_t bps;
};

void loss_meter_init(struct loss_meter *m);
/* `sent` packets so far, of which `arrived` came. */
void loss_meter_observe(struct loss_meter *m, uint64_t sent, uint64_t arrived);
/* `bytes` so far, `elapsed` after the last call. */
void rate_meter_observe(struct rate_meter *m, uint64_t bytes, nsec_t elapsed);
