/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include <stdio.h>

#include "links/fifo.h"
#include "links/reseq.h"

#define MSEC NSEC_PER_MSEC

/* Packets are named by session and counter; what is delivered is written down in order. */
static struct reseq *reseq;
static nsec_t now;
static char log_text[4096];
static size_t log_len;
static uint64_t names[2 * RESEQ_WINDOW]; /* in turn: more than can be held */
static size_t n_names;

static void setup(void)
{
	ck_assert_int_eq(reseq_new(&reseq), 0);
	now = NSEC_PER_SEC;
	log_len = 0;
	log_text[0] = '\0';
	n_names = 0;
}

static void teardown(void)
{
	while (reseq_flush(reseq))
		;
	reseq_free(reseq);
}

static void delivered(const uint64_t *name)
{
	int n;

	if ((const void *)name == reseq_nothing)
		return;
	n = snprintf(log_text + log_len, sizeof(log_text) - log_len, "%lu ", (unsigned long)*name);

	if (n > 0 && log_len + (size_t)n < sizeof(log_text))
		log_len += (size_t)n;
}

static void pop_all(void)
{
	const uint64_t *name;

	while ((name = reseq_pop(reseq, now)))
		delivered(name);
}

static enum reseq_verdict come(unsigned path, uint32_t session, uint64_t counter)
{
	enum reseq_verdict verdict = reseq_offer(reseq, path, session, counter, now);
	uint64_t *name = &names[n_names++ % (2 * RESEQ_WINDOW)];

	*name = counter;
	if (verdict == RESEQ_HOLD)
		ck_assert(reseq_hold(reseq, session, counter, name, now));
	else
		delivered(name);
	pop_all();
	return verdict;
}

static void expect(const char *text)
{
	ck_assert_str_eq(log_text, text);
	log_len = 0;
	log_text[0] = '\0';
}

static struct reseq_stats stats(void)
{
	struct reseq_stats s;

	reseq_stats(reseq, &s);
	return s;
}

/* Both paths have just delivered, so that both are active: `next` is then 2. */
static void begin_two_paths(void)
{
	come(0, 1, 0);
	come(1, 1, 1);
	expect("0 1 ");
}

START_TEST(packets_in_order_pass_straight_through)
{
	for (uint64_t i = 0; i < 5; i++)
		ck_assert_int_eq(come(0, 1, i), RESEQ_DELIVER);
	expect("0 1 2 3 4 ");
	ck_assert_int_eq(stats().in_order, 5);
	ck_assert_int_eq(reseq_deadline(reseq), NSEC_NEVER);
}
END_TEST

START_TEST(first_packet_ever_is_not_made_to_wait)
{
	ck_assert_int_eq(come(0, 7, 1000), RESEQ_DELIVER);
	ck_assert_int_eq(come(1, 7, 999), RESEQ_LATE);
	ck_assert_int_eq(come(0, 7, 1001), RESEQ_DELIVER);
	expect("1000 999 1001 ");
}
END_TEST

START_TEST(packet_ahead_waits_for_the_other_path)
{
	begin_two_paths();
	ck_assert_int_eq(come(0, 1, 3), RESEQ_HOLD);
	ck_assert_int_eq(come(0, 1, 4), RESEQ_HOLD);
	expect("");
	ck_assert_uint_eq(reseq_held(reseq), 2);
	ck_assert_int_eq(come(1, 1, 2), RESEQ_DELIVER);
	expect("2 3 4 ");
	ck_assert_uint_eq(reseq_held(reseq), 0);
	ck_assert_int_eq(stats().held, 2);
}
END_TEST

START_TEST(single_path_never_waits_for_what_it_lost)
{
	come(0, 1, 0);
	ck_assert_int_eq(come(0, 1, 5), RESEQ_DELIVER);
	ck_assert_int_eq(come(0, 1, 6), RESEQ_DELIVER);
	expect("0 5 6 ");
	ck_assert_int_eq(stats().proven_lost, 4);
	ck_assert_int_eq(stats().deadlines, 0);
}
END_TEST

