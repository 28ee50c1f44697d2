/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "links/hold_time.h"

#include "links/reseq.h"

static void set_longest_wait(struct hold_time *h, nsec_t wait)
{
	nsec_t time;

	h->longest_wait = nsec_min(wait, RESEQ_HOLD_MAX);
	time = h->longest_wait + h->longest_wait / 4 + NSEC_PER_MSEC;
	time = nsec_min(nsec_max(time, RESEQ_HOLD_MIN), RESEQ_HOLD_MAX);
	atomic_store_explicit(&h->time, time, memory_order_relaxed);
}

void hold_time_init(struct hold_time *h)
{
	set_longest_wait(h, (RESEQ_HOLD_START - NSEC_PER_MSEC) * 4 / 5);
}

void hold_time_begin(struct hold_time *h, uint64_t position, nsec_t now)
{
	past_set(&h->past, position, now);
}

void hold_time_decay(struct hold_time *h, unsigned shift)
{
	set_longest_wait(h, h->longest_wait - (h->longest_wait >> shift));
}

void hold_time_learn(struct hold_time *h, nsec_t wait)
{
	if (wait > h->longest_wait)
		set_longest_wait(h, wait);
}

static bool has_expired_of_late(const struct hold_time *h, nsec_t now)
{
	return h->expired_at && now - h->expired_at <= RESEQ_HOLD_MAX;
}

/* One step per hold time: the packets that follow were given up before the first step. */
void hold_time_learn_late(struct hold_time *h, uint64_t position, nsec_t now)
{
	nsec_t time = hold_time_get(h);

	if (!has_expired_of_late(h, now) || !position_is_before(position, h->expired_end) ||
	    now - h->grown_at < time)
		return;
	h->grown_at = now;
	set_longest_wait(h, time + time / 5); /* a quarter is added to it: 1.5 in all */
}

void hold_time_expire(struct hold_time *h, uint64_t begin, uint64_t end, nsec_t now)
{
	if (!has_expired_of_late(h, now))
		h->expired_begin = begin;
	h->expired_at = now;
	h->expired_end = end;
	if (position_is_before(h->expired_end, h->past.highest))
		h->expired_end = h->past.highest;
}
