/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * One peer's paths as the monitor sees them: their endpoints, their health, and whether the peer
 * is a vtrunkd, which answers pings. Publishes the peer's path set. Owner: the monitor thread.
 *
 * A stock WireGuard peer cannot be pinged. Its paths count as usable unless sending fails, or a
 * handshake shows otherwise; its endpoint on a link is wherever its last authentic packet came
 * from.
 */
#pragma once

#include "dataplane/monitor.h"
#include "links/meter.h"
#include "links/path.h"
#include "links/pmtu.h"
#include "util/timerq.h"

struct probe;

struct probe_path {
	struct timer timer;
	struct probe *probe;
	struct path *path;
	struct endpoint to;		  /* remote AF_UNSPEC: not known yet */
	const struct endpoint_name *name; /* as configured; NULL: the path was learnt */
	struct health health;
	uint32_t weight;
	uint32_t remote_id; /* what the peer calls this path; 0: it has not said */
	char remote_link[FRAME_LINK_NAME_MAX + 1];
	bool is_remote_backup; /* the peer says that its link is a backup */
	bool is_poor;	       /* as quality.h says */
	bool is_held;	       /* as health_is_held() says */
	bool is_introduced;    /* the peer has had our hello on this path */
	/* of a path with a name */
	bool is_resolving;
	nsec_t looked_up_at;		/* the last time */
	nsec_t resolve_at;		/* the next, though the path works; NSEC_NEVER: not then */
	struct lookup_addresses *found; /* NULL: nothing yet */
	uint32_t n_untried;		/* of these, in this round */
	struct addr named;		/* the last that was taken from there */
	nsec_t tried_at;		/* when it was */
	struct addr left;		/* where the path led before that */
	struct pmtu pmtu;
	uint32_t route_mtu; /* what the kernel says, when it was asked last */
	struct loss_meter tx_loss, rx_loss;
	struct rate_meter tx_rate, rx_rate;
	/* a stock peer's, once a second: when something had come, */
	nsec_t heard_at;
	uint64_t heard_received; /* and then: packets that had come, */
	int64_t heard_sent;	 /* content that had been sent */
	/* its trials, while it is down for silence */
	nsec_t trial_at;   /* the next one */
	nsec_t trial_wait; /* what was waited for the last one */
	nsec_t call_at;	   /* the peer is led back from the last one; NSEC_NEVER: it has been */
};

struct probe {
	struct timer hello_timer;
	struct timer name_timer;
	struct timer recall_timer;
	struct network *network;
	struct bond *bond;
	struct timerq *timers;		     /* the monitor's */
	struct resolver **resolver;	     /* the monitor's; started with the first name */
	struct probe_path *paths[PATHS_MAX]; /* by slot */
	bool is_multilink;
	bool is_known;	   /* ... or known not to be */
	bool has_answered; /* since the last session began */
	bool is_up;	   /* can be reached, as last announced */
	unsigned hellos_left;
	nsec_t no_trial_before; /* of any path */
	nsec_t made;
	nsec_t recalled_at; /* when the supervisor was last sent its endpoints */
};

/* What the paths of all peers share. */
struct probe_context {
	struct network *network;
	struct timerq *timers;
	struct resolver **resolver;
};

/* Makes the configured paths. 0 or -ENOMEM. */
int probe_new(struct probe **ret, const struct probe_context *c, struct bond *bond, nsec_t now);
/* Makes the configured paths anew if their endpoints have changed. 0 or -ENOMEM. */
int probe_configure(struct probe *p, nsec_t now);
/* The peer's multilink setting has changed. */
void probe_set_multilink(struct probe *p, nsec_t now);
/* Unpublishes and retires all; NULL is fine. */
void probe_free(struct probe *p);

/* Is it to be used only while no other one works? */
bool probe_path_is_backup(const struct probe_path *pp);

void probe_heard(struct probe *p, const struct event *e);
/* What it says of a stock peer's paths: the one that it came from, and the others. */
void probe_handshake(struct probe *p, const struct event *e);
void probe_frame(struct probe *p, const struct event *e);
void probe_session(struct probe *p, nsec_t now);
/* False: the path is none of this peer's. */
bool probe_resolved(struct probe *p, const struct event *e);
/* Sending on that path failed. False: the path is none of this peer's. */
bool probe_path_failed(struct probe *p, uint32_t path_id, int error, nsec_t now);
/* A link has become usable (`why` NULL), or is not any more. */
void probe_link_changed(struct probe *p, struct link *l, const char *why, nsec_t now);
/* What failed on the link may work now: its paths are tried at once. */
void probe_link_retry(struct probe *p, struct link *l, nsec_t now);
/* The link's packets go another way from now on. */
void probe_link_elsewhere(struct probe *p, const struct link *l, nsec_t now);
/* A local address is gone, and must not be used as a source any more. */
void probe_source_gone(struct probe *p, struct link *l, const struct prefix *address, nsec_t now);
/*
 * Since when has there been no answer on the configured paths over that link? NSEC_NEVER: there
 * are answers, or it cannot be known. 0: there are no such paths.
 */
nsec_t probe_link_quiet_since(const struct probe *p, const struct link *l, nsec_t now);
/* Weight or endpoint of a link have changed, or it is new. */
void probe_reconfigure_link(struct probe *p, struct link *l, nsec_t now);
/* No path leads over the link any more. */
void probe_remove_link(struct probe *p, const struct link *l);
/* Once a second. */
void probe_sample(struct probe *p, nsec_t elapsed, nsec_t now);
/* Lowers nearest[], by the number of the link, to the shortest round trips of the paths that are
 * up; 0: one of them does not know. */
void probe_find_nearest(const struct probe *p, nsec_t *nearest);
/* Announces that the peer has become reachable or unreachable. To be called whenever it may have.
 */
void probe_judge_peer(struct probe *p, nsec_t now);
/* Mode, scheduler, MTU or health settings of the network have changed. */
void probe_retune(struct probe *p, nsec_t now);
/* The largest inner packet that the path carries in one piece; 0: not known. */
uint32_t probe_path_inner_mtu(const struct probe_path *pp);