START_TEST(gap_is_proven_lost_when_every_active_path_is_past_it)
{
	begin_two_paths();
	come(0, 1, 3);
	come(0, 1, 7);
	expect("");
	come(1, 1, 5);
	expect("3 5 ");
	ck_assert_int_eq(stats().proven_lost, 2);
	come(1, 1, 9);
	expect("7 ");
	ck_assert_int_eq(stats().proven_lost, 3);
	ck_assert_uint_eq(reseq_held(reseq), 1);
}
END_TEST

START_TEST(silent_path_does_not_take_part_in_the_proof)
{
	begin_two_paths();
	now += FIFO_ACTIVE_TIME;
	ck_assert_int_eq(come(0, 1, 3), RESEQ_DELIVER);
	expect("3 ");
	ck_assert_int_eq(stats().proven_lost, 1);
}
END_TEST

START_TEST(path_that_falls_silent_frees_what_waited_for_it)
{
	begin_two_paths();
	now += FIFO_ACTIVE_TIME - MSEC;
	come(0, 1, 3);
	ck_assert_int_eq(reseq_deadline(reseq), now + MSEC);
	now += MSEC;
	pop_all();
	expect("3 ");
	ck_assert_int_eq(stats().proven_lost, 1);
}
END_TEST

START_TEST(deadline_releases_in_order_up_to_the_oldest_arrival)
{
	nsec_t hold;

	begin_two_paths();
	hold = reseq_hold_time(reseq);
	come(2, 1, 2);
	expect("2 ");
	come(0, 1, 6);
	now += MSEC;
	come(1, 1, 4);
	now += MSEC;
	come(0, 1, 9);
	expect("");
	ck_assert_int_eq(reseq_deadline(reseq), now - 2 * MSEC + hold);
	now = reseq_deadline(reseq) - 1;
	pop_all();
	expect("");
	now++;
	pop_all();
	expect("4 6 ");
	ck_assert_int_eq(reseq_deadline(reseq), now + 2 * MSEC);
	ck_assert_int_eq(stats().deadlines, 2);
}
END_TEST

START_TEST(late_packet_is_delivered_at_once)
{
	begin_two_paths();
	come(0, 1, 3);
	now = reseq_deadline(reseq);
	pop_all();
	expect("3 ");
	ck_assert_int_eq(come(1, 1, 2), RESEQ_LATE);
	expect("2 ");
	ck_assert_int_eq(stats().late, 1);
}
END_TEST

START_TEST(late_packet_makes_the_hold_longer_by_half_once_per_hold)
{
	nsec_t hold = reseq_hold_time(reseq);

	begin_two_paths();
	come(0, 1, 6);
	now = reseq_deadline(reseq);
	pop_all();
	come(1, 1, 2);
	come(1, 1, 3);
	ck_assert_int_ge(reseq_hold_time(reseq), hold * 14 / 10);
	ck_assert_int_le(reseq_hold_time(reseq), hold * 16 / 10);
}
END_TEST

START_TEST(hold_never_exceeds_its_maximum)
{
	uint64_t counter = 10;

	begin_two_paths();
	for (unsigned i = 0; i < 200; i++, counter += 2) {
		come(1, 1, counter);
		come(0, 1, counter + 2);
		now = nsec_max(now, reseq_deadline(reseq));
		pop_all();
		come(1, 1, counter + 1);
		ck_assert_int_le(reseq_hold_time(reseq), RESEQ_HOLD_MAX);
	}
	ck_assert_int_ge(reseq_hold_time(reseq), RESEQ_HOLD_MAX * 9 / 10);
}
END_TEST

/* One packet per path and millisecond; those of path 1 are `spread` behind. */
static void run_paths(uint64_t *counter, nsec_t spread, nsec_t duration)
{
	uint64_t lag = (uint64_t)(spread / MSEC);

	for (nsec_t end = now + duration; now < end; now += MSEC, *counter += 2) {
		come(0, 1, *counter);
		if (*counter > 2 * lag + 2)
			come(1, 1, *counter + 1 - 2 * lag);
	}
}

