/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "links/reseq_window.h"

#include <assert.h>
#include <stdlib.h>

#include "links/fifo.h"

_Static_assert((RESEQ_WINDOW & (RESEQ_WINDOW - 1)) == 0, "slots are found by masking");
_Static_assert(RESEQ_WINDOW < WINDOW_NO_SLOT, "slots are numbered in 16 bits");

bool window_alloc(struct window *w)
{
	if (w->slots)
		return true;
	w->slots = calloc(1, sizeof(*w->slots));
	if (w->slots)
		w->slots->oldest = w->slots->newest = WINDOW_NO_SLOT;
	return w->slots != NULL;
}

void window_deinit(struct window *w)
{
	assert(!w->n);
	free(w->slots);
}

void window_put_mark(struct window *w, uint64_t position)
{
	window_fill(w, position, reseq_nothing)->is_mark = true;
}

void *window_take_early(struct window *w, struct window_slot *slot)
{
	void *item = slot->item;

	window_unlink(w->slots, slot);
	slot->item = reseq_nothing;
	slot->is_mark = true;
	return item;
}

static uint64_t next_place(const struct window *w, uint64_t from, uint64_t end, bool wants_taken)
{
	for (; position_is_before(from, end); from++) {
		size_t index = from % RESEQ_WINDOW;
		uint64_t word = w->slots->is_taken[index / WINDOW_WORD_BITS];
		uint64_t bits = (wants_taken ? word : ~word) >> index % WINDOW_WORD_BITS;

		if (bits) {
			from += (uint64_t)__builtin_ctzll(bits);
			break;
		}
		from += WINDOW_WORD_BITS - 1 - index % WINDOW_WORD_BITS;
	}
	return position_is_before(from, end) ? from : end;
}

uint64_t window_next_taken(const struct window *w, uint64_t from, uint64_t end)
{
	return next_place(w, from, end, true);
}

uint64_t window_next_free(const struct window *w, uint64_t from, uint64_t end)
{
	return next_place(w, from, end, false);
}
