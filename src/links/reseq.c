/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * `next` walks along the line of positions: all before it is delivered or given up. Held
 * packets lie in a window of RESEQ_WINDOW slots from there on, found by position through a
 * bitmap and by age through a list.
 *
 * A packet beyond the window (the `jumper`) cannot be placed before the window has moved: it
 * waits beside it while reseq_pop() empties what lies too far behind, and then takes its slot.
 *
 * The hold time follows `longest_wait`, the decaying maximum of how long packets waited for
 * one that came after all. A packet that comes after the deadline had given it up says that
 * the true wait was longer, but not how long: the hold time then grows by half.
 */
#include "links/reseq.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#define WORD_BITS 64
#define WINDOW_WORDS (RESEQ_WINDOW / WORD_BITS)
#define NO_SLOT UINT16_MAX

/* Sessions end long before (REKEY_AFTER_MESSAGES), so that positions never wrap into others. */
#define COUNTER_LIMIT (1ULL << 60)

/* With each tick that sees a packet, what was measured loses 1/32: it halves in 2.2 s. */
#define DECAY_TICK (100 * NSEC_PER_MSEC)
#define DECAY_SHIFT 5

_Static_assert((RESEQ_WINDOW & (RESEQ_WINDOW - 1)) == 0, "slots are found by masking");
_Static_assert(RESEQ_WINDOW < NO_SLOT, "slots are numbered in 16 bits");
_Static_assert(RESEQ_ACTIVE_TIME >= RESEQ_HOLD_MAX, "who delivered a held packet is active");

char reseq_nothing[1];

struct slot {
	void *item; /* NULL: empty */
	uint64_t position;
	nsec_t arrival;
	uint16_t older, newer; /* held packets in the order of their arrival */
};

struct window {
	uint64_t is_held[WINDOW_WORDS];
	uint16_t oldest, newest;
	struct slot slots[RESEQ_WINDOW];
};

struct path {
	uint64_t highest;  /* position delivered by it */
	uint64_t disorder; /* how far it was seen to run backwards; decays */
	nsec_t last;	   /* delivery; 0: none yet */
};

struct line {
	uint32_t session;
	uint64_t base;	 /* position of its counter 0 */
	uint64_t length; /* counters beyond it would reach into the next session */
};

struct reseq {
	bool has_begun;
	struct line current, previous;
	uint64_t next;
	uint64_t highest; /* position seen */

	struct path paths[RESEQ_PATHS];
	unsigned n_paths; /* those beyond never delivered anything */

	struct window *window; /* NULL until something is held */
	size_t n_held;	       /* in the window */
	void *jumper;	       /* NULL: none */
	uint64_t jumper_position;
	nsec_t jumper_arrival;

	nsec_t longest_wait;
	nsec_t next_tick;
	nsec_t grown_at;
	nsec_t expired_at;    /* when the deadline last gave up a gap, */
	uint64_t expired_end; /* and the position behind that gap */

	/* atomic: written here, read by any thread */
	_Atomic nsec_t hold;
	struct {
		_Atomic uint64_t in_order, held, late, proven_lost, deadlines;
	} stats;
};

/* The line of positions is a circle of which only a small part is in use at a time. */
static bool is_before(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) < 0;
}

static void count(_Atomic uint64_t *counter, uint64_t n)
{
	uint64_t v = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, v + n, memory_order_relaxed);
}

static void set_longest_wait(struct reseq *r, nsec_t wait)
{
	nsec_t hold;

	r->longest_wait = nsec_min(wait, RESEQ_HOLD_MAX);
	hold = r->longest_wait + r->longest_wait / 4 + NSEC_PER_MSEC;
	hold = nsec_min(nsec_max(hold, RESEQ_HOLD_MIN), RESEQ_HOLD_MAX);
	atomic_store_explicit(&r->hold, hold, memory_order_relaxed);
}

