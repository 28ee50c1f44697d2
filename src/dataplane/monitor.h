/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The monitor thread: the only writer of path sets and link sockets. Other threads post what they
 * saw as events; it pings, judges, publishes. Nobody waits for it, except the main thread
 * (util/errand.h).
 */
#pragma once

#include "broker/lookup.h"
#include "links/burst.h"
#include "util/errand.h"
#include "wire/frame.h"

struct bond;
struct monitor;
struct network;
struct network_status;

enum event_kind {
	EVENT_HEARD,	 /* something authentic of `bond` came from `from`, on no path we know */
	EVENT_HANDSHAKE, /* a handshake with `bond` was answered, or begun by it, from `from` */
	EVENT_FRAME,	 /* a control frame of `bond` */
	EVENT_SESSION,	 /* `bond` has a new session */
	EVENT_FAILED,	 /* sending over path_id (0: receiving) failed on `link` with `error` */
	EVENT_RESOLVED,	 /* the name of path_id's endpoint has been looked up; or `error` */
};

struct event {
	enum event_kind kind;
	struct bond *bond;
	struct link *link;
	struct endpoint from;
	nsec_t at;
	uint32_t path_id;
	int error;
	/* received on the path before the frame */
	uint64_t rx_packets;
	uint64_t rx_bytes;
	union {
		struct frame frame;
		struct lookup_addresses addresses; /* of EVENT_RESOLVED */
	};
};

int monitor_new(struct monitor **ret, struct network *n); /* 0 or -errno */
void monitor_free(struct monitor *m);

/*
 * Before the threads run: opens the links' sockets and makes the configured paths. Something that
 * may come later (a device, an address) is only reported; a permanent failure (a port that is
 * taken, no privilege) is -errno, logged.
 */
int monitor_prepare(struct monitor *m, nsec_t now);
/*
 * The monitor's thread: handles the events and timers that are due; returns when the next is
 * (NSEC_NEVER: when something is posted).
 */
nsec_t monitor_work(struct monitor *m, nsec_t now);
int monitor_start(struct monitor *m);
void monitor_stop(struct monitor *m);

/*
 * Any thread; false if the queue is full and the event is lost. Of what the packets of a peer bring
 * (EVENT_FRAME, EVENT_HEARD) no more than a quarter of the queue may wait.
 */
bool monitor_post(struct network *n, const struct event *e);

/* In an errand: the network's mode, scheduler, MTU or health settings have changed. */
void monitor_retune(struct monitor *m);
/* Main thread: the monitor runs fn(arg), and we wait for it; see errand.h. */
void monitor_send_errand(struct monitor *m, errand_fn fn, void *arg);
/* Main thread: has the monitor fill in the status. 0 or -ENOMEM. */
int monitor_status(struct monitor *m, struct network_status *ret);

/*
 * In an errand: takes care of a new link from now on, and opens its socket, now or when that
 * becomes possible. 0 or -errno.
 */
int monitor_add_link(struct monitor *m, struct link *l, nsec_t now);
/* In an errand: no path leads over the link any more. Its worker still runs. */
void monitor_remove_link(struct monitor *m, struct link *l);
/*
 * In errands: takes away the link's socket, but keeps its paths; and, after the worker has closed
 * it, opens one according to the present settings. `is_other_way`: see uplink_reopen().
 */
void monitor_close_link(struct monitor *m, struct link *l);
int monitor_reopen_link(struct monitor *m, struct link *l, bool is_other_way, nsec_t now);
/* In an errand: must its socket be replaced, since endpoints are of another family now? */
bool monitor_link_has_wrong_family(const struct monitor *m, const struct link *l);
/* In an errand: weight or endpoint of the link have changed. */
void monitor_configure_link(struct monitor *m, struct link *l, nsec_t now);
/* In an errand: handles what is in the queue, which may name a link that is to go. */
void monitor_take_events(struct monitor *m);

/* In an errand: the bond is new, or has been given an endpoint. */
void monitor_configure_bond(struct monitor *m, struct bond *bond);
/* In an errand: the peer's multilink setting has changed. */
void monitor_set_multilink(struct bond *bond);
/* In an errand: these bonds, which are marked as removed, have no paths any more. */
void monitor_remove_bonds(struct monitor *m, struct bond **bonds, size_t n);