START_TEST(hold_follows_the_spread_up_and_down)
{
	uint64_t counter = 0;
	nsec_t hold;

	run_paths(&counter, 30 * MSEC, 20 * NSEC_PER_SEC);
	hold = reseq_hold_time(reseq);
	ck_assert_int_ge(hold, 30 * MSEC);
	ck_assert_int_le(hold, 45 * MSEC);
	counter += 1000;
	run_paths(&counter, 0, 20 * NSEC_PER_SEC);
	ck_assert_int_eq(reseq_hold_time(reseq), RESEQ_HOLD_MIN);
}
END_TEST

START_TEST(idle_time_does_not_make_the_hold_forget)
{
	nsec_t hold = reseq_hold_time(reseq);

	come(0, 1, 0);
	now += 3600 * NSEC_PER_SEC;
	come(0, 1, 1);
	ck_assert_int_ge(reseq_hold_time(reseq), hold * 9 / 10);
}
END_TEST

START_TEST(rekey_is_a_gap_that_the_proof_closes)
{
	begin_two_paths();
	ck_assert_int_eq(come(0, 2, 0), RESEQ_HOLD);
	come(1, 1, 2);
	expect("2 ");
	come(1, 2, 1);
	expect("0 1 ");
	ck_assert_int_eq(stats().proven_lost, 0);
	ck_assert_int_eq(stats().late, 0);
}
END_TEST

START_TEST(straggler_of_the_old_session_finds_its_place)
{
	begin_two_paths();
	come(0, 2, 0);
	ck_assert_int_eq(come(1, 1, 4), RESEQ_HOLD);
	come(1, 1, 5);
	come(1, 2, 1);
	expect("4 5 0 1 ");
}
END_TEST

START_TEST(straggler_beyond_the_slack_is_late)
{
	begin_two_paths();
	come(0, 2, 0);
	ck_assert_int_eq(come(1, 1, 1 + RESEQ_SESSION_SLACK + 1), RESEQ_LATE);
	ck_assert_int_eq(come(1, 1, 1 + RESEQ_SESSION_SLACK), RESEQ_HOLD);
}
END_TEST

START_TEST(packet_of_a_still_older_session_is_late)
{
	come(0, 1, 0);
	come(0, 2, 0);
	come(0, 3, 0);
	ck_assert_int_eq(come(0, 1, 1), RESEQ_LATE);
	ck_assert_int_eq(come(0, 0, 1), RESEQ_LATE);
}
END_TEST

START_TEST(counter_beyond_any_session_is_late)
{
	begin_two_paths();
	ck_assert_int_eq(come(0, 1, UINT64_MAX - 8192), RESEQ_LATE);
	ck_assert_int_eq(come(0, 1, 2), RESEQ_DELIVER);
}
END_TEST

START_TEST(jump_beyond_the_window_empties_it_in_order)
{
	begin_two_paths();
	come(0, 1, 3);
	come(0, 1, 5);
	come(0, 1, 2 + RESEQ_WINDOW - 1);
	expect("");
	/* The window now begins at 7: what lies before that has to go, the rest stays. */
	come(0, 1, 7 + RESEQ_WINDOW - 1);
	expect("3 5 ");
	ck_assert_uint_eq(reseq_held(reseq), 2);
	come(0, 1, 1ULL << 40);
	expect("8193 8198 ");
	ck_assert_uint_eq(reseq_held(reseq), 1);
	now = reseq_deadline(reseq);
	pop_all();
	expect("1099511627776 ");
}
END_TEST

START_TEST(jump_finds_its_slot_taken_by_what_it_drives_out)
{
	begin_two_paths();
	come(0, 1, 3);
	come(0, 1, 3 + RESEQ_WINDOW);
	expect("3 ");
	ck_assert_uint_eq(reseq_held(reseq), 1);
	come(1, 1, 4 + RESEQ_WINDOW);
	expect("8195 8196 ");
}
END_TEST

START_TEST(path_that_reorders_a_little_is_waited_for)
{
	come(0, 1, 0);
	come(0, 1, 10);
	ck_assert_int_eq(come(0, 1, 8), RESEQ_LATE);
	expect("0 10 8 ");
	ck_assert_int_eq(come(0, 1, 12), RESEQ_HOLD);
	come(0, 1, 11);
	expect("11 12 ");
}
END_TEST

START_TEST(repair_from_far_behind_does_not_count_as_reordering)
{
	come(0, 1, 0);
	come(0, 1, 1000);
	come(0, 1, 500);
	ck_assert_int_eq(come(0, 1, 1002), RESEQ_DELIVER);
}
END_TEST

