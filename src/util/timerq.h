/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Deadlines of one thread, earliest first (a binary heap). A timer is embedded in what it
 * belongs to, which must disarm it before it is freed. Not thread-safe; reads no clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/clock.h"

struct timer {
	nsec_t deadline;
	void (*fire)(struct timer *t, nsec_t now);
	size_t position; /* in the heap, from 1; 0 when not armed */
};

struct timerq {
	struct timer **heap;
	size_t used;
	size_t room;
	size_t wanted; /* by timerq_add_room() */
};

void timerq_init(struct timerq *q);
void timerq_deinit(struct timerq *q);

/*
 * Makes room for `timers` timers armed at once, and some more, so that arming cannot fail. 0 or
 * -ENOMEM.
 */
int timerq_reserve(struct timerq *q, size_t timers);
/* The same by users that don't know of each other: `timers` more, and later as many fewer. */
int timerq_add_room(struct timerq *q, size_t timers);
void timerq_take_room(struct timerq *q, size_t timers);

/* Arms or moves a timer (`fire` being set). */
void timerq_arm(struct timerq *q, struct timer *t, nsec_t deadline);
void timerq_disarm(struct timerq *q, struct timer *t);
static inline bool timer_is_armed(const struct timer *t)
{
	return t->position != 0;
}

/* Fires what is due, each once; returns the next deadline or NSEC_NEVER. */
nsec_t timerq_run(struct timerq *q, nsec_t now);
nsec_t timerq_next(const struct timerq *q);
