/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The sum is taken over 64-bit words, whose halves are added apart: 2^16 and 2^32 are both 1
 * modulo 2^16 - 1, no carry is lost below 2^32 words, and the compiler can vectorise the loop.
 * Where the processor has wider vectors than the build may assume, the same loop compiled for
 * them is taken.
 */
#include "tun/csum.h"

#include <string.h>

/* The fewer than 8 bytes behind the last whole word. */
static inline uint64_t sum_tail(const uint8_t *data, size_t len)
{
	uint32_t four = 0;
	uint16_t two = 0, one = 0;

	if (len & 4)
		memcpy(&four, data, 4);
	if (len & 2)
		memcpy(&two, data + (len & 4), 2);
	if (len & 1)
		memcpy(&one, data + (len & 6), 1);
	return (uint64_t)four + two + one;
}

static inline __attribute__((always_inline)) uint64_t sum_words(const uint8_t *data, size_t len)
{
	uint64_t low = 0, high = 0, word;
	size_t i, words = len / sizeof(word);

	for (i = 0; i < words; i++) {
		memcpy(&word, data + i * sizeof(word), sizeof(word));
		low += word & UINT32_MAX;
		high += word >> 32;
	}
	return low + high + sum_tail(data + words * sizeof(word), len % sizeof(word));
}

#ifdef __x86_64__
/* Below this many bytes the wide loop costs more to enter than it gains. */
#define WIDE_FROM 128

__attribute__((target("avx2"))) static uint64_t sum_words_avx2(const uint8_t *data, size_t len)
{
	return sum_words(data, len);
}
#endif

uint64_t csum_add(uint64_t sum, const void *data, size_t len)
{
#ifdef __x86_64__
	if (len >= WIDE_FROM && __builtin_cpu_supports("avx2"))
		return sum + sum_words_avx2(data, len);
#endif
	return sum + sum_words(data, len);
}

uint64_t csum_pseudo_header(const uint8_t *packet, uint8_t protocol, size_t transport_len)
{
	const struct ipv4_header *v4 = (const struct ipv4_header *)packet;
	const struct ipv6_header *v6 = (const struct ipv6_header *)packet;
	uint64_t sum = csum_word(protocol) + csum_word(transport_len);

	/* The two addresses are neighbours. */
	if (packet[0] >> 4 == 4)
		return csum_add(sum, packet + offsetof(struct ipv4_header, source),
				sizeof(v4->source) + sizeof(v4->destination));
	return csum_add(sum, packet + offsetof(struct ipv6_header, source),
			sizeof(v6->source) + sizeof(v6->destination));
}

void csum_set_ipv4(struct ipv4_header *ip)
{
	ip->checksum = be16_make(0);
	ip->checksum = csum_field((uint16_t)~csum_fold(csum_add(0, ip, ipv4_header_len(ip))));
}
