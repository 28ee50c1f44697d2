/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "links/repair.h"

#include "check_main.h"

#define MSEC NSEC_PER_MSEC
#define T0 (1000 * NSEC_PER_SEC)

static struct repair r;

static void setup(void)
{
	repair_init(&r);
}

static void add(uint64_t begin, uint64_t end)
{
	ck_assert(repair_add(&r, begin, end, true, T0));
}

/* Asks for all that is due; how many gaps it was, the first of them as given. */
static unsigned ask(nsec_t now, uint64_t begin)
{
	const struct repair_gap *g;
	unsigned at = 0;
	unsigned n = 0;

	while (repair_may_ask(&r, now) && (g = repair_next(&r, &at, now))) {
		if (n++ == 0)
			ck_assert_uint_eq(g->begin, begin);
		r.next_ask = 0; /* all in one packet */
	}
	return n;
}

static uint64_t count_missing(void)
{
	uint64_t n = 0;

	for (unsigned at = r.tail; at != r.head; at++)
		n += r.gaps[at % REPAIR_GAPS].end - r.gaps[at % REPAIR_GAPS].begin;
	return n;
}

/* One gap that is asked for and filled after `took`. */
static void measure(nsec_t took)
{
	add(1, 2);
	ck_assert_uint_eq(ask(T0, 1), 1);
	ck_assert(repair_filled(&r, 1, T0 + took));
}

START_TEST(what_comes_is_cut_off_its_gap)
{
	add(10, 20);
	add(30, 31);
	ck_assert(!repair_filled(&r, 9, T0));
	ck_assert(!repair_filled(&r, 20, T0));
	ck_assert(repair_filled(&r, 10, T0));
	ck_assert(!repair_filled(&r, 10, T0));
	ck_assert(repair_filled(&r, 19, T0));
	ck_assert(repair_filled(&r, 14, T0));
	ck_assert_uint_eq(r.head - r.tail, 3);
	ck_assert(!repair_filled(&r, 14, T0));
	ck_assert(repair_filled(&r, 11, T0));
	ck_assert(repair_filled(&r, 15, T0));
	ck_assert(repair_filled(&r, 30, T0));
	ck_assert_uint_eq(count_missing(), 2 + 3);
	repair_give_up(&r, 100, T0);
	ck_assert(repair_is_empty(&r));
}
END_TEST

START_TEST(each_gap_is_asked_for_at_once_and_three_times_in_all)
{
	measure(20 * MSEC);
	add(10, 12);
	add(20, 21);
	ck_assert_int_eq(repair_ask_at(&r), T0);
	ck_assert_uint_eq(ask(T0, 10), 2);
	ck_assert_uint_eq(ask(T0 + 20 * MSEC, 10), 0);
	ck_assert_int_eq(repair_ask_at(&r), T0 + 27 * MSEC);
	ck_assert_uint_eq(ask(T0 + 27 * MSEC, 10), 2);
	ck_assert_uint_eq(ask(T0 + 54 * MSEC, 10), 2);
	ck_assert_int_eq(repair_ask_at(&r), NSEC_NEVER);
	ck_assert_int_eq(repair_deadline(&r, 10), 0);
	ck_assert_int_eq(repair_deadline(&r, 11), T0 + 81 * MSEC);
}
END_TEST

/* At the pace of a slow path, maybe. What comes behind a gap says nothing of it. */
START_TEST(what_comes_in_order_is_waited_for)
{
	measure(20 * MSEC);
	add(10, 12);
	add(20, 21);
	for (unsigned i = 0; i < REPAIR_TRIES; i++)
		ask(T0 + i * 27 * MSEC, 10);
	ck_assert(repair_filled(&r, 10, T0 + 150 * MSEC));
	ck_assert_int_eq(repair_deadline(&r, 12), T0 + 204 * MSEC); /* the wait has doubled */
	ck_assert(repair_filled(&r, 20, T0 + 160 * MSEC));
	ck_assert_int_eq(repair_deadline(&r, 12), T0 + 162 * MSEC);
}
END_TEST

