/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * One network as the configuration describes it, checked and with its defaults filled in.
 * core/config.c makes it, network.c uses it; whoever holds it frees it.
 */
#pragma once

#include <net/if.h>
#include <stddef.h>

#include "dataplane/rules.h"
#include "links/settings.h"
#include "util/addr.h"

#define NETWORK_NAME_MAX 31
#define PEER_NAME_MAX 63
#define MTU_DEFAULT 1420
#define MTU_MIN 576
/* Below it the kernel takes IPv6 off the interface. RFC 8200, section 5. */
#define MTU_IPV6_MIN 1280
#define MTU_MAX 65535
#define BUFFER_SIZE_DEFAULT 65536
#define QUEUES_MAX 8 /* of the interface */

enum multilink {
	MULTILINK_AUTO, /* ask once per session; a peer that does not answer is a stock one */
	MULTILINK_YES,	/* keep asking */
	MULTILINK_NO,	/* plain WireGuard, no control frames */
};

struct peer_settings {
	char name[PEER_NAME_MAX + 1];
	uint8_t public_key[32];
	uint8_t preshared_key[32]; /* zero: none */
	struct prefix *allowed_ips;
	size_t n_allowed_ips;
	struct endpoint_name *endpoint; /* over every link that has none of its own; NULL: none */
	uint16_t persistent_keepalive;	/* seconds; 0: off */
	enum multilink multilink;
	bool is_on_demand; /* no session but for traffic or keepalives, as wg(8) has it */
};

/* An address of the tunnel interface; `prefix.bytes` keeps its host bits. */
struct interface_address {
	struct prefix prefix;
	struct prefix destination; /* point-to-point peer; family 0: none */
	struct prefix in_force;	   /* what it is on the interface; family 0: not there yet */
};

/* How much a network holds at once: docs/design/small-machines.md. */
struct network_sizes {
	uint32_t buffers;	  /* for bursts, besides those of each link */
	uint32_t queue_buffers;	  /* of these, what the flow queues of a peer may take */
	uint32_t reorder_packets; /* that wait in the resequencers of all peers */
	uint32_t
		repair_buffer; /* bytes of what may have to be sent again; less than a cell: none */
	uint32_t handshake_queue; /* messages, a power of two */
	uint32_t event_queue;	  /* for the monitor, a power of two */
	struct link_sizes link;	  /* of each */
};

extern const struct network_sizes network_sizes_normal, network_sizes_small;

struct network_settings {
	char name[NETWORK_NAME_MAX + 1]; /* "default" where the section has no name */
	bool is_enabled;
	bool has_uapi; /* wg(8) finds it */
	char interface[IFNAMSIZ];
	struct interface_address *addresses;
	size_t n_addresses;
	bool takes_next_address; /* where an interface has one already */
	uint32_t mtu;		 /* at the most, if it follows the paths */
	bool is_mtu_auto;
	bool mss_clamp;	       /* TCP connections are told of the MTU */
	bool follows_carrier;  /* the interface has one while a peer can be reached */
	uint32_t route_table;  /* of routes to the allowed IPs, or ROUTE_TABLE_AUTO; 0: none */
	uint32_t route_metric; /* 0: the kernel's default */
	uint32_t buffer_size;
	uint32_t queues;       /* of the interface, each with a thread; 0: by the machine's cores */
	enum offload tso, uso; /* the interface takes and gives super-packets of TCP, and of UDP */
	struct network_sizes sizes;
	uint8_t private_key[32];
	enum bond_mode mode;
	enum bond_scheduler scheduler;
	nsec_t max_spread; /* of the one-way delays of paths that share a flow */
	struct health_settings health;
	struct rule_settings *rules; /* RULES_MAX at the most; the first that is met counts */
	size_t n_rules;
	struct link_settings *links;
	size_t n_links;
	struct peer_settings *peers;
	size_t n_peers;
};

/* A copy in the caller's storage, with what it points to. 0 or -ENOMEM. */
int peer_settings_init(struct peer_settings *copy, const struct peer_settings *s);
/* The same on the heap. */
int peer_settings_copy(struct peer_settings **ret, const struct peer_settings *s);
/* Wipes it, and frees what it points to. */
void peer_settings_deinit(struct peer_settings *s);
/* Also itself; NULL is fine. */
void peer_settings_free(struct peer_settings *s);
/* Of what a network is as a whole: without its rules, peers and links. The same errors. */
int network_settings_copy(struct network_settings **ret, const struct network_settings *s);
/* As those of a peer. */
void network_settings_deinit(struct network_settings *s);
void network_settings_free(struct network_settings *s);
