/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "links/turnstile.h"

#include <stddef.h>

#include "links/burst.h"

/* A batch of which nothing is left; only its address counts. */
static struct burst nothing;

static struct burst *take_next(struct turnstile *t)
{
	uint64_t next = atomic_load_explicit(&t->next_out, memory_order_relaxed);

	/* acquire: what its worker did to it */
	return atomic_exchange_explicit(&t->slots[next % TURNSTILE_SLOTS], NULL,
					memory_order_acquire);
}

static void pass_all(struct turnstile *t, turnstile_fn pass, void *ctx)
{
	struct burst *chain;

	while ((chain = take_next(t))) {
		pass(ctx, chain == &nothing ? NULL : chain);
		/* release: the slot is empty */
		atomic_fetch_add_explicit(&t->next_out, 1, memory_order_release);
	}
}

static bool is_next_there(struct turnstile *t)
{
	uint64_t next = atomic_load_explicit(&t->next_out, memory_order_relaxed);

	return atomic_load_explicit(&t->slots[next % TURNSTILE_SLOTS], memory_order_relaxed);
}

/*
 * Whoever leaves a batch whose turn has come, and finds somebody passing, may go: that one looks
 * again after it has let go. The fences order "leave, then look at next_out and is_taken" against
 * "move next_out, let go, then look at the slot".
 */
void turnstile_leave(struct turnstile *t, uint64_t ticket, struct burst *chain, turnstile_fn pass,
		     void *ctx)
{
	atomic_store_explicit(&t->slots[ticket % TURNSTILE_SLOTS], chain ? chain : &nothing,
			      memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
	while (is_next_there(t)) {
		if (atomic_exchange_explicit(&t->is_taken, true, memory_order_acquire))
			return;
		pass_all(t, pass, ctx);
		atomic_store_explicit(&t->is_taken, false, memory_order_release);
		atomic_thread_fence(memory_order_seq_cst);
	}
}
