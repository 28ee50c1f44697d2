/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What the configuration says of links and of bonding. Plain values. */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/addr.h"
#include "util/clock.h"
#include "util/offload.h"

#define LINK_NAME_MAX 63
#define HOST_NAME_MAX_LEN 255

/* Room for what the kernel may queue while our thread does not run: 20 ms of 1 Gbit/s. */
#define LINK_RECEIVE_BUFFER (4 << 20)
#define LINK_SEND_BUFFER (512 << 10)
#define LINK_SOCKET_BUFFER_MAX (64 << 20)

enum bond_mode {
	BOND_AGGREGATE, /* all of them at once */
	BOND_REDUNDANT, /* every packet on every link */
	BOND_FAILOVER,	/* the usable link of greatest weight, the others standing by */
	BOND_AUTO,	/* as aggregate, but urgent packets on two links */
};

/* How aggregate spreads data over the links. */
enum bond_scheduler {
	SCHEDULER_ADAPTIVE, /* as the paths' rates and delays are learnt; stock peers: one link */
	SCHEDULER_WEIGHT,   /* in proportion to the weights, always */
};

enum link_role {
	LINK_PRIMARY,
	LINK_BACKUP, /* carries data only while no primary one does */
};

/* A remote endpoint as written; `host` is empty where none is given. */
struct endpoint_name {
	char host[HOST_NAME_MAX_LEN + 1];
	uint16_t port;
};

/* How much one link holds at once. */
struct link_sizes {
	uint32_t receive_batch; /* messages that are received by one call, each into a burst */
	uint32_t queue;		/* bursts that wait to be sent, a power of two */
};

struct link_settings {
	char name[LINK_NAME_MAX + 1];  /* free text; never part of a path name */
	struct addr bind;	       /* AF_UNSPEC: the wildcard of the endpoint's family */
	uint16_t port;		       /* of that wildcard, where bind has none; 0: any */
	char device[IFNAMSIZ];	       /* "" : any */
	struct endpoint_name endpoint; /* single-peer form only */
	uint32_t weight;
	uint32_t workers; /* threads; 0: one */
	uint32_t fwmark;  /* 0: none */
	enum link_role role;
	uint64_t rate; /* bits per second that may be sent on a path over it; 0: no cap */
	/* bytes that the kernel may hold for its socket; 0: as many as by default */
	uint32_t receive_buffer, send_buffer;
	bool is_disabled; /* without a socket until further notice */
	enum offload gso; /* sending by UDP_SEGMENT */
	enum offload gro; /* receiving by UDP_GRO */
};

struct health_settings {
	nsec_t interval;
	nsec_t backup_interval; /* of a path that stands by for others; 0: as `timeout` */
	nsec_t timeout;
	nsec_t error_backoff;
	nsec_t resolve_interval; /* of the name of an endpoint that answers; 0: never */
	uint32_t down;		 /* unanswered pings that a timeout needs */
	uint32_t up;		 /* answers in a row that a path which was down needs */
	nsec_t flap_hold_max;	 /* 0: a path that flaps is not held down */
	/* Beyond the first value a path is poor (0: never), until below the second (0: half of it).
	 */
	uint32_t failure_loss, recovery_loss; /* percent */
	nsec_t failure_latency, recovery_latency;
};
