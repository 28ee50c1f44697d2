/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The bonds of a network: made and freed by the main thread, at its start, at its end and by
 * changes in between (change.c).
 */
#pragma once

#include "crypto/noise.h"
#include "dataplane/bond.h"

/* With keys for a network that is `self`. 0; -EINVAL for a bad public key; -ENOMEM. */
int bond_new(struct bond **ret, struct network *n, const struct peer_settings *s,
	     const struct noise_identity *self);
/* Wipes and frees it; no thread has it any more. NULL is fine. */
void bond_free(struct bond *bond);

/* Is there something that tells where the peer is? */
bool bond_has_endpoint(const struct bond *bond);
/* Is it to have a session at all times? */
bool bond_is_wanted_up(const struct bond *bond);

/*
 * While monitor and main thread meet: makes room in the network for more bonds, 0 or -ENOMEM;
 * adds one; takes one out.
 */
int network_reserve_bonds(struct network *n, size_t more);
void network_add_bond(struct network *n, struct bond *bond);
void network_take_bond(struct network *n, struct bond *bond);