int reseq_new(struct reseq **ret)
{
	struct reseq *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	set_longest_wait(r, (RESEQ_HOLD_START - NSEC_PER_MSEC) * 4 / 5);
	*ret = r;
	return 0;
}

void reseq_free(struct reseq *r)
{
	if (!r)
		return;
	assert(!reseq_held(r));
	free(r->window);
	free(r);
}

static void begin_session(struct reseq *r, uint32_t session)
{
	uint64_t base = r->has_begun ? r->highest + 1 + RESEQ_SESSION_SLACK : 0;

	r->previous = r->current;
	r->previous.length = base - r->previous.base;
	r->current = (struct line){session, base, COUNTER_LIMIT};
}

/* False for a packet without a place: of an older session, or beyond the slack of its own. */
static bool find_position(const struct reseq *r, uint32_t session, uint64_t counter,
			  uint64_t *ret_position)
{
	const struct line *line = session == r->current.session ? &r->current : &r->previous;

	if (session != line->session || counter >= line->length)
		return false;
	*ret_position = line->base + counter;
	return true;
}

/* How many positions from `from` up to `to` stand for packets: those of the slack do not. */
static uint64_t count_missing(const struct reseq *r, uint64_t from, uint64_t to)
{
	uint64_t slack_end = r->current.base;
	uint64_t slack_begin = slack_end - RESEQ_SESSION_SLACK;

	if (is_before(slack_begin, from))
		slack_begin = from;
	if (is_before(to, slack_end))
		slack_end = to;
	return to - from - (is_before(slack_begin, slack_end) ? slack_end - slack_begin : 0);
}

static bool is_active(const struct path *path, nsec_t now)
{
	return path->last && now - path->last < RESEQ_ACTIVE_TIME;
}

static void note_delivery(struct reseq *r, unsigned slot, uint64_t position, nsec_t now)
{
	struct path *path = &r->paths[slot];
	uint64_t backwards = path->highest - position;

	if (slot >= r->n_paths)
		r->n_paths = slot + 1;
	if (!is_active(path, now)) {
		path->highest = position;
		path->disorder = 0;
	} else if (is_before(path->highest, position)) {
		path->highest = position;
	} else if (backwards > path->disorder && backwards <= RESEQ_DISORDER_MAX) {
		path->disorder = backwards;
	}
	path->last = now;
}

/* May `path` still bring something that lies before `position`? */
static bool is_behind(const struct path *path, uint64_t position)
{
	return is_before(path->highest - path->disorder, position);
}

/* Everything missing before `position` is lost. */
static bool is_proven(const struct reseq *r, uint64_t position, nsec_t now)
{
	for (unsigned i = 0; i < r->n_paths; i++) {
		const struct path *path = &r->paths[i];

		if (is_active(path, now) && is_behind(path, position))
			return false;
	}
	return true;
}

/* When is_proven() turns true if no packet comes any more. */
static nsec_t proof_time(const struct reseq *r, uint64_t position)
{
	nsec_t time = 0;

	for (unsigned i = 0; i < r->n_paths; i++) {
		const struct path *path = &r->paths[i];

		if (path->last && is_behind(path, position))
			time = nsec_max(time, path->last + RESEQ_ACTIVE_TIME);
	}
	return time;
}

static struct slot *oldest_slot(const struct reseq *r)
{
	return &r->window->slots[r->window->oldest];
}

static void place(struct reseq *r, uint64_t position, void *item, nsec_t arrival)
{
	struct window *w = r->window;
	uint16_t index = (uint16_t)(position % RESEQ_WINDOW);

	assert(position - r->next < RESEQ_WINDOW && !w->slots[index].item);
	w->slots[index] = (struct slot){item, position, arrival, w->newest, NO_SLOT};
	if (w->newest != NO_SLOT)
		w->slots[w->newest].newer = index;
	else
		w->oldest = index;
	w->newest = index;
	w->is_held[index / WORD_BITS] |= 1ULL << index % WORD_BITS;
	r->n_held++;
}

