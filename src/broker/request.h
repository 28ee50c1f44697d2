/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * What the engine may ask of the privileged side, as it goes over a socket: one request of a
 * fixed size for each kind, one reply, and at most one descriptor with it. Both ends are the
 * same program on the same machine, so the integers are in its order. The server trusts nothing
 * in a request; the client trusts its server.
 */
#pragma once

#include <net/if.h>
#include <stddef.h>
#include <stdint.h>

#include "links/socket.h"
#include "netlink/route.h"
#include "tun/tun.h"
#include "util/addr.h"
#include "util/record.h"

/* Of a network; it becomes part of a file's name. */
#define BROKER_NAME_MAX 31

enum broker_kind {
	BROKER_OPEN_TUN = 1,
	BROKER_CLOSE_TUN,
	BROKER_SET_MTU,
	BROKER_SET_UP,
	BROKER_ADD_ADDRESS,
	BROKER_ADD_ROUTE,
	BROKER_REMOVE_ROUTE,
	BROKER_OPEN_UDP,
	BROKER_LOAD_STAMP,
	BROKER_STORE_STAMP,
	BROKER_OPEN_RESOLVER,
	BROKER_READY,
	BROKER_ALIVE,
	BROKER_READ_CONFIG,
	BROKER_KEEP_CONFIG,
	BROKER_RUN_HOOK,
	BROKER_OPEN_UAPI,
	BROKER_CLOSE_UAPI,
	BROKER_REMOVE_ADDRESS,
	BROKER_NEXT_KEY,
	BROKER_SET_RULES,
	BROKER_TELL,
	BROKER_OPEN_METRICS,
	BROKER_OPEN_QUEUE,
	BROKER_KEEP_ENDPOINTS,
	BROKER_LOAD_ENDPOINTS,
};

/* All texts end with a zero within their arrays. */

struct broker_tun {
	char interface[IFNAMSIZ];
	uint8_t wants_tso, wants_uso, wants_queues; /* 0 or 1 */
};

struct broker_queue {
	char interface[IFNAMSIZ];
	uint8_t is_detached; /* 0 or 1 */
};

struct broker_interface {
	char interface[IFNAMSIZ];
	uint32_t mtu; /* of BROKER_SET_MTU; else 0 */
};

struct broker_address {
	char interface[IFNAMSIZ];
	struct prefix prefix;
	struct prefix destination; /* family 0: none */
};

struct broker_route {
	char interface[IFNAMSIZ];
	struct route route;
};

struct broker_rules {
	char interface[IFNAMSIZ];
	int32_t family; /* AF_INET or AF_INET6 */
	uint32_t mark;	/* 0: they go */
};

struct broker_udp {
	struct addr bind; /* AF_UNSPEC: the wildcard of `family`, with `port` */
	uint32_t port;
	char device[IFNAMSIZ];
	uint32_t fwmark;
	uint32_t bytes;
	uint32_t receive_buffer, send_buffer;
	int32_t family;		      /* AF_INET, AF_INET6 or AF_UNSPEC */
	uint8_t wants_gso, wants_gro; /* 0 or 1 */
};

struct broker_stamp {
	char network[BROKER_NAME_MAX + 1];
	int64_t time; /* of BROKER_STORE_STAMP; else 0 */
};

/* Of the private key that is to follow a network's own, in the file beside it. */
enum broker_key_step {
	BROKER_KEY_LOOK, /* tells it */
	BROKER_KEY_MAKE, /* the same; makes one where there is none */
	BROKER_KEY_TAKE, /* puts it in the place of the present one, for good */
};

struct broker_key {
	char network[BROKER_NAME_MAX + 1];
	uint32_t step; /* enum broker_key_step */
};

/* A record (util/record.h). */
struct broker_event {
	char name[32];
	uint32_t len; /* of its fields */
	char fields[RECORD_TEXT_MAX];
};

/* Where metrics are given; the configuration says which path and address that is. */
enum broker_metrics_kind {
	BROKER_METRICS_SOCKET,
	BROKER_METRICS_PORT,
	BROKER_METRICS_KINDS,
};

struct broker_metrics {
	uint32_t kind; /* enum broker_metrics_kind */
};

/* Which program that is, the supervisor knows. */
struct broker_hook {
	char network[BROKER_NAME_MAX + 1];
	uint32_t hook; /* enum hook_kind */
	struct broker_event event;
};

/* Where a peer was: what it came from, and to which address of ours (AF_UNSPEC: unknown). */
struct broker_endpoint {
	char link[LINK_NAME_MAX + 1];
	struct addr remote;
	struct addr local;
};

/* Enough for a handshake, after which the peer shows itself where else it is. */
#define BROKER_ENDPOINTS_MAX 4

/* What the next engine is to know of a peer. */
struct broker_endpoints {
	char network[BROKER_NAME_MAX + 1];
	uint8_t public_key[32];
	int64_t session_at; /* when its last session was made (clock_now()) */
	uint32_t n;	    /* 0: it is forgotten */
	struct broker_endpoint list[BROKER_ENDPOINTS_MAX]; /* the best first */
};

struct broker_network {
	char network[BROKER_NAME_MAX + 1];
};

struct broker_request {
	uint32_t kind;
	union {
		struct broker_tun tun;
		struct broker_queue queue;
		struct broker_interface interface;
		struct broker_address address;
		struct broker_route route;
		struct broker_rules rules;
		struct broker_udp udp;
		struct broker_stamp stamp;
		struct broker_hook hook;
		struct broker_key key;
		struct broker_event event; /* of BROKER_TELL */
		struct broker_metrics metrics;
		struct broker_endpoints endpoints;
		struct broker_network network; /* of BROKER_LOAD_ENDPOINTS */
	};
};

struct broker_reply {
	int32_t result;	 /* 0 or -errno */
	uint32_t has_fd; /* a descriptor comes with it */
	union {
		struct broker_opened_tun {
			struct tun tun;
			uint8_t was_kept; /* it was there from before, with all its addresses */
		} tun;
		struct udp_socket udp;
		int64_t time;
		uint8_t key[32];
	};
};

/* The exact length of a request of this kind; 0 for an unknown kind. */
size_t broker_request_len(uint32_t kind);
