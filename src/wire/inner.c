/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "wire/inner.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "wire/ip.h"

static int parse_ipv4(struct inner *ret, const uint8_t *packet, size_t len)
{
	const struct ipv4_header *ip = (const struct ipv4_header *)packet;
	size_t total;

	if (len < sizeof(*ip) || ipv4_header_len(ip) < sizeof(*ip))
		return -EINVAL;
	total = be16_get(ip->total_length);
	if (total < ipv4_header_len(ip) || total > len)
		return -EINVAL;
	ret->source = ip->source;
	ret->destination = ip->destination;
	ret->len = total;
	ret->family = AF_INET;
	return 0;
}

/* Jumbograms (RFC 2675) look like a bare header here: no tunnel can carry one. */
static int parse_ipv6(struct inner *ret, const uint8_t *packet, size_t len)
{
	const struct ipv6_header *ip = (const struct ipv6_header *)packet;
	size_t total;

	if (len < sizeof(*ip))
		return -EINVAL;
	total = sizeof(*ip) + be16_get(ip->payload_length);
	if (total > len)
		return -EINVAL;
	ret->source = ip->source;
	ret->destination = ip->destination;
	ret->len = total;
	ret->family = AF_INET6;
	return 0;
}

int inner_parse(struct inner *ret, const uint8_t *packet, size_t len)
{
	if (len == 0)
		return -EINVAL;
	switch (packet[0] >> 4) {
	case 4:
		return parse_ipv4(ret, packet, len);
	case 6:
		return parse_ipv6(ret, packet, len);
	default:
		return -EINVAL;
	}
}

static uint64_t mix(uint64_t h, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i += 4) {
		uint32_t word;

		memcpy(&word, p + i, sizeof(word));
		h = (h ^ word) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 29;
	}
	return h;
}

uint64_t inner_flow(const uint8_t *packet, size_t len, uint64_t key)
{
	const struct ipv4_header *v4 = (const void *)packet;
	const struct ipv6_header *v6 = (const void *)packet;
	struct inner inner;
	size_t transport;
	uint8_t protocol;
	bool is_fragment = false;
	uint64_t h;

	if (inner_parse(&inner, packet, len) < 0)
		return 0;
	if (inner.family == AF_INET) {
		transport = ipv4_header_len(v4);
		protocol = v4->protocol;
		is_fragment = be16_get(v4->flags_fragment) & 0x3fff;
	} else {
		transport = sizeof(*v6);
		protocol = v6->next_header;
	}
	h = mix(key ^ protocol, inner.source, inner.family == AF_INET ? 8 : 32);
	if ((protocol == IPPROTO_TCP || protocol == IPPROTO_UDP) && !is_fragment &&
	    len >= transport + 4)
		h = mix(h, packet + transport, 4);
	h *= 0xff51afd7ed558ccdULL;
	return h ^ h >> 33;
}
