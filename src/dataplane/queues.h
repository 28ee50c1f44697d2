/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The queues of the tunnel interface beyond the first. The kernel keeps each flow on one of them,
 * and a reader thread takes what comes out. Written to is another one, out of which nothing comes,
 * since flows would follow what is written. Owner: whoever starts the network.
 */
#pragma once

#include <stdint.h>

struct network;

/* How many there are to be on this machine, where the settings say `queues`. */
unsigned queues_wanted(uint32_t queues);
/* Opens them. One is enough: what cannot be had is only logged. */
void queues_open(struct network *n);
void queues_close(struct network *n);
