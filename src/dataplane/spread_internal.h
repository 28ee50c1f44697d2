/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The inside of spread.c, for spread_bound.c, which sends what is bound to certain paths. */
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

/* spread_send_rcu() of a burst with a binding. */
enum spread_result spread_send_bound_rcu(struct spread *s, const struct path_set *set,
					 struct burst *b, nsec_t now, nsec_t *ret_retry);
/* The path that what has this binding takes next; NULL: there is none. */
const struct path_entry *spread_bound_path(struct spread *s, const struct path_set *set,
					   uint8_t binding, nsec_t now);
