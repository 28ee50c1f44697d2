/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Fills in a network's status on the monitor thread, which owns most of what is in it. */
#pragma once

#include "dataplane/status.h"
#include "util/clock.h"

struct network;

/* All but the links' local addresses. 0 or -ENOMEM, `ret` being empty then. */
int status_fill(struct network *n, struct network_status *ret, nsec_t now);
