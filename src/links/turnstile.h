/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Turnstile: several workers take batches from one socket and work on them side by side; here the
 * batches get back into the order in which they were taken, since that is the order of the path.
 * Nobody waits: whoever finishes a batch before its turn leaves it here, and who finishes the one
 * whose turn it is takes along all that are next.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Batches that may be under way: more than twice as many as there can be workers. */
#define TURNSTILE_SLOTS 64

struct burst;

struct turnstile {
	/* atomic; NULL: not finished yet */
	_Alignas(64) _Atomic(struct burst *) slots[TURNSTILE_SLOTS];
	_Atomic uint64_t next_out; /* whoever has taken it */
	_Atomic bool is_taken;
	/* whoever takes from the socket */
	uint64_t next_in;
};

/* A chain whose turn has come (NULL: an empty one); never two at the same time. */
typedef void (*turnstile_fn)(void *ctx, struct burst *chain);

/* Whoever takes from the socket: how many batches are under way; fewer than the slots, always. */
static inline uint64_t turnstile_used(const struct turnstile *t)
{
	return t->next_in - atomic_load_explicit(&t->next_out, memory_order_acquire);
}

/* The same: the ticket of the batch just taken, which has to be left at the end, in any case. */
static inline uint64_t turnstile_enter(struct turnstile *t)
{
	return t->next_in++;
}

/* Any worker: its batch is finished. */
void turnstile_leave(struct turnstile *t, uint64_t ticket, struct burst *chain, turnstile_fn pass,
		     void *ctx);