START_TEST(requests_have_an_interval)
{
	unsigned at = 0;

	add(10, 12);
	ck_assert_ptr_nonnull(repair_next(&r, &at, T0));
	add(13, 14);
	ck_assert(!repair_may_ask(&r, T0));
	ck_assert_int_eq(repair_ask_at(&r), T0 + REPAIR_INTERVAL);
	ck_assert(repair_may_ask(&r, T0 + REPAIR_INTERVAL));
}
END_TEST

START_TEST(the_wait_follows_what_it_takes)
{
	measure(40 * MSEC);
	add(1, 2);
	ck_assert_int_eq(repair_deadline(&r, 2), T0 + REPAIR_TRIES * 52 * MSEC);
	repair_give_up(&r, 2, T0);
	for (int i = 0; i < 200; i++)
		repair_decay(&r);
	add(1, 2);
	ck_assert_int_eq(repair_deadline(&r, 2), T0 + REPAIR_TRIES * REPAIR_WAIT_MIN);
}
END_TEST

/* What was measured decays to nothing while no packet is lost. */
START_TEST(nothing_is_asked_for_again_within_a_round_trip)
{
	r.round_trip = 80 * MSEC;
	measure(5 * MSEC);
	add(10, 11);
	ck_assert_uint_eq(ask(T0, 10), 1);
	ck_assert_int_eq(repair_ask_at(&r), T0 + 102 * MSEC);
	ck_assert_int_eq(repair_deadline(&r, 11), T0 + 3 * 102 * MSEC);
}
END_TEST

START_TEST(an_answer_to_who_knows_which_request_makes_patient)
{
	measure(20 * MSEC);
	add(1, 2);
	ask(T0, 1);
	ask(T0 + 27 * MSEC, 1);
	ck_assert(repair_filled(&r, 1, T0 + 28 * MSEC));
	add(1, 2);
	ck_assert_int_eq(repair_deadline(&r, 2), T0 + REPAIR_TRIES * 54 * MSEC);
	ask(T0, 1);
	ck_assert(repair_filled(&r, 1, T0 + 32 * MSEC));
	add(1, 2);
	ck_assert_int_eq(repair_deadline(&r, 2), T0 + REPAIR_TRIES * 42 * MSEC);
}
END_TEST

/* Gives up a gap that begins there; then nobody is asked for so long, and no longer. */
static void give_up_one(uint64_t begin, nsec_t now, nsec_t pause)
{
	ck_assert(repair_is_on(&r, now));
	add(begin, begin + 1);
	repair_give_up(&r, begin + 1, now);
	ck_assert(!pause || !repair_is_on(&r, now + pause - 1));
	ck_assert(repair_is_on(&r, now + pause));
}

/* At first for a moment, since a path may just be handing over; then a single gap decides. */
START_TEST(who_brings_nothing_is_asked_less_and_less)
{
	nsec_t now = T0;

	for (unsigned i = 1; i < REPAIR_TRUST; i++)
		give_up_one(i, now, 0);
	for (nsec_t pause = REPAIR_PAUSE_MIN; pause < REPAIR_PAUSE_MAX; pause *= 2, now += pause)
		give_up_one(100, now, pause);
	give_up_one(101, now, REPAIR_PAUSE_MAX);
	give_up_one(102, now + REPAIR_PAUSE_MAX, REPAIR_PAUSE_MAX);
}
END_TEST

START_TEST(who_brings_something_is_asked_as_before)
{
	nsec_t now = T0;

	for (unsigned i = 1; i < REPAIR_TRUST; i++)
		give_up_one(i, now, 0);
	give_up_one(100, now, REPAIR_PAUSE_MIN);
	now += REPAIR_PAUSE_MIN;
	give_up_one(101, now, 2 * REPAIR_PAUSE_MIN);
	measure(MSEC);
	now += 2 * REPAIR_PAUSE_MIN;
	for (unsigned i = 1; i < REPAIR_TRUST; i++)
		give_up_one(200 + i, now, 0);
	give_up_one(300, now, REPAIR_PAUSE_MIN);
}
END_TEST

