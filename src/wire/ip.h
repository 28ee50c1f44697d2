/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Headers of the packets inside the tunnel as they lie in memory: alignment 1, no padding. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "util/endian.h"

#define IPV4_DONT_FRAGMENT 0x4000
#define IPV4_LENGTH_MAX 65535

/* RFC 791, section 3.1 */
struct ipv4_header {
	uint8_t version_ihl;
	uint8_t tos;
	struct be16 total_length;
	struct be16 identification;
	struct be16 flags_fragment;
	uint8_t ttl;
	uint8_t protocol;
	struct be16 checksum;
	uint8_t source[4];
	uint8_t destination[4];
};
_Static_assert(sizeof(struct ipv4_header) == 20, "RFC 791, section 3.1");

/* RFC 8200, section 3 */
struct ipv6_header {
	struct be32 version_class_flow;
	struct be16 payload_length;
	uint8_t next_header;
	uint8_t hop_limit;
	uint8_t source[16];
	uint8_t destination[16];
};
_Static_assert(sizeof(struct ipv6_header) == 40, "RFC 8200, section 3");

#define TCP_FLAG_FIN 0x01
#define TCP_FLAG_SYN 0x02
#define TCP_FLAG_PSH 0x08
#define TCP_FLAG_ACK 0x10
#define TCP_FLAG_ECE 0x40
#define TCP_FLAG_CWR 0x80

/* RFC 9293, section 3.1 */
struct tcp_header {
	struct be16 source_port;
	struct be16 destination_port;
	struct be32 seq;
	struct be32 ack;
	uint8_t data_offset; /* in the upper nibble */
	uint8_t flags;
	struct be16 window;
	struct be16 checksum;
	struct be16 urgent;
};
_Static_assert(sizeof(struct tcp_header) == 20, "RFC 9293, section 3.1");

/* RFC 768 */
struct udp_header {
	struct be16 source_port;
	struct be16 destination_port;
	struct be16 length;
	struct be16 checksum;
};
_Static_assert(sizeof(struct udp_header) == 8, "RFC 768");

/* The header's claim in bytes; at least sizeof(the struct) if it is well-formed. */
static inline size_t ipv4_header_len(const struct ipv4_header *ip)
{
	return (size_t)(ip->version_ihl & 0x0f) * 4;
}

static inline size_t tcp_header_len(const struct tcp_header *tcp)
{
	return (size_t)(tcp->data_offset >> 4) * 4;
}
