/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Packets for the tests of split and merge, built and checksummed the slow and obvious way:
 * nothing here shares code with what it judges.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define TEST_PACKET_MAX (40 + 65535) /* IPv6, without a jumbo payload */

struct test_random {
	uint64_t state;
};

/* xorshift64: the same numbers in every run. */
static inline uint32_t random_below(struct test_random *r, uint32_t limit)
{
	r->state ^= r->state << 13;
	r->state ^= r->state >> 7;
	r->state ^= r->state << 17;
	return (uint32_t)(r->state >> 32) % limit;
}

static inline void random_fill(struct test_random *r, uint8_t *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		bytes[i] = (uint8_t)random_below(r, 256);
}

static inline void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

static inline uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

/* One's complement sum, byte pair by byte pair, as RFC 1071 words it. */
static inline uint32_t slow_sum(uint32_t sum, const uint8_t *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

/* What a header describes; the ports are 1000 and 2000, the addresses fixed. */
struct test_packet {
	bool is_v6;
	bool dont_fragment;
	uint8_t protocol; /* IPPROTO_TCP or IPPROTO_UDP */
	uint8_t tos;
	uint16_t id;
	uint16_t source_port;
	uint32_t seq;
	uint8_t flags;
	size_t extension_len; /* IPv6: a destination options header of that length, 0 or 8 */
	size_t options_len;   /* TCP */
	size_t payload_len;
};

static inline size_t transport_offset(const struct test_packet *p)
{
	return p->is_v6 ? 40 + p->extension_len : 20;
}

static inline size_t test_headers_len(const struct test_packet *p)
{
	return transport_offset(p) + (p->protocol == IPPROTO_TCP ? 20 + p->options_len : 8);
}

static inline size_t checksum_offset(const struct test_packet *p)
{
	return transport_offset(p) + (p->protocol == IPPROTO_TCP ? 16 : 6);
}

/* The pseudo-header's sum, folded and not inverted. */
static inline uint16_t slow_pseudo(const struct test_packet *p, const uint8_t *packet, size_t len)
{
	uint32_t sum = slow_sum((uint32_t)(len - transport_offset(p)) + p->protocol, NULL, 0);

	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)slow_sum(sum, packet + (p->is_v6 ? 8 : 12), p->is_v6 ? 32 : 8);
}

/* Writes lengths and checksums of a packet that is complete else. */
static inline void finish_packet(const struct test_packet *p, uint8_t *packet, size_t len)
{
	uint8_t *field = packet + checksum_offset(p);
	size_t transport = transport_offset(p);
	uint16_t sum;

	if (p->is_v6) {
		put16(packet + 4, (uint32_t)len - 40);
	} else {
		put16(packet + 2, (uint32_t)len);
		put16(packet + 10, 0);
		put16(packet + 10, (uint16_t)~slow_sum(0, packet, 20));
	}
	if (p->protocol == IPPROTO_UDP)
		put16(packet + transport + 4, (uint32_t)(len - transport));
	put16(field, 0);
	sum = (uint16_t)~slow_sum(slow_pseudo(p, packet, len), packet + transport, len - transport);
	put16(field, sum == 0 && p->protocol == IPPROTO_UDP ? 0xffff : sum);
}

static inline void put_ip(const struct test_packet *p, uint8_t *packet)
{
	if (p->is_v6) {
		put32(packet, 0x60012345u | (uint32_t)p->tos << 20);
		packet[6] = p->extension_len ? IPPROTO_DSTOPTS : p->protocol;
		packet[7] = 61;
		memset(packet + 8, 0xfd, 32);
		packet[39] = 7;
		return;
	}
	packet[0] = 0x45;
	packet[1] = p->tos;
	put16(packet + 4, p->id);
	put16(packet + 6, p->dont_fragment ? 0x4000 : 0);
	packet[8] = 61;
	packet[9] = p->protocol;
	put32(packet + 12, 0x0a0a0001);
	put32(packet + 16, 0x0a0a0002);
}

/* Builds the packet with a payload of random bytes and returns its length. */
static inline size_t build_packet(const struct test_packet *p, struct test_random *r, uint8_t *ret)
{
	uint8_t *transport = ret + transport_offset(p);
	size_t len = test_headers_len(p) + p->payload_len;

	memset(ret, 0, test_headers_len(p));
	put_ip(p, ret);
	if (p->extension_len) {
		ret[40] = p->protocol;
		ret[42] = 1; /* PadN */
		ret[43] = 4;
	}
	put16(transport, p->source_port);
	put16(transport + 2, 2000);
	if (p->protocol == IPPROTO_TCP) {
		put32(transport + 4, p->seq);
		put32(transport + 8, 0x01020304);
		transport[12] = (uint8_t)((20 + p->options_len) / 4 << 4);
		transport[13] = p->flags;
		put16(transport + 14, 501);
		memset(transport + 20, 1, p->options_len);
	}
	random_fill(r, ret + test_headers_len(p), p->payload_len);
	finish_packet(p, ret, len);
	return len;
}

/*
 * Segment `index` of the super-packet `whole`, by the book: own copy, own header fields,
 * checksums from nothing. Returns its length, 0 behind the last.
 */
static inline size_t slow_segment(const struct test_packet *p, const uint8_t *whole,
				  size_t gso_size, size_t index, uint8_t *ret)
{
	size_t headers_len = test_headers_len(p), from = index * gso_size, len;
	uint8_t *tcp = ret + transport_offset(p);
	bool is_last = from + gso_size >= p->payload_len;

	if (from >= p->payload_len)
		return 0;
	len = is_last ? p->payload_len - from : gso_size;
	memcpy(ret, whole, headers_len);
	memcpy(ret + headers_len, whole + headers_len + from, len);
	if (!p->is_v6)
		put16(ret + 4, p->id + (uint32_t)index);
	if (p->protocol == IPPROTO_TCP) {
		put32(tcp + 4, p->seq + (uint32_t)from);
		tcp[13] = p->flags;
		if (index > 0)
			tcp[13] &= 0x7f; /* CWR */
		if (!is_last)
			tcp[13] &= 0xf6; /* FIN, PSH */
	}
	finish_packet(p, ret, headers_len + len);
	return headers_len + len;
}
