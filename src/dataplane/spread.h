/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Spread: which path the next burst to a peer takes. To another vtrunkd: the path on which it
 * would arrive first, of those whose control (links/pathctl.h) allows it now. To a stock peer,
 * and with scheduler = weight: by weight. Paths that have gone silent get only copies of what goes
 * over the others, which show when they are back; what was outstanding on them is sent again
 * (dataplane/resend.h). In mode auto, urgent packets also go over the second best path
 * (dataplane/urgent.h). Packets bound to certain paths go only there (spread_bound.c).
 * Owner: the TUN reader.
 */
#pragma once

#include "dataplane/resend.h"
#include "dataplane/urgent.h"
#include "links/path.h"
#include "links/pathctl.h"
#include "links/sched.h"
#include "wire/frame.h"

/* So long after a small packet another one is expected, which is not to wait long. */
#define SPREAD_SMALL_MEMORY (NSEC_PER_SEC / 4)

/* Links with something queued, for which link_flush() has not been called yet. */
struct unsent {
	struct link *links[PATHS_MAX];
	unsigned n;
};

/* The last burst of a binding. */
struct departure {
	uint8_t slot; /* of its path; PATH_SLOT_NONE */
	bool has_arrival;
	nsec_t arrival, at;
};

struct spread {
	struct unsent *unsent; /* NULL: links are flushed at once */
	struct sched sched;
	struct pathctl *controls[PATHS_MAX]; /* by slot; made with the first burst */
	nsec_t next_probe[PATHS_MAX];	     /* of a silent path */
	_Atomic nsec_t small_at; /* when a small packet was last to be sent; any reader */
	struct departure bound[PATH_BINDINGS];
	struct resend resend;
	nsec_t repair_age, repair_at;	 /* how long until one is asked for; when the last was */
	_Atomic(struct urgent *) urgent; /* made with the first copy; read for status */
};

enum spread_result {
	SPREAD_SENT,
	SPREAD_FULL,	/* no path may take it now */
	SPREAD_NO_PATH, /* nowhere to send to */
};

/*
 * `sent` are cells of STORE_CELL_BYTES to keep in what may have to be sent again; NULL: nothing.
 * 0 or -ENOMEM.
 */
int spread_new(struct spread **ret, struct pool *sent);
void spread_free(struct spread *s); /* NULL is fine */

/*
 * Inside a read section: sends a sealed burst over the path or paths of the mode. On SPREAD_FULL,
 * `ret_retry` is when to try again at the latest, unless a link or a report wakes us before.
 */
enum spread_result spread_send_rcu(struct spread *s, const struct path_set *set, struct burst *b,
				   nsec_t now, nsec_t *ret_retry);
/*
 * Inside a read section: is that packet, the peer's next, urgent? Its burst then has urgent ones
 * only. `flows` is what is known of its flows: NULL to begin with, to be freed at the end.
 */
bool spread_is_urgent_rcu(const struct path_set *set, struct sparse **flows, const uint8_t *packet,
			  size_t len, nsec_t now);
/*
 * Inside a read section: `binding`, or BINDING_NONE if there is no path for it and its packets are
 * then to go like all others.
 */
uint8_t spread_binding_rcu(const struct path_set *set, uint8_t binding);
/* The peer asks for packets that a path lost; true if the request was noted. */
bool spread_want(struct spread *s, const struct frame_repair *repair);
/*
 * Inside a read section: sends again, in bursts of that pool, what was outstanding on dead paths
 * and what the peer has asked for. False: there is more than the paths may take now, see
 * `ret_retry`.
 */
bool spread_resend_rcu(struct spread *s, const struct path_set *set, struct pool *bursts,
		       nsec_t now, nsec_t *ret_retry);
/* When spread_resend_rcu() may find something without a report or a request; NSEC_NEVER. */
nsec_t spread_deadline(const struct spread *s, nsec_t now);
/* How large a burst of that binding should be at most; UINT64_MAX if it does not matter. */
uint64_t spread_burst_bytes_rcu(struct spread *s, const struct path_set *set, uint8_t binding,
				nsec_t now);
/*
 * The longest round trip over the paths, including the queues there and the wait for repairs; 0 if
 * that is not known. `ret_fast`: are they fast, all together?
 */
nsec_t spread_round_trip_rcu(struct spread *s, const struct path_set *set, uint8_t binding,
			     nsec_t now, bool *ret_fast);
/* Inside a read section: link_want_room() for the links of the active paths. */
void spread_want_room_rcu(const struct path_set *set);
/* A report about one of our paths has come. */
void spread_report_rcu(struct spread *s, const struct path_set *set,
		       const struct frame_report *report, nsec_t now);
