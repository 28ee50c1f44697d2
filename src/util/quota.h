/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Quota: what one of many has taken of something that all share, so that it does not take all.
 * Zero to begin with. Any thread; nothing here blocks, and it orders nothing else.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/ring.h"

/* One more, of `most`; false if that is too much. */
static inline bool quota_take(_Atomic uint32_t *taken, uint32_t most)
{
	if (atomic_fetch_add_explicit(taken, 1, memory_order_relaxed) < most)
		return true;
	atomic_fetch_sub_explicit(taken, 1, memory_order_relaxed);
	return false;
}

static inline void quota_give(_Atomic uint32_t *taken)
{
	atomic_fetch_sub_explicit(taken, 1, memory_order_relaxed);
}

/* Queues the value as one of `most`; false if that is too much, or the ring is full. */
static inline bool quota_push(_Atomic uint32_t *taken, uint32_t most, struct ring *r,
			      const void *value)
{
	if (!quota_take(taken, most))
		return false;
	if (ring_push(r, value))
		return true;
	quota_give(taken);
	return false;
}
