/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The window of a resequencer: the packets that it holds, found by their position through a bitmap,
 * and by their age through a list. A mark takes a place for which nothing waits. All positions in
 * it lie within RESEQ_WINDOW from the first one on for which the resequencer has not settled what
 * becomes of it.
 * Owner: the resequencer. Nothing here blocks; only window_alloc() allocates. What is done for each
 * packet is inline.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "links/reseq.h"
#include "util/clock.h"

#define WINDOW_WORD_BITS 64
#define WINDOW_WORDS (RESEQ_WINDOW / WINDOW_WORD_BITS)
#define WINDOW_NO_SLOT UINT16_MAX

struct window_slot {
	void *item; /* NULL: empty */
	uint64_t position;
	nsec_t arrival;
	uint16_t older, newer; /* what waits, in the order of its arrival */
	bool is_mark;
};

struct window_slots {
	uint64_t is_taken[WINDOW_WORDS];
	uint16_t oldest, newest;
	struct window_slot at[RESEQ_WINDOW]; /* by position, modulo RESEQ_WINDOW */
};

/* Zero to begin with. */
struct window {
	struct window_slots *slots; /* NULL until something is held */
	size_t n;		    /* held, with the marks */
};

/* Must come before anything is put in. False: no memory. */
bool window_alloc(struct window *w);
/* Nothing may be held any more. */
void window_deinit(struct window *w);

/* `position` must not be taken. */
void window_put_mark(struct window *w, uint64_t position);
/* As window_take(), but a mark keeps the place. */
void *window_take_early(struct window *w, struct window_slot *slot);

/* The first position from `from` on that is taken, or free; `end` if none is before that. */
uint64_t window_next_taken(const struct window *w, uint64_t from, uint64_t end);
uint64_t window_next_free(const struct window *w, uint64_t from, uint64_t end);

static inline bool window_is_taken(const struct window *w, uint64_t position)
{
	size_t index = position % RESEQ_WINDOW;

	return w->slots->is_taken[index / WINDOW_WORD_BITS] >> index % WINDOW_WORD_BITS & 1;
}

/* The slot of a position that is taken. */
static inline struct window_slot *window_at(const struct window *w, uint64_t position)
{
	return &w->slots->at[position % RESEQ_WINDOW];
}

/* The first slot in order that is taken, from `from` on, where the window begins. NULL: none. */
static inline struct window_slot *window_first(const struct window *w, uint64_t from)
{
	size_t begin = from % RESEQ_WINDOW;
	size_t word = begin / WINDOW_WORD_BITS;
	uint64_t bits;

	if (!w->n)
		return NULL;
	bits = w->slots->is_taken[word] & UINT64_MAX << begin % WINDOW_WORD_BITS;
	while (!bits) {
		word = (word + 1) % WINDOW_WORDS;
		bits = w->slots->is_taken[word];
	}
	return &w->slots->at[word * WINDOW_WORD_BITS + (size_t)__builtin_ctzll(bits)];
}

/* Of what waits, what came first; NULL if nothing does. */
static inline const struct window_slot *window_oldest(const struct window *w)
{
	if (!w->n || w->slots->oldest == WINDOW_NO_SLOT)
		return NULL;
	return &w->slots->at[w->slots->oldest];
}

static inline struct window_slot *window_fill(struct window *w, uint64_t position, void *item)
{
	size_t index = position % RESEQ_WINDOW;
	struct window_slot *slot = &w->slots->at[index];

	assert(!slot->item);
	slot->item = item;
	slot->position = position;
	w->slots->is_taken[index / WINDOW_WORD_BITS] |= 1ULL << index % WINDOW_WORD_BITS;
	w->n++;
	return slot;
}

/* `position` must not be taken. */
static inline void window_put(struct window *w, uint64_t position, void *item, nsec_t arrival)
{
	struct window_slots *s = w->slots;
	struct window_slot *slot = window_fill(w, position, item);
	uint16_t index = (uint16_t)(slot - s->at);

	slot->arrival = arrival;
	slot->is_mark = false;
	slot->older = s->newest;
	slot->newer = WINDOW_NO_SLOT;
	if (s->newest != WINDOW_NO_SLOT)
		s->at[s->newest].newer = index;
	else
		s->oldest = index;
	s->newest = index;
}

/* The slot is none of those that wait any more. */
static inline void window_unlink(struct window_slots *s, const struct window_slot *slot)
{
	if (slot->older != WINDOW_NO_SLOT)
		s->at[slot->older].newer = slot->newer;
	else
		s->oldest = slot->newer;
	if (slot->newer != WINDOW_NO_SLOT)
		s->at[slot->newer].older = slot->older;
	else
		s->newest = slot->older;
}

/* Empties the slot; returns its item. */
static inline void *window_take(struct window *w, struct window_slot *slot)
{
	size_t index = (size_t)(slot - w->slots->at);
	void *item = slot->item;

	if (!slot->is_mark)
		window_unlink(w->slots, slot);
	w->slots->is_taken[index / WINDOW_WORD_BITS] &= ~(1ULL << index % WINDOW_WORD_BITS);
	slot->item = NULL;
	w->n--;
	return item;
}
