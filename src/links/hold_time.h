/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Hold time: how long a resequencer waits for a missing packet without proof that it is lost. It
 * follows the decaying maximum of how long packets waited for one that came after all. One that
 * comes after the deadline had given it up says that the true wait was longer, but not how long:
 * the hold time then grows by half.
 * Owner: the resequencer, in whose positions it counts. Pure: time comes in as an argument.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "links/fifo.h"
#include "util/clock.h"

struct hold_time {
	nsec_t longest_wait;
	nsec_t grown_at;
	struct past past;  /* of the highest position, for as long as the hold time */
	nsec_t expired_at; /* when the deadline last ran out; 0: never, and ... */
	uint64_t expired_begin, expired_end; /* ... of which positions of late */
	_Atomic nsec_t time;		     /* in force; any thread may read it */
};

void hold_time_init(struct hold_time *h);

/* The first packet has come. */
void hold_time_begin(struct hold_time *h, uint64_t position, nsec_t now);
/* What was measured loses one part in 2^shift. */
void hold_time_decay(struct hold_time *h, unsigned shift);

/* A packet has come for which others had waited so long. */
void hold_time_learn(struct hold_time *h, nsec_t wait);
/* The packet of a position that was given up has come. */
void hold_time_learn_late(struct hold_time *h, uint64_t position, nsec_t now);
/*
 * The deadline of the gap [begin, end) has passed, and with it that of all which were gaps when
 * what is overdue by now came.
 */
void hold_time_expire(struct hold_time *h, uint64_t begin, uint64_t end, nsec_t now);

static inline nsec_t hold_time_get(const struct hold_time *h)
{
	return atomic_load_explicit(&h->time, memory_order_relaxed);
}

/* The highest position by now. */
static inline void hold_time_note(struct hold_time *h, uint64_t highest, nsec_t now)
{
	past_note(&h->past, highest, hold_time_get(h), now);
}
