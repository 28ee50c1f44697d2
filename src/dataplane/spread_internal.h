/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * What the parts of spread.h share: spread.c sends, and has the state of the paths; the path is
 * chosen by spread_choice.c or, for what is bound to certain paths, by spread_bound.c;
 * spread_resend.c sends again.
 */
#pragma once

#include "dataplane/spread.h"

/* Does what is sent follow the reports of the peer? */
bool spread_is_controlled(const struct path_set *set);
/* The control of a path as it leads now. NULL without memory for it: it then goes uncontrolled. */
struct pathctl *spread_control(struct spread *s, const struct path_set *set,
			       const struct path_entry *e, nsec_t now);
bool spread_is_silent(struct spread *s, const struct path_set *set, const struct path_entry *e,
		      nsec_t now);
/* Gives it to the path, whose control (NULL: it has none) is told. False: its link is full. */
bool spread_push(struct spread *s, struct pathctl *c, const struct path_entry *e, struct burst *b,
		 nsec_t now);
/* Sends the burst over a silent path, if that has not been tried for a while. */
bool spread_probe(struct spread *s, const struct path_set *set, const struct path_entry *e,
		  struct burst *b, nsec_t now);
/* The round trip of the path that the entry is of, as the monitor has it; 0: not known. */
static inline nsec_t spread_rtt(const struct path_set *set, unsigned entry)
{
	return atomic_load_explicit(&set->entries[entry].path->rtt, memory_order_relaxed);
}

/*
 * Is it longer than the quickest by more than max_spread (one way), so that it stands by? Then it
 * comes back at a part of that: a flow suffers each time its path becomes so much longer.
 */
#define SPREAD_RETURN 0.8
static inline bool spread_is_long(const struct path_set *set, unsigned entry, nsec_t least)
{
	bool is_long =
		atomic_load_explicit(&set->entries[entry].path->is_long, memory_order_relaxed);
	double limit = (double)set->max_spread * (is_long ? SPREAD_RETURN : 1);

	return set->max_spread && (double)(spread_rtt(set, entry) - least) / 2 > limit;
}

/* When to try again a path that is ready then; NSEC_NEVER: a report will tell. */
nsec_t spread_retry_at(nsec_t ready, nsec_t now);

/* Paths of which one will do, of the best kind there is. */
struct candidates {
	uint8_t entries[PATHS_MAX];
	unsigned n;
	enum { LIVELY_ACTIVE, LIVELY_STANDBY, SILENT, NO_CANDIDATE } kind;
};

/*
 * All that a burst may take. If no active path reports any more, any other that is up will do; else
 * the silent ones.
 */
void spread_find_candidates(struct spread *s, const struct path_set *set, nsec_t now,
			    struct candidates *ret);

struct choice {
	const struct path_entry *entry; /* NULL: none may take it now */
	struct pathctl *control;
	nsec_t arrival;
	nsec_t better; /* arrival on a path that is worth waiting for */
	nsec_t retry;
	uint32_t crowded; /* slots of paths that were left out because others fill them */
	double standing;  /* pathctl_standing() of all */
};

/*
 * The path on which the burst arrives first, of those that may take it now. What is urgent waits
 * for no path's pace: it is little, and charged to the path all the same. And nothing overflows to
 * a longer path while the shorter one is not full but only not known yet.
 */
void spread_choose(struct spread *s, const struct path_set *set, const struct candidates *from,
		   const struct burst *b, nsec_t now, struct choice *best);

/* The burst has been given to this path, and to no other before: it may have to be sent again. */
void spread_keep(struct spread *s, const struct path_set *set, const struct path_entry *e,
		 struct burst *b, nsec_t now);
/* How long it takes of late until the peer asks for what it misses; 0: it has not done so. */
nsec_t spread_repair_wait(const struct spread *s, nsec_t now);

/* spread_send_rcu() of a burst with a binding. */
enum spread_result spread_send_bound_rcu(struct spread *s, const struct path_set *set,
					 struct burst *b, nsec_t now, nsec_t *ret_retry);
/* The path that what has this binding takes next; NULL: there is none. */
const struct path_entry *spread_bound_path(struct spread *s, const struct path_set *set,
					   uint8_t binding, nsec_t now);
