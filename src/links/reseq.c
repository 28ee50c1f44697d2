/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * `next` walks along the line of positions: all before it is delivered or given up. Held
 * packets lie in the window, which begins there.
 *
 * A packet beyond the window (the `jumper`) cannot be placed before the window has moved: it
 * waits beside it while reseq_pop() empties what lies too far behind, and then takes its slot.
 */
#include "links/reseq.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "links/fifo.h"
#include "links/hold_time.h"
#include "links/repair.h"
#include "links/reseq_window.h"

/* Sessions end long before (REKEY_AFTER_MESSAGES), so that positions never wrap into others. */
#define COUNTER_LIMIT (1ULL << 60)

/* With each tick that sees a packet, what was measured loses 1/32: it halves in 2.2 s. */
#define DECAY_TICK (100 * NSEC_PER_MSEC)
#define DECAY_SHIFT 5

_Static_assert(FIFO_ACTIVE_TIME >= RESEQ_HOLD_MAX, "who delivered a held packet is active");
_Static_assert(FIFO_PATHS >= RESEQ_PATHS, "each slot has its place");

char reseq_nothing[1];

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

	struct fifo fifo; /* what the paths have delivered */

	struct window window;
	void *jumper; /* NULL: none */
	uint64_t jumper_position;
	nsec_t jumper_arrival;

	struct {
		uint64_t begin, end;
	} apart[RESEQ_APART]; /* the newest at n_apart - 1, in turn */
	unsigned n_apart;

	uint64_t hurried[RESEQ_HURRIED]; /* positions, in no order; some have left by now */
	unsigned n_hurried;

	bool may_repair;
	struct repair repair;
	uint64_t asked_end; /* what is missing before it has been asked for, or cannot be */

	struct hold_time hold_time;
	nsec_t next_tick;

	/* atomic: written here, read by any thread */
	struct {
		_Atomic uint64_t in_order, held, late, proven_lost, deadlines;
		_Atomic uint64_t asked, repaired;
	} stats;
};

static void count(_Atomic uint64_t *counter, uint64_t n)
{
	uint64_t v = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, v + n, memory_order_relaxed);
}

int reseq_new(struct reseq **ret)
{
	struct reseq *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	hold_time_init(&r->hold_time);
	repair_init(&r->repair);
	*ret = r;
	return 0;
}

void reseq_free(struct reseq *r)
{
	if (!r)
		return;
	assert(!reseq_held(r));
	window_deinit(&r->window);
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

	if (position_is_before(slack_begin, from))
		slack_begin = from;
	if (position_is_before(to, slack_end))
		slack_end = to;
	return to - from -
	       (position_is_before(slack_begin, slack_end) ? slack_end - slack_begin : 0);
}

static bool is_in_window(const struct reseq *r, uint64_t position)
{
	return position - r->next < RESEQ_WINDOW;
}

/* Moves the window so far that the jumper fits in, once nothing is held before that. */
static void place_jumper(struct reseq *r)
{
	const struct window_slot *first = window_first(&r->window, r->next);
	uint64_t begin = r->jumper_position - RESEQ_WINDOW + 1;

	if (first && position_is_before(first->position, begin))
		return;
	if (position_is_before(r->next, begin)) {
		r->next = begin;
		repair_give_up(&r->repair, begin, r->jumper_arrival);
		count(&r->stats.deadlines, 1);
	}
	window_put(&r->window, r->jumper_position, r->jumper, r->jumper_arrival);
	r->jumper = NULL;
}

static void decay(struct reseq *r, nsec_t now)
{
	if (now < r->next_tick)
		return;
	r->next_tick = now + DECAY_TICK;
	repair_decay(&r->repair);
	hold_time_decay(&r->hold_time, DECAY_SHIFT);
	fifo_decay(&r->fifo, DECAY_SHIFT);
}

/* The packet at `position` has come: whatever is held and lies behind it waited for it. */
static void learn_from_wait(struct reseq *r, uint64_t position, nsec_t now)
{
	const struct window_slot *oldest = window_oldest(&r->window);

	if (oldest && !position_is_before(oldest->position, position))
		hold_time_learn(&r->hold_time, now - oldest->arrival);
}

