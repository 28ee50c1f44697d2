/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * What a running network tells about itself: a copy of its counters and states, taken at
 * one time by network_status(). Plain values; status_free() frees the arrays.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/settings.h"
#include "links/health.h"
#include "peers/tally.h"
#include "util/drops.h"

struct path_status {
	uint32_t id;
	char link[LINK_NAME_MAX + 1];	     /* the local link */
	char remote_link[LINK_NAME_MAX + 1]; /* what the peer calls it; "" if it did not say */
	struct addr remote;
	enum health_state state;
	bool is_active; /* the mode's choice: data goes over it now */
	uint32_t weight;
	nsec_t rtt; /* smoothed; 0 until measured */
	nsec_t rtt_min;
	double tx_loss; /* 0..1 of what we sent lately, by the peer's reports; < 0: unknown */
	double rx_loss; /* 0..1 of what the peer sent lately */
	uint64_t tx_packets, tx_bytes, rx_packets, rx_bytes;
	uint64_t tx_bps, rx_bps; /* over the last second */
	uint64_t learnt_bps;	 /* what it carries, by reports; 0 until measured */
	nsec_t queue;		 /* how long packets wait on the way there; of use with the rate */
	uint64_t duplicates;	 /* packets another path had delivered before */
	uint64_t n_downs;	 /* times it went down */
	uint64_t n_flaps;	 /* of these, soon after it came up */
	nsec_t hold;		 /* how long it is held down yet; 0: not */
	bool is_poor;		 /* beyond the thresholds of loss or latency */
	bool is_backup;
	uint32_t mtu;	  /* of the outer IP packets; 0: not known */
	nsec_t state_age; /* time in this state */
};

struct peer_status {
	char name[PEER_NAME_MAX + 1];
	uint8_t public_key[32];
	bool has_session;
	bool is_multilink;
	bool is_multilink_known; /* the peer has answered a hello, or has been given up as stock */
	uint64_t handshakes, handshakes_begun; /* sessions made; handshakes begun from here */
	struct tally lately;		       /* of the latter */
	nsec_t handshake_age; /* since the last complete handshake; < 0: none yet */
	nsec_t handshake_at;  /* the same as time of day; 0: none yet */
	uint64_t tx_bytes, rx_bytes, tx_packets, rx_packets; /* inner packets */
	uint16_t persistent_keepalive;
	struct prefix *allowed_ips;
	size_t n_allowed_ips;
	struct {
		uint64_t in_order, held, released_late, proven_lost, deadlines, asked, repaired;
		nsec_t hold; /* the deadline in force */
	} reseq;
	struct {
		uint64_t packets, bytes;
		uint64_t refused; /* packets that the peer asked for in vain */
	} resend;
	struct {
		uint64_t packets, bytes; /* urgent ones that went over a second path too */
		uint64_t refused;	 /* packets, since that would have been too much */
	} copied;
	struct path_status *paths;
	size_t n_paths;
};

struct link_status {
	char name[LINK_NAME_MAX + 1];
	char device[IFNAMSIZ];
	uint32_t fwmark;   /* 0: none */
	struct addr local; /* as bound; AF_UNSPEC while there is no socket */
	bool is_open;
	bool has_carrier;
	bool has_gso;	       /* sends by UDP_SEGMENT */
	bool has_gro;	       /* receives by UDP_GRO */
	enum offload gso, gro; /* as configured */
	uint64_t gso_refused;  /* bursts that the kernel would not cut */
	int last_error;	       /* errno of the last failure to open or send; 0: none */
	uint32_t weight;
	bool is_backup;
	uint64_t rate;			      /* its cap, bits per second; 0: none */
	uint32_t receive_buffer, send_buffer; /* of its socket, bytes */
	uint64_t tx_datagrams, tx_bytes, rx_datagrams, rx_bytes;
	struct drops drops;
};

/* A queue of the interface. */
struct queue_status {
	uint64_t packets, bytes; /* read; of these a super-packet is one */
	uint64_t waits;		 /* of its thread for that of another queue */
};

/* Of a rule: what was to be sent and met it. */
struct rule_status {
	char name[RULE_NAME_MAX + 1]; /* "": what is marked as lower effort, without a rule */
	uint64_t packets, bytes;
	uint64_t elsewhere_bytes; /* of these: when none of its links worked */
};

struct network_status {
	char name[NETWORK_NAME_MAX + 1];
	const char *state; /* "active", or what the daemon says; a constant */
	const char *why;   /* of the state; NULL: nothing to tell. Whoever set it keeps it. */
	char interface[IFNAMSIZ];
	struct prefix *addresses; /* of the interface */
	size_t n_addresses;
	uint32_t mtu;
	enum bond_mode mode;
	uint8_t public_key[32];
	const char *aead;      /* name of the back-end, a constant */
	bool can_tso, can_uso; /* in force */
	enum offload tso, uso; /* as configured */
	size_t buffers, buffers_free;
	size_t repair_buffer, repair_buffer_used; /* bytes */
	struct network_sizes sizes;
	struct drops drops; /* those that belong to no link */
	struct queue_status queues[QUEUES_MAX];
	size_t n_queues;
	struct rule_status *rules; /* the last of which is for lower effort */
	size_t n_rules;
	struct link_status *links;
	size_t n_links;
	struct peer_status *peers;
	size_t n_peers;
};

/* That of one which does not run: nothing but what its settings say. 0 or -ENOMEM. */
int network_status_idle(const struct network_settings *settings, struct network_status *ret);
void network_status_free(struct network_status *s);
