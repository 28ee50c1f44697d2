/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "util/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int parse_u16(const char *text, uint16_t *ret)
{
	char *end;
	unsigned long v;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno || *end || v > UINT16_MAX)
		return -EINVAL;
	*ret = (uint16_t)v;
	return 0;
}

/* An IPv6 address with an optional "%zone", the zone being an interface name or index. */
static int parse_v6(struct sockaddr_in6 *ret, const char *text)
{
	char buf[ADDR_TEXT_MAX];
	char *zone;
	char *end;

	if (strlen(text) >= sizeof(buf))
		return -EINVAL;
	strcpy(buf, text);
	zone = strchr(buf, '%');
	if (zone)
		*zone++ = '\0';
	if (inet_pton(AF_INET6, buf, &ret->sin6_addr) != 1)
		return -EINVAL;
	if (!zone)
		return 0;
	ret->sin6_scope_id = if_nametoindex(zone);
	if (ret->sin6_scope_id)
		return 0;
	ret->sin6_scope_id = (uint32_t)strtoul(zone, &end, 10);
	return *zone && !*end && ret->sin6_scope_id ? 0 : -EINVAL;
}

int addr_parse(struct addr *ret, const char *text, uint16_t default_port)
{
	struct addr a = {0};
	char host[ADDR_TEXT_MAX];
	uint16_t port = default_port;
	const char *colon = strrchr(text, ':');
	size_t len = strlen(text);

	if (len >= sizeof(host))
		return -EINVAL;
	strcpy(host, text);
	if (text[0] == '[') {
		char *close = strchr(host, ']');

		if (!close || (close[1] && close[1] != ':'))
			return -EINVAL;
		if (close[1] && parse_u16(close + 2, &port) < 0)
			return -EINVAL;
		*close = '\0';
		memmove(host, host + 1, strlen(host));
	} else if (colon && strchr(text, ':') == colon) {
		host[colon - text] = '\0';
		if (parse_u16(colon + 1, &port) < 0)
			return -EINVAL;
	}

	if (inet_pton(AF_INET, host, &a.v4.sin_addr) == 1) {
		if (text[0] == '[')
			return -EINVAL;
		a.v4.sin_family = AF_INET;
	} else if (parse_v6(&a.v6, host) == 0) {
		a.v6.sin6_family = AF_INET6;
	} else {
		return -EINVAL;
	}
	addr_set_port(&a, port);
	*ret = a;
	return 0;
}

const char *addr_format(const struct addr *a, char buf[ADDR_TEXT_MAX])
{
	char host[INET6_ADDRSTRLEN];

	if (a->sa.sa_family == AF_INET) {
		inet_ntop(AF_INET, &a->v4.sin_addr, host, sizeof(host));
		snprintf(buf, ADDR_TEXT_MAX, "%s:%u", host, addr_port(a));
	} else if (a->sa.sa_family == AF_INET6 && a->v6.sin6_scope_id) {
		inet_ntop(AF_INET6, &a->v6.sin6_addr, host, sizeof(host));
		snprintf(buf, ADDR_TEXT_MAX, "[%s%%%u]:%u", host, a->v6.sin6_scope_id,
			 addr_port(a));
	} else if (a->sa.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &a->v6.sin6_addr, host, sizeof(host));
		snprintf(buf, ADDR_TEXT_MAX, "[%s]:%u", host, addr_port(a));
	} else {
		strcpy(buf, "-");
	}
	return buf;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	if (a->sa.sa_family == AF_INET)
		return a->v4.sin_port == b->v4.sin_port &&
		       a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
	if (a->sa.sa_family == AF_INET6)
		return a->v6.sin6_port == b->v6.sin6_port &&
		       a->v6.sin6_scope_id == b->v6.sin6_scope_id &&
		       !memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, 16);
	return true;
}

uint16_t addr_port(const struct addr *a)
{
	/* The port lies at the same place in both families. */
	return a->sa.sa_family ? ntohs(a->v4.sin_port) : 0;
}

void addr_set_port(struct addr *a, uint16_t port)
{
	a->v4.sin_port = htons(port);
}

socklen_t addr_len(const struct addr *a)
{
	return a->sa.sa_family == AF_INET6 ? sizeof(a->v6) : sizeof(a->v4);
}

bool addr_is_set(const struct addr *a)
{
	return a->sa.sa_family != AF_UNSPEC;
}

bool addr_host(const struct addr *a, struct prefix *ret)
{
	static const uint8_t any[16];
	struct prefix host = {.family = (uint8_t)a->sa.sa_family};

	if (host.family == AF_INET) {
		host.len = 32;
		memcpy(host.bytes, &a->v4.sin_addr, 4);
	} else if (host.family == AF_INET6) {
		host.len = 128;
		memcpy(host.bytes, &a->v6.sin6_addr, 16);
	}
	if (!memcmp(host.bytes, any, sizeof(any)))
		return false;
	*ret = host;
	return true;
}