START_TEST(what_may_have_come_by_itself_teaches_nothing)
{
	measure(20 * MSEC);
	ck_assert(repair_add(&r, 1, 2, false, T0));
	ask(T0, 1);
	ck_assert(repair_filled(&r, 1, T0 + 300 * MSEC));
	add(1, 2);
	ck_assert_int_eq(repair_deadline(&r, 2), T0 + REPAIR_TRIES * 27 * MSEC);
}
END_TEST

/* A path that had brought nothing takes no part in the proof that a packet is lost. */
START_TEST(what_comes_within_a_round_trip_was_not_asked_for)
{
	r.round_trip = 40 * MSEC;
	measure(39 * MSEC);
	add(1, 2);
	ck_assert_int_eq(repair_deadline(&r, 2),
			 T0 + REPAIR_TRIES * 102 * MSEC); /* as at the start */
	repair_give_up(&r, 2, T0);
	measure(40 * MSEC);
	add(1, 2);
	ck_assert_int_eq(repair_deadline(&r, 2), T0 + REPAIR_TRIES * 52 * MSEC);
}
END_TEST

START_TEST(there_is_an_end_to_the_list)
{
	for (uint64_t i = 0; i < REPAIR_GAPS; i++)
		add(10 * i, 10 * i + 5);
	ck_assert(!repair_add(&r, 1000000, 1000001, true, T0));
	/* No room for two parts: of a gap that is cut in the middle, the later is left. */
	ck_assert(repair_filled(&r, 2, T0));
	ck_assert(!repair_filled(&r, 0, T0));
	ck_assert(repair_filled(&r, 3, T0));
	ck_assert(repair_filled(&r, 4, T0));
	ck_assert(repair_filled(&r, 10, T0));
	ck_assert(repair_add(&r, 1000000, 1000001, true, T0));
}
END_TEST

/* They were given up too early: then all that follow must be waited for so long. */
START_TEST(repair_that_comes_late_tells_how_long_it_takes)
{
	const nsec_t took = 250 * MSEC;

	for (uint64_t i = 0; i < REPAIR_TRUST; i++)
		add(10 * i, 10 * i + 1);
	ck_assert_uint_eq(ask(T0, 0), REPAIR_TRUST);
	ck_assert_uint_eq(count_missing(), REPAIR_TRUST);
	repair_give_up(&r, 1000, T0 + took);
	ck_assert(repair_is_empty(&r));
	ck_assert(!repair_late(&r, 5, T0 + took));
	ck_assert(!repair_is_on(&r, T0 + took));
	ck_assert(repair_late(&r, 10, T0 + took));
	ck_assert(repair_is_on(&r, T0 + took));
	add(2000, 2001);
	ck_assert_int_ge(repair_deadline(&r, 2001), T0 + took);
}
END_TEST

/* Of what may still have come by itself nobody knows what brought it. */
START_TEST(late_packet_that_was_not_lost_for_sure_tells_nothing)
{
	ck_assert(repair_add(&r, 1, 2, false, T0));
	ask(T0, 1);
	repair_give_up(&r, 1000, T0 + MSEC);
	ck_assert(!repair_late(&r, 1, T0 + MSEC));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("repair");
	TCase *t = tcase_create("repair");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, what_comes_is_cut_off_its_gap);
	tcase_add_test(t, each_gap_is_asked_for_at_once_and_three_times_in_all);
	tcase_add_test(t, what_comes_in_order_is_waited_for);
	tcase_add_test(t, requests_have_an_interval);
	tcase_add_test(t, the_wait_follows_what_it_takes);
	tcase_add_test(t, nothing_is_asked_for_again_within_a_round_trip);
	tcase_add_test(t, an_answer_to_who_knows_which_request_makes_patient);
	tcase_add_test(t, who_brings_nothing_is_asked_less_and_less);
	tcase_add_test(t, who_brings_something_is_asked_as_before);
	tcase_add_test(t, what_may_have_come_by_itself_teaches_nothing);
	tcase_add_test(t, what_comes_within_a_round_trip_was_not_asked_for);
	tcase_add_test(t, there_is_an_end_to_the_list);
	tcase_add_test(t, repair_that_comes_late_tells_how_long_it_takes);
	tcase_add_test(t, late_packet_that_was_not_lost_for_sure_tells_nothing);
	suite_add_tcase(s, t);
	return s;
}
