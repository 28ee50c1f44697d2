/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Receive reports to a peer: what data has come over each path, told a few hundred times a
 * second while it comes, so that the peer can control its paths (links/pathctl.h).
 * Owner: whoever holds the peer's receive lane.
 */
#pragma once

#include "links/path.h"

struct bond;

/* Between two reports; what has come in the meantime is told after it. */
#define REPORT_INTERVAL (5 * NSEC_PER_MSEC)
/*
 * After the first that is new: what makes it come, and its answer, need the CPU more. (Wake-ups are
 * what a small packet's time goes into.)
 */
#define REPORT_DELAY (2 * NSEC_PER_MSEC)
/* So many are told of at once: a fast path's sender waits for it (PATHCTL_FAST_BYTES_SHARED). */
#define REPORT_BYTES (64 << 10)
/* A path that brought something so long ago still works, as far as we know. */
#define REPORT_PATH_AGE (100 * NSEC_PER_MSEC)
/*
 * One report in so many goes over all active paths, as one that brings may be unable to take; but
 * none within REPORT_INTERVAL of another such.
 */
#define REPORT_TURNS 4

struct reporter {
	struct {
		uint64_t counter, bytes;
		nsec_t arrival;
		uint32_t session;
		bool is_new;
	} marks[PATHS_MAX]; /* by path slot */
	nsec_t next;
	uint64_t new_bytes;  /* since the last report */
	unsigned turns_left; /* that go over one path, before all are taken */
	nsec_t all_at;	     /* nor are all taken sooner */
	bool has_news;
};

/* `bytes` more data has come over the path, last the packet of that session and counter. */
void reporter_note(struct reporter *r, uint8_t slot, uint32_t session, uint64_t counter,
		   uint64_t bytes, nsec_t arrival);
/* When reporter_send_rcu() has something to do; NSEC_NEVER. */
nsec_t reporter_deadline(const struct reporter *r);
/* A report is due at `now`: is it one that goes over all paths? */
bool reporter_takes_all(struct reporter *r, nsec_t now);
/* Sends what is new, if it is time. */
void reporter_send_rcu(struct reporter *r, struct bond *bond, nsec_t now);
