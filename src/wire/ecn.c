/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "wire/ecn.h"

#include "wire/ip.h"

/* Where it lies in the second byte of an IPv6 header, behind the rest of the traffic class. */
#define IPV6_ECN_SHIFT 4

static bool is_v6(const uint8_t *packet)
{
	return packet[0] >> 4 == 6;
}

uint8_t ecn_of(const uint8_t *packet)
{
	return (is_v6(packet) ? packet[1] >> IPV6_ECN_SHIFT : packet[1]) & ECN_MASK;
}

/* Mends the IPv4 header checksum too (RFC 1624, equation 3). */
static void set(uint8_t *packet, uint8_t ecn)
{
	struct ipv4_header *v4 = (struct ipv4_header *)packet;
	uint8_t old = v4->tos;
	uint32_t sum;

	if (is_v6(packet)) {
		packet[1] = (uint8_t)((packet[1] & ~(ECN_MASK << IPV6_ECN_SHIFT)) |
				      ecn << IPV6_ECN_SHIFT);
		return;
	}
	v4->tos = (uint8_t)((old & ~ECN_MASK) | ecn);
	sum = (uint16_t)~be16_get(v4->checksum) + (uint32_t)(uint16_t)~old + v4->tos;
	sum = (sum & UINT16_MAX) + (sum >> 16);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	v4->checksum = be16_make((uint16_t)~sum);
}

bool ecn_mark(uint8_t *packet)
{
	if (ecn_of(packet) == ECN_NOT_ECT)
		return false;
	set(packet, ECN_CE);
	return true;
}

bool ecn_arrive(uint8_t *packet, uint8_t outer)
{
	uint8_t inner = ecn_of(packet);

	if (outer == ECN_CE)
		return inner == ECN_CE || ecn_mark(packet);
	if (outer == ECN_ECT_1 && inner == ECN_ECT_0)
		set(packet, ECN_ECT_1);
	return true;
}