static void *take(struct reseq *r, struct slot *slot)
{
	struct window *w = r->window;
	size_t index = (size_t)(slot - w->slots);
	void *item = slot->item;

	if (slot->older != NO_SLOT)
		w->slots[slot->older].newer = slot->newer;
	else
		w->oldest = slot->newer;
	if (slot->newer != NO_SLOT)
		w->slots[slot->newer].older = slot->older;
	else
		w->newest = slot->older;
	w->is_held[index / WORD_BITS] &= ~(1ULL << index % WORD_BITS);
	slot->item = NULL;
	r->next = slot->position + 1;
	r->n_held--;
	return item;
}

/* The held packet that is first in order; NULL if none is. */
static struct slot *first_slot(const struct reseq *r)
{
	size_t begin = r->next % RESEQ_WINDOW;
	size_t word = begin / WORD_BITS;
	uint64_t bits;

	if (!r->n_held)
		return NULL;
	bits = r->window->is_held[word] & UINT64_MAX << begin % WORD_BITS;
	while (!bits) {
		word = (word + 1) % WINDOW_WORDS;
		bits = r->window->is_held[word];
	}
	return &r->window->slots[word * WORD_BITS + (size_t)__builtin_ctzll(bits)];
}

/* Moves the window so far that the jumper fits in, once nothing is held before that. */
static void place_jumper(struct reseq *r)
{
	const struct slot *first = first_slot(r);
	uint64_t begin = r->jumper_position - RESEQ_WINDOW + 1;

	if (first && is_before(first->position, begin))
		return;
	if (is_before(r->next, begin)) {
		r->next = begin;
		count(&r->stats.deadlines, 1);
	}
	place(r, r->jumper_position, r->jumper, r->jumper_arrival);
	r->jumper = NULL;
}

static void decay(struct reseq *r, nsec_t now)
{
	if (now < r->next_tick)
		return;
	r->next_tick = now + DECAY_TICK;
	set_longest_wait(r, r->longest_wait - (r->longest_wait >> DECAY_SHIFT));
	for (unsigned i = 0; i < r->n_paths; i++) {
		uint64_t *disorder = &r->paths[i].disorder;

		*disorder -= (*disorder + (1 << DECAY_SHIFT) - 1) >> DECAY_SHIFT;
	}
}

/* The packet at `position` has come: whatever is held and lies behind it waited for it. */
static void learn_from_wait(struct reseq *r, uint64_t position, nsec_t now)
{
	nsec_t wait;

	if (!r->n_held || is_before(oldest_slot(r)->position, position))
		return;
	wait = now - oldest_slot(r)->arrival;
	if (wait > r->longest_wait)
		set_longest_wait(r, wait);
}

/* One step per hold time: the packets that follow were given up before the first step. */
static void learn_from_late(struct reseq *r, uint64_t position, nsec_t now)
{
	nsec_t hold = reseq_hold_time(r);

	if (!r->expired_at || now - r->expired_at > RESEQ_HOLD_MAX ||
	    !is_before(position, r->expired_end) || now - r->grown_at < hold)
		return;
	r->grown_at = now;
	set_longest_wait(r, hold + hold / 5); /* a quarter is added to it: 1.5 in all */
}

static enum reseq_verdict judge(struct reseq *r, uint64_t position, nsec_t now)
{
	if (is_before(position, r->next)) {
		learn_from_late(r, position, now);
		return RESEQ_LATE;
	}
	learn_from_wait(r, position, now);
	if (position != r->next) {
		if (r->n_held || !is_proven(r, position, now))
			return RESEQ_HOLD;
		count(&r->stats.proven_lost, count_missing(r, r->next, position));
	}
	r->next = position + 1;
	return RESEQ_DELIVER;
}