START_TEST(copy_shows_how_far_a_redundant_path_is)
{
	come(0, 1, 0);
	reseq_copy(reseq, 1, 1, 0, now);
	ck_assert_int_eq(come(0, 1, 2), RESEQ_HOLD);
	ck_assert_int_eq(come(1, 1, 1), RESEQ_DELIVER);
	expect("0 1 2 ");
	ck_assert_int_eq(come(0, 1, 4), RESEQ_HOLD);
	reseq_copy(reseq, 1, 1, 4, now);
	pop_all();
	expect("4 ");
}
END_TEST

START_TEST(control_frames_are_held_like_packets)
{
	begin_two_paths();
	ck_assert_int_eq(reseq_offer(reseq, 0, 1, 3, now), RESEQ_HOLD);
	ck_assert(reseq_hold(reseq, 1, 3, reseq_nothing, now));
	ck_assert_ptr_null(reseq_pop(reseq, now));
	come(0, 1, 4);
	ck_assert_int_eq(reseq_offer(reseq, 1, 1, 2, now), RESEQ_DELIVER);
	ck_assert_ptr_eq(reseq_pop(reseq, now), reseq_nothing);
	pop_all();
	expect("4 ");
}
END_TEST

START_TEST(flush_gives_everything_in_order)
{
	const uint64_t *name;

	begin_two_paths();
	come(0, 1, 9);
	come(0, 1, 4);
	come(0, 1, 7);
	expect("");
	while ((name = reseq_flush(reseq)))
		delivered(name);
	expect("4 7 9 ");
	ck_assert_int_eq(come(0, 1, 10), RESEQ_DELIVER);
}
END_TEST

START_TEST(place_that_a_flush_has_passed_takes_nothing)
{
	static char item;

	begin_two_paths();
	come(0, 1, 9);
	ck_assert_int_eq(reseq_offer(reseq, 0, 1, 5, now), RESEQ_HOLD);
	ck_assert_ptr_nonnull(reseq_flush(reseq));
	ck_assert(!reseq_hold(reseq, 1, 5, &item, now));
	ck_assert_uint_eq(reseq_held(reseq), 0);
	ck_assert_int_eq(come(0, 1, 10), RESEQ_DELIVER);
}
END_TEST

/* Two active paths, of which neither brought 2: it is lost for sure, and waited for all the same.
 */
static void lose_one(void)
{
	reseq_allow_repair(reseq, true, 0);
	begin_two_paths();
	come(0, 1, 3);
	come(1, 1, 4);
	expect("");
}

/* The only gap that is asked for now. */
static void expect_asked(uint64_t counter, uint32_t n)
{
	struct reseq_gap gaps[2];

	ck_assert_uint_eq(reseq_ask(reseq, now, gaps, 2), 1);
	ck_assert_uint_eq(gaps[0].session, 1);
	ck_assert_uint_eq(gaps[0].counter, counter);
	ck_assert_uint_eq(gaps[0].n, n);
}

START_TEST(what_is_lost_is_asked_for_and_waited_for)
{
	struct reseq_gap gap;

	lose_one();
	expect_asked(2, 1);
	ck_assert_uint_eq(reseq_ask(reseq, now, &gap, 1), 0);
	now += 20 * MSEC;
	ck_assert_int_eq(come(0, 1, 2), RESEQ_DELIVER);
	expect("2 3 4 ");
	ck_assert_uint_eq(stats().asked, 1);
	ck_assert_uint_eq(stats().repaired, 1);
	ck_assert_uint_eq(stats().proven_lost, 0);
}
END_TEST

START_TEST(repair_that_does_not_come_is_given_up)
{
	nsec_t begin = now;
	struct reseq_gap gap;
	unsigned asked = 0;

	lose_one();
	while (!log_len) {
		asked += reseq_ask(reseq, now, &gap, 1);
		ck_assert_int_gt(reseq_deadline(reseq), now);
		now = reseq_deadline(reseq);
		ck_assert_int_le(now - begin, RESEQ_HOLD_MAX);
		pop_all();
	}
	ck_assert_uint_eq(asked, 3);
	expect("3 4 ");
	ck_assert_int_eq(come(0, 1, 2), RESEQ_LATE);
}
END_TEST

