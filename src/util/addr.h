/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Socket addresses of both families, host:port texts, and address prefixes. Plain values. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* sa.sa_family is AF_UNSPEC where no address is known. IPv4-mapped IPv6 never occurs in one. */
struct addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
};

/* "[2001:db8::1]:65535" and an IPv6 zone of up to IFNAMSIZ characters. */
#define ADDR_TEXT_MAX 80

/* An address prefix; `bytes` holds 4 or 16 octets, those beyond `len` bits being zero. */
struct prefix {
	uint8_t family; /* AF_INET or AF_INET6 */
	uint8_t len;
	uint8_t bytes[16];
};

#define PREFIX_TEXT_MAX 52

/* Of an address of that family. */
static inline size_t addr_bytes(uint8_t family)
{
	return family == AF_INET ? 4 : 16;
}

/* Parses "1.2.3.4:5" or "[::1]:5"; a bare address gets `default_port`. 0 or -EINVAL. */
int addr_parse(struct addr *ret, const char *text, uint16_t default_port);

/* Writes "1.2.3.4:5" or "[::1]:5" ("-" for AF_UNSPEC) and returns `buf`. */
const char *addr_format(const struct addr *a, char buf[ADDR_TEXT_MAX]);

bool addr_equal(const struct addr *a, const struct addr *b);
uint16_t addr_port(const struct addr *a);
void addr_set_port(struct addr *a, uint16_t port);
socklen_t addr_len(const struct addr *a);
bool addr_is_set(const struct addr *a);

/* Is it this host, whatever the port? */
bool addr_is_host(const struct addr *a, const struct prefix *host);
/* Its host as a prefix; false for AF_UNSPEC and for the wildcards. */
bool addr_host(const struct addr *a, struct prefix *ret);

/* Turns an IPv4-mapped IPv6 address into its IPv4 form, as a dual-stack socket receives it. */
void addr_unmap(struct addr *a);
/* The reverse, for sending an IPv4 address through an IPv6 socket. */
void addr_map(struct addr *a);

/*
 * Splits "host:port" or "[host]:port"; `ret_host` has room for `host_size` bytes.
 * 0, or -EINVAL for an empty host, a bad port (1..65535) or an unbracketed IPv6 address.
 */
int addr_split_host_port(const char *text, char *ret_host, size_t host_size, uint16_t *ret_port);

/* Parses "10.0.0.0/8" or "fd00::/8" (a bare address is a host prefix), clearing host bits. */
int prefix_parse(struct prefix *ret, const char *text);
const char *prefix_format(const struct prefix *p, char buf[PREFIX_TEXT_MAX]);
bool prefix_equal(const struct prefix *a, const struct prefix *b);
/* Does an address of the prefix's family (4 or 16 bytes) agree with it in its bits? */
bool prefix_has(const struct prefix *p, const uint8_t *address);
/* Is an address, of which the length does not count, in the prefix, whose host bits do not? */
bool prefix_covers(const struct prefix *p, const struct prefix *address);
/* The same address, whatever the lengths? */
bool prefix_is_address(const struct prefix *a, const struct prefix *b);
/*
 * From the address of a host to the next of its subnet, and from the last to the first; those that
 * stand for the subnet, or for all of its hosts, are passed over.
 */
void prefix_next_host(struct prefix *p);
