/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Path: a peer as it is reached through one link. The peer's paths, with their endpoints and
 * which of them carry data now, are an immutable snapshot (struct path_set), which only the
 * monitor thread makes and all others read by RCU. What outlives a snapshot is in struct path.
 */
#pragma once

#include <stdatomic.h>

#include "links/health.h"
#include "links/link.h"
#include "util/rcu.h"

#define PATHS_MAX 16 /* of one peer; also the slots of scheduler and resequencer */
#define PATH_SLOT_NONE 0xff

/* Counts of one direction of a path, since it was made. */
struct path_count {
	_Atomic uint64_t packets;
	_Atomic uint64_t bytes;
};

struct path {
	/* constant */
	uint32_t id;  /* ours: what we call it towards the peer; not 0 */
	uint8_t slot; /* below PATHS_MAX, unique among the peer's paths */
	struct link *link;
	/* monitor; read by any thread */
	_Atomic uint32_t epoch; /* what was learnt in another one holds no longer */
	_Atomic nsec_t rtt;	/* smoothed by the pings, 0 until measured */
	/* the TUN reader, by reports; read for status */
	_Atomic uint64_t learnt_bps; /* what it carries; 0 until measured */
	_Atomic nsec_t queue;	     /* the part of the delay that was queueing ... */
	_Atomic nsec_t queue_at;     /* ... at this time */
	_Atomic bool is_long;	     /* left out by max_spread of struct path_set */
	/* any thread that sends */
	_Alignas(64) struct path_count sent;
	/* receive lane */
	_Alignas(64) struct path_count received;
	_Atomic uint64_t duplicates;
	/* RCU */
	struct rcu_link rcu;
};

struct path_entry {
	struct path *path;
	struct endpoint to;
	uint32_t weight;
	uint32_t remote_id; /* what the peer calls this path; 0: it has not said */
	enum health_state state;
	bool is_usable; /* the link has a socket, and a carrier as far as is known */
	bool is_held;	/* it is down only because it flaps */
	bool is_poor;	/* beyond the thresholds of loss or latency */
	bool is_backup;
	uint64_t rate; /* bits per second that may be sent; 0: no cap */
};

/* Where packets with a binding go: over the first of these paths that lives, and no other. */
#define PATH_BINDINGS 33
#define PATH_BINDING_MAX 4

struct path_binding {
	uint8_t entries[PATH_BINDING_MAX]; /* paths that work, best first */
	uint8_t n;
	bool is_redundant; /* over the first two */
	bool is_strict;	   /* if none works they are dropped, else they go as all others */
};

struct path_set {
	struct path_entry entries[PATHS_MAX];
	unsigned n;
	/* The mode's choice, by index into entries, best first: data goes over these. */
	uint8_t active[PATHS_MAX];
	unsigned n_active;
	enum bond_mode mode;
	uint32_t heaviest; /* weight among all entries; 0 where weights are ranks */
	bool is_multilink; /* the peer reports what it receives */
	bool is_by_weight; /* the weights decide even so */
	nsec_t max_spread; /* one-way delays that differ by more are not striped; 0: no limit */
	struct path_binding bindings[PATH_BINDINGS]; /* by number */
	struct rcu_link rcu;
};

/*
 * Fills in the set's choice. Candidates are those of the best enum path_rank there is: better to
 * try a bad path than to drop. `is_probed` is false for a stock peer, whose paths cannot be pinged,
 * so that one which never answered is as good as another; so it is in redundant mode, where neither
 * an extra copy nor a poor path does any harm. Aggregate and redundant take all candidates,
 * failover the one with the highest weight, the first of equals.
 */
void path_set_choose(struct path_set *set, bool is_probed);

/* May data go over entries[index], if a rule wants it? `is_probed` as above. */
bool path_set_works(const struct path_set *set, unsigned index, bool is_probed);

/* The entry's weight relative to the heaviest: a first guess at what the path may carry. */
static inline double path_set_share(const struct path_set *set, const struct path_entry *e)
{
	return set->heaviest ? (double)e->weight / set->heaviest : 1;
}

/* Does data go over entries[index]? */
bool path_set_is_active(const struct path_set *set, unsigned index);

/* The slot of the path on which a datagram came, or PATH_SLOT_NONE. `set` may be NULL. */
uint8_t path_set_slot(const struct path_set *set, const struct link *link,
		      const struct addr *remote);
const struct path_entry *path_set_by_slot(const struct path_set *set, uint8_t slot);
/*
 * All paths, the most promising first: those that carry data; for a stock peer, where only its
 * answers say anything about a path, by weight. NULL: there are not so many.
 */
const struct path_entry *path_set_nth(const struct path_set *set, unsigned nth);

/*
 * Any thread, inside the read section that the entry is from: queues a burst for the path and
 * counts it. False if the link's queue is full.
 */
bool path_push(const struct path_entry *e, struct burst *b);
/* The same, but the caller must still call link_flush() for its link, in the same section. */
bool path_enqueue(const struct path_entry *e, struct burst *b);

/* How long packets wait there; 0 if the last report is so old that the queue has emptied since. */
nsec_t path_queue(const struct path *p, nsec_t now);

/*
 * Monitor: from now on the path leads elsewhere, and another epoch of it begins: a number that no
 * path has had before. What had been sent counts as never reported, and whoever learnt something of
 * the path forgets it.
 */
void path_leads_elsewhere(struct path *p, uint32_t epoch);

void path_set_retire(struct path_set *set); /* NULL is fine */
void path_retire(struct path *p);

static inline uint32_t path_epoch(const struct path *p)
{
	return atomic_load_explicit(&p->epoch, memory_order_relaxed);
}

static inline void path_count_add(struct path_count *c, uint64_t packets, uint64_t bytes)
{
	atomic_fetch_add_explicit(&c->packets, packets, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->bytes, bytes, memory_order_relaxed);
}