START_TEST(all_gaps_that_are_proven_are_asked_for_together)
{
	struct reseq_gap gaps[8];

	lose_one();
	come(0, 1, 10);
	come(0, 1, 20);
	ck_assert_uint_eq(reseq_ask(reseq, now, gaps, 8), 1);
	now += MSEC;
	come(1, 1, 15);
	ck_assert_uint_eq(reseq_ask(reseq, now, gaps, 8), 2);
	ck_assert_uint_eq(gaps[0].counter, 5);
	ck_assert_uint_eq(gaps[0].n, 5);
	ck_assert_uint_eq(gaps[1].counter, 11);
	ck_assert_uint_eq(gaps[1].n, 4);
}
END_TEST

START_TEST(what_is_overdue_is_asked_for_too)
{
	nsec_t hold;

	reseq_allow_repair(reseq, true, 0);
	begin_two_paths();
	hold = reseq_hold_time(reseq);
	come(0, 1, 3); /* 2 may still come over path 1 */
	ck_assert_int_eq(reseq_deadline(reseq), now + hold);
	now += hold;
	pop_all();
	expect("");
	expect_asked(2, 1);
	ck_assert_int_gt(reseq_deadline(reseq), now);
	/* It does: then the hold was too short, and the copy that comes as well says so. */
	now += MSEC;
	come(1, 1, 2);
	expect("2 3 ");
	now += 20 * MSEC;
	reseq_copy(reseq, 0, 1, 2, now);
	ck_assert_int_ge(reseq_hold_time(reseq), hold + hold / 5);
}
END_TEST

START_TEST(what_was_asked_for_is_no_reordering)
{
	lose_one();
	expect_asked(2, 1);
	now += MSEC;
	come(0, 1, 2);
	expect("2 3 4 ");
	reseq_allow_repair(reseq, false, 0);
	come(0, 1, 6);
	come(1, 1, 7);
	expect("6 7 "); /* at once: no path has to be further ahead for its word to count */
}
END_TEST

START_TEST(what_a_path_overtook_long_ago_is_no_reordering)
{
	begin_two_paths();
	for (uint64_t i = 2; i < 100; i++) {
		come(i % 2, 1, i == 50 ? 1000 : i);
		now += 2 * MSEC;
	}
	come(0, 1, 50); /* another path took it along, and it was sent again */
	come(0, 1, 1002);
	come(1, 1, 1003);
	ck_assert_uint_eq(reseq_held(reseq), 0);
}
END_TEST

START_TEST(what_stands_apart_is_not_waited_for)
{
	begin_two_paths();
	reseq_apart(reseq, 1, 2, 3, now);
	pop_all();
	ck_assert_int_eq(come(0, 1, 5), RESEQ_DELIVER);
	ck_assert_int_eq(come(0, 1, 3), RESEQ_LATE);
	reseq_apart(reseq, 1, 8, 2, now);
	ck_assert_int_eq(come(0, 1, 7), RESEQ_HOLD); /* for 6 */
	ck_assert_int_eq(come(0, 1, 8), RESEQ_LATE);
	ck_assert_int_eq(come(1, 1, 6), RESEQ_DELIVER);
	ck_assert_int_eq(come(1, 1, 10), RESEQ_DELIVER);
	ck_assert_int_eq(come(1, 1, 9), RESEQ_LATE);
	expect("5 3 8 6 7 10 9 ");
	ck_assert_uint_eq(stats().late, 0);
}
END_TEST

START_TEST(what_stands_apart_makes_no_path_active)
{
	come(0, 1, 0);
	reseq_apart(reseq, 1, 1, 64, now);
	pop_all();
	come(1, 1, 1);
	come(0, 1, 66);
	expect("0 1 66 "); /* there is only one path that could bring 65 */
}
END_TEST

