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
#define EXTENSIONS_MAX 8
#define IPV6_FRAGMENT_LEN 8

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

/* The length of an extension header that is passed over; 0: it is none. */
static size_t extension_len(uint8_t type, const uint8_t *header)
{
	switch (type) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case IPPROTO_MH:
		return (header[1] + 1U) * 8;
	case IPPROTO_AH:
		return (header[1] + 2U) * 4; /* RFC 4302, section 2.2 */
	default:
		return 0;
	}
}

/* Behind the extension headers (RFC 8200, section 4); true for what is part of a packet only. */
static bool skip_extensions(const uint8_t *packet, size_t len, size_t *offset, uint8_t *protocol)
{
	for (int i = 0; i < EXTENSIONS_MAX && *offset + IPV6_FRAGMENT_LEN <= len; i++) {
		const uint8_t *header = packet + *offset;
		size_t skipped = extension_len(*protocol, header);
		bool is_fragment = *protocol == IPPROTO_FRAGMENT;

		if (is_fragment)
			skipped = IPV6_FRAGMENT_LEN;
		if (!skipped)
			return false;
		*protocol = header[0];
		*offset += skipped;
		/* The offset, and whether more follow; a packet in one fragment is whole. */
		if (is_fragment && (header[2] || header[3] & 0xf9))
			return true;
	}
	return false;
}

static struct transport find_transport(const struct inner *inner, const uint8_t *packet, size_t len)
{
	const struct ipv4_header *v4 = (const void *)packet;
	const struct ipv6_header *v6 = (const void *)packet;
	struct transport t = {.protocol = v6->next_header};
	size_t offset = sizeof(*v6);
	bool is_fragment;

	if (inner->family == AF_INET) {
		t.protocol = v4->protocol;
		offset = ipv4_header_len(v4);
		is_fragment = be16_get(v4->flags_fragment) & 0x3fff;
	} else {
		is_fragment = skip_extensions(packet, len, &offset, &t.protocol);
	}
	if (!is_fragment && offset < len) {
		t.header = packet + offset;
		t.len = len - offset;
	}
	return t;
}

/* They begin with the source and destination ports. */
static bool has_ports(const struct transport *t)
{
	switch (t->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case IPPROTO_UDPLITE:
		return t->len >= 4;
	default:
		return false;
	}
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
	if (has_ports(&t))
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

	if (inner_parse(&inner, packet, len) < 0)
		return false;
	t = find_transport(&inner, packet, len);
	return inner_dscp(packet) >= DSCP_CS5 || is_dns(&t) || is_tcp_begin(&t);
}

bool inner_is_bare_ack(const uint8_t *packet, size_t len)
{
	const struct tcp_header *tcp;
	struct inner inner;
	struct transport t;

	if (inner_parse(&inner, packet, len) < 0)
		return false;
	t = find_transport(&inner, packet, inner.len);
	tcp = (const void *)t.header;
	return t.protocol == IPPROTO_TCP && t.len >= sizeof(*tcp) &&
	       (tcp->flags & ~(TCP_FLAG_ECE | TCP_FLAG_CWR)) == TCP_FLAG_ACK &&
	       tcp_header_len(tcp) == t.len;
}

void inner_read_key(struct inner_key *ret, const uint8_t *packet, size_t len)
{
	const struct udp_header *ports;
	struct transport t;

	*ret = (struct inner_key){.dscp = inner_dscp(packet)};
	if (inner_parse(&ret->inner, packet, len) < 0)
		return;
	t = find_transport(&ret->inner, packet, len);
	ret->protocol = t.protocol;
	ret->has_ports = has_ports(&t);
	if (!ret->has_ports)
		return;
	ports = (const void *)t.header;
	ret->source_port = be16_get(ports->source_port);
	ret->destination_port = be16_get(ports->destination_port);
}
