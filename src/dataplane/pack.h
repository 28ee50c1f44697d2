/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Packing: inner packets become sealed bursts.
 * Owner: the TUN reader.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct keypair;
struct outlet;
struct reader;

/* Inside a read section: puts an inner packet into the open burst, or drops it. */
void pack_add_rcu(struct reader *r, struct outlet *o, struct keypair *k, uint8_t *packet,
		  size_t len);
/* Sends the open burst, if there is one. */
void pack_close(struct reader *r);
