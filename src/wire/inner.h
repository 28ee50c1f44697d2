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

/* What rules recognise a packet by. */
struct inner_key {
	struct inner inner;
	uint8_t dscp;
	uint8_t protocol; /* the transport's; of a fragment, what its header says */
	bool has_ports; /* no fragment has: only the first could, and the others would go astray */
	uint16_t source_port, destination_port;
};

/* Of a well-formed packet: its DSCP (RFC 2474). */
static inline uint8_t inner_dscp(const uint8_t *packet)
{
	uint8_t class =
		packet[0] >> 4 == 4 ? packet[1] : (uint8_t)(packet[0] << 4 | packet[1] >> 4);

	return class >> 2;
}

/* `packet` is well-formed. */
void inner_read_key(struct inner_key *ret, const uint8_t *packet, size_t len);

/*
 * Is it said to be urgent, or known to be: DSCP CS5, EF and above (RFC 4594), the first packet of a
 * TCP connection or its answer, DNS? `packet` is well-formed.
 */
bool inner_is_urgent(const uint8_t *packet, size_t len);
/* Does it do nothing but acknowledge what came the other way, for TCP? `packet` is well-formed. */
bool inner_is_bare_ack(const uint8_t *packet, size_t len);
