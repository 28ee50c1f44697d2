/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "wire/inner.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "wire/ip.h"

#define DNS_PORT 53
/* RFC 4594: signalling; above it are telephony and what keeps the network going. */
#define DSCP_CS5 40

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

/* Where the transport header is, and whose. */
struct transport {
	const uint8_t *header; /* NULL: there is none, in a fragment */
	size_t len;
	uint8_t protocol;
};

static struct transport find_transport(const struct inner *inner, const uint8_t *packet, size_t len)
{
	const struct ipv4_header *v4 = (const void *)packet;
	const struct ipv6_header *v6 = (const void *)packet;
	struct transport t = {.protocol = v6->next_header};
	size_t offset = sizeof(*v6);
	bool is_fragment = false;

	if (inner->family == AF_INET) {
		t.protocol = v4->protocol;
		offset = ipv4_header_len(v4);
		is_fragment = be16_get(v4->flags_fragment) & 0x3fff;
	}
	if (!is_fragment && offset < len) {
		t.header = packet + offset;
		t.len = len - offset;
	}
	return t;
}

uint64_t inner_flow(const uint8_t *packet, size_t len, uint64_t key)
{
	struct inner inner;
	struct transport t;
	uint64_t h;

	if (inner_parse(&inner, packet, len) < 0)
		return 0;
	t = find_transport(&inner, packet, len);
	h = mix(key ^ t.protocol, inner.source, inner.family == AF_INET ? 8 : 32);
	if ((t.protocol == IPPROTO_TCP || t.protocol == IPPROTO_UDP) && t.len >= 4)
		h = mix(h, t.header, 4);
	h *= 0xff51afd7ed558ccdULL;
	return h ^ h >> 33;
}

static bool is_dns(const struct transport *t)
{
	const struct udp_header *udp = (const void *)t->header;

	return t->protocol == IPPROTO_UDP && t->len >= sizeof(*udp) &&
	       (be16_get(udp->source_port) == DNS_PORT ||
		be16_get(udp->destination_port) == DNS_PORT);
}

static bool is_tcp_begin(const struct transport *t)
{
	const struct tcp_header *tcp = (const void *)t->header;

	return t->protocol == IPPROTO_TCP && t->len >= sizeof(*tcp) && tcp->flags & TCP_FLAG_SYN;
}

bool inner_is_urgent(const uint8_t *packet, size_t len)
{
	struct inner inner;
	struct transport t;
	uint8_t traffic_class;

	if (inner_parse(&inner, packet, len) < 0)
		return false;
	traffic_class =
		inner.family == AF_INET ? packet[1] : (uint8_t)(packet[0] << 4 | packet[1] >> 4);
	t = find_transport(&inner, packet, len);
	return traffic_class >> 2 >= DSCP_CS5 || is_dns(&t) || is_tcp_begin(&t);
}