bool addr_is_host(const struct addr *a, const struct prefix *host)
{
	struct prefix own;

	return addr_host(a, &own) && prefix_equal(&own, host);
}

void addr_unmap(struct addr *a)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};

	if (a->sa.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr))
		return;
	v4.sin_port = a->v6.sin6_port;
	memcpy(&v4.sin_addr, a->v6.sin6_addr.s6_addr + 12, 4);
	memset(a, 0, sizeof(*a));
	a->v4 = v4;
}

void addr_map(struct addr *a)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

	if (a->sa.sa_family != AF_INET)
		return;
	v6.sin6_port = a->v4.sin_port;
	v6.sin6_addr.s6_addr[10] = 0xff;
	v6.sin6_addr.s6_addr[11] = 0xff;
	memcpy(v6.sin6_addr.s6_addr + 12, &a->v4.sin_addr, 4);
	a->v6 = v6;
}

int addr_split_host_port(const char *text, char *ret_host, size_t host_size, uint16_t *ret_port)
{
	const char *colon = strrchr(text, ':');
	const char *host = text;
	size_t len;
	uint16_t port;

	if (!colon || parse_u16(colon + 1, &port) < 0 || !port)
		return -EINVAL;
	len = (size_t)(colon - text);
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		host++;
		len -= 2;
	} else if (memchr(text, ':', len) || memchr(text, '[', len) || memchr(text, ']', len)) {
		return -EINVAL;
	}
	if (!len || len >= host_size)
		return -EINVAL;
	memcpy(ret_host, host, len);
	ret_host[len] = '\0';
	*ret_port = port;
	return 0;
}

static unsigned address_bits(const struct prefix *p)
{
	return 8 * (unsigned)addr_bytes(p->family);
}

static void clear_host_bits(struct prefix *p)
{
	for (size_t i = 0; i < addr_bytes(p->family); i++) {
		unsigned kept = p->len > i * 8 ? p->len - (unsigned)i * 8 : 0;

		if (kept < 8)
			p->bytes[i] &= (uint8_t)(0xff00 >> kept);
	}
}

int prefix_parse(struct prefix *ret, const char *text)
{
	struct prefix p = {0};
	char host[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	uint16_t bits;

	if (len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	if (inet_pton(AF_INET, host, p.bytes) == 1)
		p.family = AF_INET;
	else if (inet_pton(AF_INET6, host, p.bytes) == 1)
		p.family = AF_INET6;
	else
		return -EINVAL;
	bits = (uint16_t)address_bits(&p);
	p.len = (uint8_t)bits;
	if (slash) {
		if (parse_u16(slash + 1, &bits) < 0 || bits > p.len)
			return -EINVAL;
		p.len = (uint8_t)bits;
	}
	clear_host_bits(&p);
	*ret = p;
	return 0;
}

const char *prefix_format(const struct prefix *p, char buf[PREFIX_TEXT_MAX])
{
	char host[INET6_ADDRSTRLEN];

	inet_ntop(p->family, p->bytes, host, sizeof(host));
	snprintf(buf, PREFIX_TEXT_MAX, "%s/%u", host, p->len);
	return buf;
}

bool prefix_equal(const struct prefix *a, const struct prefix *b)
{
	return a->family == b->family && a->len == b->len &&
	       !memcmp(a->bytes, b->bytes, addr_bytes(a->family));
}

static bool bit_of(const uint8_t *bytes, unsigned bit)
{
	return bytes[bit / 8] >> (7 - bit % 8) & 1;
}

bool prefix_has(const struct prefix *p, const uint8_t *address)
{
	unsigned n = p->len / 8;
	uint8_t mask = (uint8_t)(0xff00 >> p->len % 8);

	return !memcmp(p->bytes, address, n) && (!mask || !((p->bytes[n] ^ address[n]) & mask));
}

bool prefix_covers(const struct prefix *p, const struct prefix *address)
{
	return p->family == address->family && prefix_has(p, address->bytes);
}

bool prefix_is_address(const struct prefix *a, const struct prefix *b)
{
	return a->family == b->family && !memcmp(a->bytes, b->bytes, addr_bytes(a->family));
}

/* Adds one to the bits of the host. */
static void step_host(struct prefix *p)
{
	for (unsigned bit = address_bits(p); bit-- > p->len;) {
		p->bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		if (bit_of(p->bytes, bit))
			return;
	}
}

/* Are the bits of the host all zero, or, where IPv4 has a broadcast address, all one? */
static bool is_of_no_host(const struct prefix *p)
{
	unsigned n_ones = 0;

	if (p->len + 2U > address_bits(p))
		return false;
	for (unsigned bit = p->len; bit < address_bits(p); bit++)
		n_ones += bit_of(p->bytes, bit);
	return !n_ones || (p->family == AF_INET && n_ones == address_bits(p) - p->len);
}

void prefix_next_host(struct prefix *p)
{
	do
		step_host(p);
	while (is_of_no_host(p));
}