START_TEST(apart_may_come_before_anything_else_and_in_a_new_session)
{
	reseq_apart(reseq, 1, 0, 64, now);
	ck_assert_int_eq(come(0, 1, 0), RESEQ_LATE);
	ck_assert_int_eq(come(0, 1, 64), RESEQ_DELIVER);
	reseq_apart(reseq, 2, 0, 64, now);
	pop_all();
	ck_assert_int_eq(come(0, 1, 65), RESEQ_DELIVER);
	come(0, 2, 64);
	ck_assert_int_eq(come(0, 2, 65), RESEQ_DELIVER);
	expect("0 64 65 64 65 ");
}
END_TEST

/* A peer may tell of more ranges than are remembered: those still ahead have their marks. */
START_TEST(what_was_told_apart_long_ago_still_has_no_place)
{
	begin_two_paths();
	reseq_apart(reseq, 1, 3, 2, now);
	for (uint64_t i = 0; i < 2 * RESEQ_APART; i++)
		reseq_apart(reseq, 1, 6 + 2 * i, 1, now);
	ck_assert_int_eq(come(0, 1, 3), RESEQ_LATE);
	ck_assert_int_eq(come(0, 1, 4), RESEQ_LATE);
	ck_assert_int_eq(come(0, 1, 5), RESEQ_HOLD); /* for 2 */
	ck_assert_int_eq(come(1, 1, 2), RESEQ_DELIVER);
	expect("3 4 2 5 ");
}
END_TEST

/* What is told twice, or of more than the window, marks what it can, once. */
START_TEST(ranges_apart_may_overlap_and_reach_beyond_the_window)
{
	begin_two_paths();
	reseq_apart(reseq, 1, 70, 200, now);
	reseq_apart(reseq, 1, 3, RESEQ_WINDOW, now);
	reseq_apart(reseq, 1, 0, RESEQ_WINDOW, now);
	ck_assert_uint_eq(reseq_held(reseq), RESEQ_WINDOW);
	pop_all();
	ck_assert_uint_eq(reseq_held(reseq), 0);
	ck_assert_int_eq(come(0, 1, RESEQ_WINDOW + 2), RESEQ_DELIVER);
}
END_TEST

START_TEST(apart_answers_what_was_asked_for)
{
	lose_one();
	expect_asked(2, 1);
	reseq_apart(reseq, 1, 2, 1, now);
	pop_all();
	expect("3 4 ");
	ck_assert_int_eq(reseq_deadline(reseq), NSEC_NEVER);
}
END_TEST

START_TEST(what_is_in_a_hurry_waits_for_proof_but_not_for_repair)
{
	reseq_allow_repair(reseq, true, 0);
	begin_two_paths();
	come(0, 1, 3);
	come(0, 1, 4);
	reseq_hurry(reseq, 1, 4);
	come(0, 1, 6);
	reseq_hurry(reseq, 1, 6);
	pop_all();
	expect(""); /* 2 and 5 may still come over path 1 */
	come(1, 1, 5);
	expect("4 "); /* 2 cannot; 6 is not known to be behind all that is missing */
	expect_asked(2, 1);
	come(1, 1, 7);
	expect("6 ");
	come(0, 1, 2);
	expect("2 3 5 7 ");
	ck_assert_uint_eq(reseq_held(reseq), 0);
	come(0, 1, 8);
	expect("8 ");
}
END_TEST

START_TEST(what_was_in_a_hurry_and_left_in_its_turn_leaves_once)
{
	reseq_allow_repair(reseq, true, 0);
	begin_two_paths();
	come(0, 1, 3);
	reseq_hurry(reseq, 1, 3);
	come(1, 1, 2);
	expect("2 3 ");
	come(0, 1, 5);
	come(1, 1, 6);
	expect("");
	come(0, 1, 4);
	expect("4 5 6 ");
}
END_TEST

START_TEST(what_passes_leaves_its_place_behind)
{
	begin_two_paths();
	ck_assert_int_eq(reseq_offer(reseq, 0, 1, 4, now), RESEQ_HOLD);
	ck_assert(reseq_pass(reseq, 1, 4));
	ck_assert_int_eq(reseq_deadline(reseq), NSEC_NEVER); /* nobody waits */
	come(0, 1, 5);
	come(1, 1, 2);
	expect("2 ");
	come(1, 1, 3);
	expect("3 5 ");
	ck_assert_uint_eq(reseq_held(reseq), 0);
}
END_TEST

