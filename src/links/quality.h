/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Is a path that answers good enough? Poor beyond the failure thresholds of loss or latency, good
 * again only below the recovery ones, so that it does not go to and fro between them. Pure.
 */
#pragma once

#include "links/settings.h"

/* `loss` 0..1, below 0 if it is not known; `rtt` 0 if it is not. */
bool quality_is_poor(bool was_poor, const struct health_settings *s, double loss, nsec_t rtt);