static bool can_repair(const struct reseq *r, nsec_t now)
{
	return r->may_repair && repair_is_on(&r->repair, now);
}

static enum reseq_verdict judge(struct reseq *r, uint64_t position, bool was_asked, nsec_t now)
{
	if (position_is_before(position, r->next)) {
		if (!repair_late(&r->repair, position, now))
			hold_time_learn_late(&r->hold_time, position, now);
		return RESEQ_LATE;
	}
	if (!was_asked)
		learn_from_wait(r, position, now);
	if (position != r->next) {
		if (r->window.n || can_repair(r, now) || !fifo_has_passed(&r->fifo, position, now))
			return RESEQ_HOLD;
		count(&r->stats.proven_lost, count_missing(r, r->next, position));
	}
	r->next = position + 1;
	return RESEQ_DELIVER;
}

/*
 * Positions still ahead are held, as nothing, since they were told, and until they come. Of those
 * behind, the newest is the likeliest.
 */
static bool is_apart(const struct reseq *r, uint64_t position)
{
	unsigned n = r->n_apart < RESEQ_APART ? r->n_apart : RESEQ_APART;

	if (r->has_begun && !position_is_before(position, r->next))
		return r->window.n && is_in_window(r, position) &&
		       window_is_taken(&r->window, position);
	for (unsigned i = 1; i <= n; i++) {
		unsigned at = (r->n_apart - i) % RESEQ_APART;

		if (!position_is_before(position, r->apart[at].begin) &&
		    position_is_before(position, r->apart[at].end))
			return true;
	}
	return false;
}

enum reseq_verdict reseq_offer(struct reseq *r, unsigned path, uint32_t session, uint64_t counter,
			       nsec_t now)
{
	enum reseq_verdict verdict = RESEQ_LATE;
	bool was_asked;
	uint64_t position;

	assert(path < RESEQ_PATHS && !r->jumper);
	decay(r, now);
	if (!r->has_begun || session > r->current.session)
		begin_session(r, session);
	if (find_position(r, session, counter, &position)) {
		if (is_apart(r, position))
			return RESEQ_LATE;
		if (!r->has_begun) {
			r->has_begun = true;
			r->next = r->highest = r->asked_end = position;
			hold_time_begin(&r->hold_time, position, now);
		}
		if (position_is_before(r->highest, position))
			r->highest = position;
		hold_time_note(&r->hold_time, r->highest, now);
		was_asked = repair_filled(&r->repair, position, now);
		if (was_asked)
			count(&r->stats.repaired, 1);
		fifo_note(&r->fifo, path, position, was_asked, now);
		verdict = judge(r, position, was_asked, now);
	}
	if (verdict == RESEQ_DELIVER)
		count(&r->stats.in_order, 1);
	else if (verdict == RESEQ_LATE)
		count(&r->stats.late, 1);
	return verdict;
}

/* As far as it reaches into the window. */
static void mark_range(struct reseq *r, uint64_t begin, uint64_t end, nsec_t now)
{
	if (position_is_before(begin, r->next))
		begin = r->next;
	if (position_is_before(r->next + RESEQ_WINDOW, end))
		end = r->next + RESEQ_WINDOW;
	if (!position_is_before(begin, end) || !window_alloc(&r->window))
		return;
	while ((begin = window_next_free(&r->window, begin, end)) != end) {
		repair_filled(&r->repair, begin, now);
		window_put_mark(&r->window, begin);
	}
}

void reseq_apart(struct reseq *r, uint32_t session, uint64_t counter, uint32_t n, nsec_t now)
{
	uint64_t position;

	if (session > r->current.session)
		begin_session(r, session);
	if (n > RESEQ_WINDOW || !find_position(r, session, counter, &position))
		return;
	r->apart[r->n_apart % RESEQ_APART].begin = position;
	r->apart[r->n_apart++ % RESEQ_APART].end = position + n;
	if (r->has_begun)
		mark_range(r, position, position + n, now);
}

void reseq_copy(struct reseq *r, unsigned path, uint32_t session, uint64_t counter, nsec_t now)
{
	uint64_t position;

	assert(path < RESEQ_PATHS);
	if (!r->has_begun || !find_position(r, session, counter, &position))
		return;
	fifo_note(&r->fifo, path, position, true, now);
	/* What came twice may have been asked for too early. */
	if (!position_is_before(position, r->hold_time.expired_begin))
		hold_time_learn_late(&r->hold_time, position, now);
}

