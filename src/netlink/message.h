/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Messages of rtnetlink: requests are built (message.c), and one received datagram is taken apart
 * (message_read.c).
 * Nothing here does I/O, so that tests can show it what no kernel sends. (rtnetlink(7),
 * linux/rtnetlink.h; all integers in host order, addresses in network order.)
 */
#pragma once

#include <libmnl/libmnl.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "netlink/address.h"
#include "netlink/route.h"
#include "netlink/rule.h"
#include "util/addr.h"

/* A kernel's dump fills at most the buffer it is read into, and needs 8 KB at least. */
#define MESSAGE_DATAGRAM_MAX 16384
/* IFA_PROTO, which older headers do not have. */
#define ADDRESS_PROTOCOL 11
/* Room for each of the requests below. */
#define MESSAGE_REQUEST_MAX 256

/* Aligned as libmnl needs it. */
union message_buffer {
	struct nlmsghdr header;
	uint8_t bytes[MESSAGE_REQUEST_MAX];
};

/* Each leaves the request in `m->header`; its sequence number is for the sender to set. */
void message_set_mtu(union message_buffer *m, unsigned ifindex, uint32_t mtu);
void message_set_up(union message_buffer *m, unsigned ifindex);
/*
 * As netif_add_address() and netif_remove_address() say; `destination` is NULL or of that family.
 */
void message_change_address(union message_buffer *m, unsigned ifindex, const struct prefix *p,
			    const struct prefix *destination, bool is_new);
/* A route into the interface, new or to be removed. */
void message_change_route(union message_buffer *m, unsigned ifindex, const struct route *r,
			  bool is_new);
void message_change_rule(union message_buffer *m, const struct rule *r, bool is_new);
/* Asks for all addresses, rules or routes of a family. */
void message_dump_addresses(union message_buffer *m, uint8_t family);
void message_dump_rules(union message_buffer *m, uint8_t family);
void message_dump_routes(union message_buffer *m, uint8_t family);

/* The broadcast address of `p`'s subnet; false where it has none (IPv6, /31 and /32). */
bool message_broadcast(const struct prefix *p, uint8_t ret_address[4]);

/* What an answer to one of our requests must look like. */
struct message_expected {
	uint32_t seq;
	uint32_t portid;
	uint16_t type; /* of the messages of a dump; 0: nothing but an acknowledgement */
};

/* How far the answer has come; zero at the start, then handed on from datagram to datagram. */
struct message_progress {
	bool is_complete;    /* acknowledged, or the end of the dump; nothing more will come */
	bool is_interrupted; /* things changed during the dump (NLM_F_DUMP_INTR): dump again */
};

typedef int (*message_fn)(void *ctx, const struct nlmsghdr *message);

/*
 * Takes a datagram (aligned to 4 bytes) apart. `each` (NULL for no dump) gets every message of
 * the expected type; what it returns below 0 ends the reading. 0, the kernel's -errno, -ENOBUFS
 * where the kernel lost data, or -EBADMSG for anything that does not answer the request.
 */
int message_read(const struct message_expected *expected, const void *datagram, size_t len,
		 message_fn each, void *ctx, struct message_progress *progress);

/*
 * Gives `each` every message of a datagram (aligned to 4 bytes), until it returns below 0. 0, that
 * value, or -EBADMSG where the lengths do not add up.
 */
int message_each(const void *datagram, size_t len, message_fn each, void *ctx);

/*
 * Whose address it is, out of an RTM_NEWADDR or RTM_DELADDR (`ret` as a host prefix). 0 or
 * -EBADMSG.
 */
int message_parse_address(const struct nlmsghdr *message, struct prefix *ret,
			  unsigned *ret_ifindex);
/* One as netif_add_address() made it, out of an RTM_NEWADDR: 1; 0 for any other; -EBADMSG. */
int message_parse_our_address(const struct nlmsghdr *message, struct netif_address *ret,
			      unsigned *ret_ifindex);
/* The length of its subnet, as the kernel gives it; only of one that could be parsed. */
uint8_t message_subnet_len(const struct nlmsghdr *message);

/* A rule, out of an RTM_NEWRULE: 1; 0 for one that is not of our protocol; -EBADMSG. */
int message_parse_rule(const struct nlmsghdr *message, struct rule *ret);
/*
 * A route and its interface, out of an RTM_NEWROUTE: 1; 0 for one that is not of our protocol, or
 * not into an interface alone; -EBADMSG.
 */
int message_parse_route(const struct nlmsghdr *message, struct route *ret, unsigned *ret_ifindex);
/* The table of a route, out of an RTM_NEWROUTE. 0 or -EBADMSG. */
int message_parse_route_table(const struct nlmsghdr *message, uint32_t *ret);

enum netif_change_kind {
	NETIF_LINK, /* an interface is there: new, or another than before */
	NETIF_LINK_GONE,
	NETIF_ADDRESS,
	NETIF_ADDRESS_GONE,
};

/* What the kernel tells without being asked. */
struct netif_change {
	enum netif_change_kind kind;
	unsigned ifindex;
	char name[IFNAMSIZ];   /* of NETIF_LINK */
	bool is_running;       /* of NETIF_LINK: it is up and has a carrier */
	struct prefix address; /* of the other two, as a host prefix */
};

/* 1; 0 for a message that is about something else; -EBADMSG. */
int message_parse_change(const struct nlmsghdr *message, struct netif_change *ret);