START_TEST(what_is_lost_is_asked_for_if_nobody_waits)
{
	reseq_allow_repair(reseq, true, 0);
	begin_two_paths();
	ck_assert_int_eq(reseq_offer(reseq, 0, 1, 3, now), RESEQ_HOLD);
	ck_assert(reseq_pass(reseq, 1, 3));
	ck_assert_int_eq(reseq_offer(reseq, 1, 1, 4, now), RESEQ_HOLD);
	ck_assert(reseq_pass(reseq, 1, 4));
	pop_all();
	expect_asked(2, 1);
	ck_assert_int_gt(reseq_deadline(reseq), now);
	ck_assert_int_eq(come(0, 1, 2), RESEQ_DELIVER);
	expect("2 ");
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("reseq");
	TCase *t = tcase_create("reseq");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, packets_in_order_pass_straight_through);
	tcase_add_test(t, first_packet_ever_is_not_made_to_wait);
	tcase_add_test(t, packet_ahead_waits_for_the_other_path);
	tcase_add_test(t, single_path_never_waits_for_what_it_lost);
	tcase_add_test(t, gap_is_proven_lost_when_every_active_path_is_past_it);
	tcase_add_test(t, silent_path_does_not_take_part_in_the_proof);
	tcase_add_test(t, path_that_falls_silent_frees_what_waited_for_it);
	tcase_add_test(t, deadline_releases_in_order_up_to_the_oldest_arrival);
	tcase_add_test(t, late_packet_is_delivered_at_once);
	tcase_add_test(t, late_packet_makes_the_hold_longer_by_half_once_per_hold);
	tcase_add_test(t, hold_never_exceeds_its_maximum);
	tcase_add_test(t, hold_follows_the_spread_up_and_down);
	tcase_add_test(t, idle_time_does_not_make_the_hold_forget);
	tcase_add_test(t, rekey_is_a_gap_that_the_proof_closes);
	tcase_add_test(t, straggler_of_the_old_session_finds_its_place);
	tcase_add_test(t, straggler_beyond_the_slack_is_late);
	tcase_add_test(t, packet_of_a_still_older_session_is_late);
	tcase_add_test(t, counter_beyond_any_session_is_late);
	tcase_add_test(t, jump_beyond_the_window_empties_it_in_order);
	tcase_add_test(t, jump_finds_its_slot_taken_by_what_it_drives_out);
	tcase_add_test(t, path_that_reorders_a_little_is_waited_for);
	tcase_add_test(t, repair_from_far_behind_does_not_count_as_reordering);
	tcase_add_test(t, copy_shows_how_far_a_redundant_path_is);
	tcase_add_test(t, control_frames_are_held_like_packets);
	tcase_add_test(t, flush_gives_everything_in_order);
	tcase_add_test(t, place_that_a_flush_has_passed_takes_nothing);
	tcase_add_test(t, what_is_lost_is_asked_for_and_waited_for);
	tcase_add_test(t, repair_that_does_not_come_is_given_up);
	tcase_add_test(t, all_gaps_that_are_proven_are_asked_for_together);
	tcase_add_test(t, what_is_overdue_is_asked_for_too);
	tcase_add_test(t, what_was_asked_for_is_no_reordering);
	tcase_add_test(t, what_a_path_overtook_long_ago_is_no_reordering);
	tcase_add_test(t, what_stands_apart_is_not_waited_for);
	tcase_add_test(t, what_stands_apart_makes_no_path_active);
	tcase_add_test(t, apart_may_come_before_anything_else_and_in_a_new_session);
	tcase_add_test(t, what_was_told_apart_long_ago_still_has_no_place);
	tcase_add_test(t, ranges_apart_may_overlap_and_reach_beyond_the_window);
	tcase_add_test(t, apart_answers_what_was_asked_for);
	tcase_add_test(t, what_is_in_a_hurry_waits_for_proof_but_not_for_repair);
	tcase_add_test(t, what_was_in_a_hurry_and_left_in_its_turn_leaves_once);
	tcase_add_test(t, what_passes_leaves_its_place_behind);
	tcase_add_test(t, what_is_lost_is_asked_for_if_nobody_waits);
	suite_add_tcase(s, t);
	return s;
}
