/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The UDP socket of a link: how it is opened, and one burst out or a batch of them in. */
#pragma once

#include <stdbool.h>

#include "links/burst.h"
#include "links/settings.h"

struct udp_socket {
	int fd;
	bool is_v6;	  /* then IPv4 goes through it in mapped form */
	bool is_wildcard; /* then the source address matters per datagram */
	bool wants_gso;	  /* the kernel knows it, and we may ask for it */
	bool has_gso;	  /* bursts leave by one call; a device may turn out to refuse it */
	bool has_gro;
	bool has_stamps;      /* the kernel notes when each message arrives */
	uint32_t gso_refused; /* bursts that the kernel would not cut */
	uint32_t gso_in_a_row;
	uint32_t gso_skipped;  /* bursts sent one by one without asking */
	uint32_t overflow;     /* messages that the kernel had no room for, as it counts them */
	unsigned device_index; /* of the device that it is bound to; 0: none */
};

/* Messages that one udp_receive() takes at most. */
#define UDP_BATCH 32

/*
 * Opens and binds. `family` is that of the endpoint, AF_UNSPEC if there is none: then, without
 * a bind address, the socket takes both families. `bytes` is the size of burst buffers: below
 * 64 KB coalesced receives would not fit, and are not asked for. What of gso and gro the settings
 * allow is used where the kernel has it; whether that is enough is for the caller to say.
 * 0; -ENODEV: no such device; -EADDRNOTAVAIL: the address is not (yet) ours; -EADDRINUSE; -EPERM.
 */
int udp_open(struct udp_socket *ret, const struct link_settings *s, int family, size_t bytes);
/* The address that it is bound to. */
void udp_local_addr(const struct udp_socket *u, struct addr *ret);

/*
 * Sends all datagrams of a burst, by one call where the device can cut it (UDP_SEGMENT). Returns
 * how many datagrams have left from `first` on, or -EAGAIN (none; wait until it is writable), or
 * the -errno of the first that was refused.
 */
int udp_send(struct udp_socket *u, const struct burst *b, uint32_t first,
	     const struct endpoint *to);

/* Has the kernel note when messages arrive, for a socket that is not read as soon as they do. */
void udp_stamp(struct udp_socket *u);
/*
 * Receives into up to UDP_BATCH bursts of `capacity` bytes each; fills len, stride, n, from, ecn
 * and waited of as many as it returns. -EAGAIN if there is nothing, or another -errno.
 */
int udp_receive(struct udp_socket *u, struct burst **bursts, int n, size_t capacity);

/*
 * What the kernel takes for the MTU of the way there: that of the interface, or less where ICMP has
 * told so. 0: it does not say.
 */
uint32_t udp_route_mtu(const struct link_settings *s, const struct addr *remote);
