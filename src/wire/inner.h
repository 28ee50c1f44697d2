/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The IP packets inside the tunnel: only as much as is needed to route and check them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The address fields point into the packet: 4 or 16 bytes. */
struct inner {
	const uint8_t *source;
	const uint8_t *destination;
	size_t len;	/* by the IP header; a received packet may be padded beyond it */
	uint8_t family; /* AF_INET or AF_INET6 */
};

/* 0, or -EINVAL: no IP packet, a header beyond `len`, or a total length beyond `len`. */
int inner_parse(struct inner *ret, const uint8_t *packet, size_t len);

/* A hash of the flow: addresses, protocol and, where they lie in the packet, ports. */
uint64_t inner_flow(const uint8_t *packet, size_t len, uint64_t key);

/*
 * Is it said to be urgent, or known to be: DSCP CS5, EF and above (RFC 4594), the first packet of a
 * TCP connection or its answer, DNS? `packet` is well-formed.
 */
bool inner_is_urgent(const uint8_t *packet, size_t len);
