/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Share: how several readers use the outlet of one peer. They seal and send, which takes most of
 * the time, in parallel; whatever must be decided in order (what leaves the flow queues, with which
 * counters, over which path) is done under a lock that is held only for this. Between taking its
 * counters and the choice of its path a burst is sealed without the lock; the turnstile puts the
 * bursts back in the order of their counters. Not used if there is only one reader.
 */
#pragma once

#include <pthread.h>

#include "dataplane/spread.h"
#include "links/turnstile.h"

struct outlet;
struct reader;

struct share {
	/* Guards all of the outlet that changes, but for the readers' places. */
	pthread_mutex_t lock;
	pthread_cond_t has_passed; /* there is room in the turnstile again */
	unsigned n_readers;	   /* constant */
	/* whoever has the lock */
	struct turnstile order;
	struct unsent unsent;
	struct reader *keeper; /* looks at the outlet when its time has come; NULL: no need */
	nsec_t keeper_at;
	/* atomic: written by whoever has the lock */
	_Atomic bool is_backed_up;	/* something waits that must not be overtaken */
	_Atomic uint64_t waiting_bound; /* the same of what is bound, a bit for each binding */
	_Atomic bool is_full;
	_Atomic uint64_t burst_bytes;
	_Atomic uint32_t bound_burst_bytes[PATH_BINDINGS]; /* 0: not known yet */
};

/* Without the lock. */
static inline bool share_is_backed_up(const struct share *s)
{
	return atomic_load_explicit(&s->is_backed_up, memory_order_relaxed) ||
	       atomic_load_explicit(&s->waiting_bound, memory_order_relaxed);
}

int share_new(struct share **ret, unsigned n_readers); /* 0 or -ENOMEM */
void share_free(struct share *s);		       /* NULL is fine */

/* How many bytes the next burst of that binding may have; UINT64_MAX if it does not matter. */
uint64_t share_burst_bytes(const struct share *s, uint8_t binding);

/*
 * Inside a read section, in both: with a share, takes the lock; tells links and readers what there
 * is for them after it has been let go.
 */
void share_lock_rcu(struct outlet *o, struct reader *r);
void share_unlock_rcu(struct outlet *o, struct reader *r);

/* Inside a read section: counters for a gathered burst, its sealing, and its turn at a path. */
void share_send_rcu(struct outlet *o, struct reader *r, struct burst *b);
/*
 * Sends what waits, as far as there is room. Returns when this reader has to look again;
 * NSEC_NEVER: there is nothing left, or another one will.
 */
nsec_t share_progress(struct outlet *o, struct reader *r);
