/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Explicit congestion notification of the packets inside the tunnel, and what becomes of it in the
 * tunnel (RFC 6040). Pure. Packets are well-formed (inner_parse()).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* RFC 3168, section 5. */
#define ECN_NOT_ECT 0
#define ECN_ECT_1 1
#define ECN_ECT_0 2
#define ECN_CE 3
#define ECN_MASK 3

uint8_t ecn_of(const uint8_t *packet);
/* Marks the packet as having met congestion. False: it cannot be marked, but dropped. */
bool ecn_mark(uint8_t *packet);
/*
 * Hands on to the packet what its outer header tells of the way (RFC 6040, section 4.2). False: it
 * is to be dropped, since it was marked on behalf of one that does not understand it.
 */
bool ecn_arrive(uint8_t *packet, uint8_t outer);