bool reseq_hold(struct reseq *r, uint32_t session, uint64_t counter, void *item, nsec_t now)
{
	uint64_t position;

	assert(item);
	if (!find_position(r, session, counter, &position) || position_is_before(position, r->next))
		return false;
	if (!window_alloc(&r->window)) {
		r->next = position + 1;
		return false;
	}
	count(&r->stats.held, 1);
	if (is_in_window(r, position)) {
		window_put(&r->window, position, item, now);
	} else {
		r->jumper = item;
		r->jumper_position = position;
		r->jumper_arrival = now;
	}
	return true;
}

/* Puts all that is missing before `end` on the list of what to ask for, as far as it has room. */
static void ask_until(struct reseq *r, uint64_t end, bool is_lost, nsec_t now)
{
	uint64_t held;

	if (position_is_before(r->asked_end, r->next))
		r->asked_end = r->next;
	/* Not what lies before the session, which has no counters. */
	if (position_is_before(r->asked_end, r->current.base))
		r->asked_end = r->current.base;
	while (position_is_before(r->asked_end, end)) {
		held = window_next_taken(&r->window, r->asked_end, end);
		if (held != r->asked_end) {
			if (!repair_add(&r->repair, r->asked_end, held, is_lost, now))
				return;
			count(&r->stats.asked, held - r->asked_end);
		}
		r->asked_end = window_next_free(&r->window, held, end);
	}
}

/* The first gap is lost, or has been waited for long enough: is it worth waiting for its repair? */
static bool waits_for_repair(struct reseq *r, const struct window_slot *first, bool is_lost,
			     nsec_t now)
{
	const struct window_slot *oldest = window_oldest(&r->window);

	if (r->jumper)
		return false;
	if (can_repair(r, now))
		ask_until(r,
			  is_lost ? fifo_proven_end(&r->fifo, r->highest + 1, now)
				  : r->hold_time.expired_end,
			  is_lost, now);
	return now < repair_deadline(&r->repair, first->position) &&
	       (!oldest || now - oldest->arrival < RESEQ_HOLD_MAX);
}

/* May all that is missing before the first held packet be given up? */
static bool give_up(struct reseq *r, const struct window_slot *first, nsec_t now)
{
	const struct window_slot *oldest = window_oldest(&r->window);
	bool is_lost = fifo_has_passed(&r->fifo, first->position, now);
	bool is_overdue = oldest && now - oldest->arrival >= reseq_hold_time(r);

	if (!is_lost && !is_overdue && !r->jumper && !repair_deadline(&r->repair, first->position))
		return false;
	if (!is_lost && is_overdue)
		hold_time_expire(&r->hold_time, r->next, first->position, now);
	if (!oldest && !is_lost && !r->jumper)
		return false; /* nobody waits */
	if (waits_for_repair(r, first, is_lost, now))
		return false;
	repair_give_up(&r->repair, first->position, now);
	if (is_lost)
		count(&r->stats.proven_lost, count_missing(r, r->next, first->position));
	else
		count(&r->stats.deadlines, 1);
	return true;
}

void reseq_allow_repair(struct reseq *r, bool is_allowed, nsec_t round_trip)
{
	r->may_repair = is_allowed;
	r->repair.round_trip = round_trip;
}

bool reseq_may_repair(const struct reseq *r)
{
	return r->may_repair;
}

unsigned reseq_ask(struct reseq *r, nsec_t now, struct reseq_gap *ret, unsigned max)
{
	const struct repair_gap *g;
	unsigned at = 0;
	unsigned n = 0;

	if (repair_is_empty(&r->repair) || !repair_may_ask(&r->repair, now))
		return 0;
	while (n < max && (g = repair_next(&r->repair, &at, now))) {
		if (position_is_before(g->begin, r->current.base))
			continue; /* of the session before: too late for that */
		ret[n++] = (struct reseq_gap){r->current.session, g->begin - r->current.base,
					      (uint32_t)(g->end - g->begin)};
	}
	return n;
}

