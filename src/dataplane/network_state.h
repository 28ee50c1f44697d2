/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The inside of a network, for the files of this folder. */
#pragma once

#include "broker/broker.h"
#include "dataplane/bond.h"
#include "dataplane/network.h"
#include "dataplane/rules.h"
#include "peers/allowedips.h"
#include "peers/device.h"
#include "peers/timestamp.h"
#include "tun/tun.h"

struct tx;
struct handshaker;
struct monitor;

/* BURST_BYTES_MAX and this hold a super-packet of 64 KB, which is cut, and its PARCEL_SLACK. */
#define CELL_SLACK 64
/* Links of a network; their numbers are below. */
#define NETWORK_LINKS_MAX 64

struct network {
	/* constant once it runs */
	struct network_settings *settings; /* without peers and links, which have their own */
	network_failed_fn failed;
	network_happened_fn happened;
	void *calls_ctx;
	struct pool *bursts;
	struct pool *cells;
	struct pool *sent;  /* copies of what may have to be sent again; NULL: none are kept */
	size_t burst_bytes; /* room for data in a burst */
	size_t cell_room;   /* size of the whole cell that a burst lies in */
	size_t cell_bytes;  /* room for a packet in a cell */
	struct broker *broker;
	unsigned n_queues_wanted;
	struct tun tun; /* with the first queue of the interface */
	int more_queues[QUEUES_MAX - 1];
	unsigned n_more_queues;
	int tun_writer; /* if there are more: a detached queue, for writing only */
	struct device *device;
	/* main thread; by number, NULL where there is none. n_links: those in use, and gaps */
	_Atomic(struct link *) links[NETWORK_LINKS_MAX];
	_Atomic size_t n_links;
	/* main thread: buffers set aside for links that may be added */
	void **put_by;
	size_t n_put_by;
	/* written while monitor and main thread meet */
	struct bond **bonds;
	size_t bonds_room;
	_Atomic size_t n_bonds;
	/* RCU; the main thread writes: struct bond by inner address */
	RCU_SLOT(struct allowedips) allowed_ips;
	/* RCU; the monitor writes */
	RCU_SLOT(struct rules) rules; /* NULL: none */
	/* any reader; by binding, of those that have a name now */
	struct rule_count rule_counts[PATH_BINDINGS];
	/* each the own of the thread it is named after; of a link's workers `user` is the struct rx
	 */
	struct tx *tx;
	struct handshaker *handshaker;
	struct monitor *monitor;
	/* main thread */
	bool was_kept; /* the interface, of a crashed engine: until its routes are as wanted */
	struct routes {
		struct prefix *list; /* those in the kernel, sorted */
		size_t n;
		uint32_t table, metric; /* where they are */
		uint32_t marks[2];	/* of the rules for IPv4 and IPv6; 0: there are none */
	} routes;
	struct timestamp timestamp; /* handshake thread */
	uint32_t last_path_id;	    /* monitor */
	nsec_t recall_at;	    /* monitor: when the next peer may be sent to the supervisor */
	nsec_t mtu_raise_at;	    /* monitor; 0: not to be raised */
	size_t n_reachable;	    /* monitor: peers that can be reached */
	/* main thread: which threads run */
	struct {
		bool monitor, tx, handshaker;
	} started;
	/* atomic */
	_Atomic bool has_failed;
	_Atomic bool is_tso_refused, is_uso_refused; /* by the interface, of what was merged */
	_Atomic uint32_t mtu;			     /* of the interface; the monitor writes */
	_Atomic bool clamps_mss;		     /* the monitor writes */
	struct drops drops;
};

/*
 * Burst buffers for each link: what it may hold to receive into, and for its queue. Those of
 * sizes.buffers are for what is on its way through the lanes, and in the flow queues.
 */
static inline size_t network_bursts_per_link(const struct network *n)
{
	return n->settings->sizes.link.receive_batch + n->settings->sizes.link.queue;
}

/* Any thread: the network cannot go on. Only the first reason given counts. */
void network_fail(struct network *n, const char *why);

/* Any thread: the MTU of the tunnel interface now. */
static inline uint32_t network_mtu(const struct network *n)
{
	return atomic_load_explicit(&n->mtu, memory_order_relaxed);
}

/* Main thread: has the interface IPv6, with the MTU that is configured? */
static inline bool network_has_ipv6(const struct network *n)
{
	return n->settings->mtu >= MTU_IPV6_MIN;
}

/* Any thread: is the MSS of TCP connections clamped to it? */
static inline bool network_clamps_mss(const struct network *n)
{
	return atomic_load_explicit(&n->clamps_mss, memory_order_relaxed);
}

/* The descriptor of a queue of the interface, to read from. */
static inline int network_queue(const struct network *n, unsigned number)
{
	return number ? n->more_queues[number - 1] : n->tun.fd;
}

/* The descriptor to write to. */
static inline int network_writer(const struct network *n)
{
	return n->n_more_queues ? n->tun_writer : n->tun.fd;
}
