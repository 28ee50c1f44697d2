/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "wire/inner.h"

#include <errno.h>
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