enum reseq_verdict reseq_offer(struct reseq *r, unsigned path, uint32_t session, uint64_t counter,
			       nsec_t now)
{
	enum reseq_verdict verdict = RESEQ_LATE;
	uint64_t position;

	assert(path < RESEQ_PATHS && !r->jumper);
	decay(r, now);
	if (!r->has_begun || session > r->current.session)
		begin_session(r, session);
	if (find_position(r, session, counter, &position)) {
		if (!r->has_begun) {
			r->has_begun = true;
			r->next = r->highest = position;
		}
		if (is_before(r->highest, position))
			r->highest = position;
		note_delivery(r, path, position, now);
		verdict = judge(r, position, now);
	}
	if (verdict == RESEQ_DELIVER)
		count(&r->stats.in_order, 1);
	else if (verdict == RESEQ_LATE)
		count(&r->stats.late, 1);
	return verdict;
}

void reseq_copy(struct reseq *r, unsigned path, uint32_t session, uint64_t counter, nsec_t now)
{
	uint64_t position;

	assert(path < RESEQ_PATHS);
	if (r->has_begun && find_position(r, session, counter, &position))
		note_delivery(r, path, position, now);
}

static bool window_alloc(struct reseq *r)
{
	if (r->window)
		return true;
	r->window = calloc(1, sizeof(*r->window));
	if (r->window)
		r->window->oldest = r->window->newest = NO_SLOT;
	return r->window != NULL;
}

bool reseq_hold(struct reseq *r, uint32_t session, uint64_t counter, void *item, nsec_t now)
{
	uint64_t position;

	assert(item);
	if (!find_position(r, session, counter, &position) || is_before(position, r->next))
		return false;
	if (!window_alloc(r)) {
		r->next = position + 1;
		return false;
	}
	count(&r->stats.held, 1);
	if (position - r->next < RESEQ_WINDOW) {
		place(r, position, item, now);
	} else {
		r->jumper = item;
		r->jumper_position = position;
		r->jumper_arrival = now;
	}
	return true;
}

/* May all that is missing before the first held packet be given up? */
static bool give_up(struct reseq *r, const struct slot *first, nsec_t now)
{
	if (is_proven(r, first->position, now)) {
		count(&r->stats.proven_lost, count_missing(r, r->next, first->position));
		return true;
	}
	if (!r->jumper) {
		if (now - oldest_slot(r)->arrival < reseq_hold_time(r))
			return false;
		r->expired_at = now;
		r->expired_end = first->position;
	}
	count(&r->stats.deadlines, 1);
	return true;
}

void *reseq_pop(struct reseq *r, nsec_t now)
{
	struct slot *first;

	if (r->jumper)
		place_jumper(r);
	first = first_slot(r);
	if (!first || (first->position != r->next && !give_up(r, first, now)))
		return NULL;
	return take(r, first);
}

void *reseq_flush(struct reseq *r)
{
	struct slot *first;

	if (r->jumper)
		place_jumper(r);
	first = first_slot(r);
	return first ? take(r, first) : NULL;
}

nsec_t reseq_deadline(const struct reseq *r)
{
	if (!r->n_held)
		return NSEC_NEVER;
	return nsec_min(oldest_slot(r)->arrival + reseq_hold_time(r),
			proof_time(r, first_slot(r)->position));
}

size_t reseq_held(const struct reseq *r)
{
	return r->n_held + (r->jumper ? 1 : 0);
}

nsec_t reseq_hold_time(const struct reseq *r)
{
	return atomic_load_explicit(&r->hold, memory_order_relaxed);
}

void reseq_stats(const struct reseq *r, struct reseq_stats *ret)
{
	ret->in_order = atomic_load_explicit(&r->stats.in_order, memory_order_relaxed);
	ret->held = atomic_load_explicit(&r->stats.held, memory_order_relaxed);
	ret->late = atomic_load_explicit(&r->stats.late, memory_order_relaxed);
	ret->proven_lost = atomic_load_explicit(&r->stats.proven_lost, memory_order_relaxed);
	ret->deadlines = atomic_load_explicit(&r->stats.deadlines, memory_order_relaxed);
}