bool reseq_pass(struct reseq *r, uint32_t session, uint64_t counter)
{
	uint64_t position;

	if (!find_position(r, session, counter, &position) || !is_in_window(r, position) ||
	    !window_alloc(&r->window) || window_is_taken(&r->window, position))
		return false;
	window_put_mark(&r->window, position);
	return true;
}

void reseq_hurry(struct reseq *r, uint32_t session, uint64_t counter)
{
	uint64_t position;

	if (r->n_hurried < RESEQ_HURRIED && find_position(r, session, counter, &position) &&
	    !position_is_before(position, r->next))
		r->hurried[r->n_hurried++] = position;
}

/* Those that have left in their turn are forgotten; of the others, the first below `end`. */
static struct window_slot *find_hurried(struct reseq *r, uint64_t end)
{
	unsigned n = 0;
	unsigned best = RESEQ_HURRIED;

	for (unsigned i = 0; i < r->n_hurried; i++) {
		uint64_t position = r->hurried[i];

		if (position_is_before(position, r->next))
			continue;
		if (position_is_before(position, end) &&
		    (best == RESEQ_HURRIED || position_is_before(position, r->hurried[best])))
			best = n;
		r->hurried[n++] = position;
	}
	r->n_hurried = n;
	if (best == RESEQ_HURRIED)
		return NULL;
	end = r->hurried[best];
	r->hurried[best] = r->hurried[--r->n_hurried];
	return window_at(&r->window, end);
}

/* A packet that does not wait for what is being repaired; its place is kept by a mark. */
static void *pop_hurried(struct reseq *r, nsec_t now)
{
	struct window_slot *slot =
		r->n_hurried ? find_hurried(r, fifo_proven_end(&r->fifo, r->highest + 1, now))
			     : NULL;

	return slot && !slot->is_mark ? window_take_early(&r->window, slot) : NULL;
}

static void *take(struct reseq *r, struct window_slot *first)
{
	r->next = first->position + 1;
	return window_take(&r->window, first);
}

void *reseq_pop(struct reseq *r, nsec_t now)
{
	struct window_slot *first;

	if (r->jumper)
		place_jumper(r);
	first = window_first(&r->window, r->next);
	if (!first || (first->position != r->next && !give_up(r, first, now)))
		return pop_hurried(r, now);
	return take(r, first);
}

void *reseq_flush(struct reseq *r)
{
	struct window_slot *first;

	if (r->jumper)
		place_jumper(r);
	first = window_first(&r->window, r->next);
	if (!first)
		return NULL;
	repair_give_up(&r->repair, first->position, first->arrival);
	return take(r, first);
}

nsec_t reseq_deadline(const struct reseq *r)
{
	const struct window_slot *oldest = window_oldest(&r->window);
	nsec_t repair = r->window.n ? repair_deadline(&r->repair,
						      window_first(&r->window, r->next)->position)
				    : 0;

	if (repair && oldest)
		repair = nsec_min(repair, oldest->arrival + RESEQ_HOLD_MAX);
	if (repair)
		return nsec_min(repair, repair_ask_at(&r->repair));
	if (!oldest)
		return NSEC_NEVER;
	return nsec_min(oldest->arrival + reseq_hold_time(r),
			fifo_proof_time(&r->fifo, window_first(&r->window, r->next)->position));
}

size_t reseq_held(const struct reseq *r)
{
	return r->window.n + (r->jumper ? 1 : 0);
}

nsec_t reseq_hold_time(const struct reseq *r)
{
	return hold_time_get(&r->hold_time);
}

void reseq_stats(const struct reseq *r, struct reseq_stats *ret)
{
	ret->in_order = atomic_load_explicit(&r->stats.in_order, memory_order_relaxed);
	ret->held = atomic_load_explicit(&r->stats.held, memory_order_relaxed);
	ret->late = atomic_load_explicit(&r->stats.late, memory_order_relaxed);
	ret->proven_lost = atomic_load_explicit(&r->stats.proven_lost, memory_order_relaxed);
	ret->asked = atomic_load_explicit(&r->stats.asked, memory_order_relaxed);
	ret->repaired = atomic_load_explicit(&r->stats.repaired, memory_order_relaxed);
	ret->deadlines = atomic_load_explicit(&r->stats.deadlines, memory_order_relaxed);
}
