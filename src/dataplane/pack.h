/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Packing: inner packets become sealed bursts.
 * Owner: the TUN reader.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "util/drops.h"

struct burst;
struct keypair;
struct outlet;
struct reader;

/*
 * Inside a read section: puts an inner packet, which has that binding, into the open burst, or
 * drops it.
 */
void pack_add_rcu(struct reader *r, struct outlet *o, struct keypair *k, uint8_t binding,
		  uint8_t *packet, size_t len);
/* Sends the open burst, if there is one. */
void pack_close(struct reader *r);

/*
 * With several readers, packets are gathered as they are, until counters are drawn for all of a
 * burst (dataplane/share.h). Returns the open burst if the packet did not fit it, and has begun
 * another one; NULL.
 */
struct burst *pack_gather_rcu(struct reader *r, struct outlet *o, struct keypair *k,
			      uint8_t binding, uint8_t *packet, size_t len);
/* The open burst, which then is the caller's; NULL. */
struct burst *pack_take(struct reader *r);
/* Seals a chain of bursts so gathered. Returns it without those that libcrypto has refused. */
struct burst *pack_seal(struct reader *r, struct burst *chain);
/* Drops one, which is not sealed. */
void pack_drop(struct reader *r, struct burst *b, enum drop_reason reason);
