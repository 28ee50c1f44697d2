/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The status as metrics: the text format 0.0.4 of Prometheus. Each family has its HELP and TYPE
 * once, over all networks; labels are names and addresses, never keys.
 */
#pragma once

#include <stddef.h>

#include "control/buffer.h"
#include "control/verdict.h"
#include "dataplane/status.h"

/* Appends the text, and a zero. 0 or -ENOMEM. `verdict` is that of the whole daemon. */
int metrics_write(struct buffer *out, const struct network_status *networks, size_t n,
		  enum verdict verdict);
