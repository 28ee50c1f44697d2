/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A simulated network with a clock of its own: one-way paths, each a queue of given rate and
 * length followed by a delay, with jitter, random loss and blackouts. All chance comes from
 * one seed, so that a failing run can be repeated. Single-threaded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/clock.h"

#define SIMNET_PATHS 16

struct simnet;

struct simnet_path {
	uint64_t rate_bps; /* 0: infinite */
	nsec_t queue;	   /* longest queueing time, beyond which it drops; 0: endless */
	nsec_t delay;	   /* one way */
	nsec_t jitter;	   /* up to this much is added to the delay */
	nsec_t wander;	   /* the same, but of the moment: it changes over as much time */
	double loss;	   /* 0..1 */
	bool may_reorder;  /* jitter lets packets overtake each other */
	nsec_t dead_from;  /* blackout: what is sent or on its way then is lost */
	nsec_t dead_to;
	nsec_t busy_until;			     /* kept by simnet */
	nsec_t newest_arrival;			     /* kept by simnet */
	nsec_t wander_since, wander_from, wander_to; /* kept by simnet */
};

/* What happens at `time`: an arrival, or a timer of the simulation's own. */
typedef void (*simnet_event)(struct simnet *net, void *context, uint64_t value);

struct simnet *simnet_new(uint64_t seed);
void simnet_free(struct simnet *net);

nsec_t simnet_now(const struct simnet *net);
struct simnet_path *simnet_path(struct simnet *net, unsigned path);

/* Pseudo-random: 64 bits; below `n`; true with probability `p`. */
uint64_t simnet_random(struct simnet *net);
uint64_t simnet_below(struct simnet *net, uint64_t n);
bool simnet_chance(struct simnet *net, double p);

/*
 * Sends `bytes` on the path; on arrival event(context, value) is called. False if the packet
 * is lost, which a real sender would not be told.
 */
bool simnet_send(struct simnet *net, unsigned path, size_t bytes, simnet_event event, void *context,
		 uint64_t value);
/* How long a packet sent now would queue before the path serves it. */
nsec_t simnet_backlog(const struct simnet *net, unsigned path);

void simnet_at(struct simnet *net, nsec_t time, simnet_event event, void *context, uint64_t value);

/* Runs all events up to `time`, which is then the present; false when none is left. */
bool simnet_run(struct simnet *net, nsec_t time);
