/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include "shaper.h"

#define ROOM 64
#define MBIT 1000000ULL
#define MS NSEC_PER_MSEC
#define BYTES 1250 /* 1 ms at 10 Mbit/s */
#define NO_LIMIT UINT64_MAX

static struct shaper *shaper;
static int packets[ROOM + 1];

static void setup(void)
{
	ck_assert_int_eq(shaper_new(&shaper, ROOM), 0);
	shaper_set_rate(shaper, 0, 10 * MBIT);
}

static void teardown(void)
{
	shaper_free(shaper);
}

static bool push(nsec_t now, int packet, uint64_t limit)
{
	return shaper_push(shaper, now, &packets[packet], BYTES, limit);
}

static void served_is(nsec_t asked, int packet, nsec_t when)
{
	nsec_t served;

	ck_assert_ptr_eq(shaper_pop(shaper, asked, &served), &packets[packet]);
	ck_assert_int_eq(served, when);
}

static void nothing_served(nsec_t asked)
{
	nsec_t served;

	ck_assert_ptr_null(shaper_pop(shaper, asked, &served));
}

START_TEST(empty_shaper_waits_for_nothing)
{
	nothing_served(NSEC_NEVER);
	ck_assert_int_eq(shaper_next(shaper), NSEC_NEVER);
}
END_TEST

START_TEST(packet_takes_its_time_at_the_rate)
{
	ck_assert(push(5 * MS, 0, NO_LIMIT));
	ck_assert_int_eq(shaper_next(shaper), 6 * MS);
	nothing_served(6 * MS - 1);
	served_is(6 * MS, 0, 6 * MS);
}
END_TEST

START_TEST(packets_are_served_in_order_without_a_gap)
{
	for (int i = 0; i < 10; i++)
		ck_assert(push(0, i, NO_LIMIT));
	for (int i = 0; i < 10; i++)
		served_is((i + 1) * MS, i, (i + 1) * MS);
	nothing_served(NSEC_NEVER);
}
END_TEST

START_TEST(caller_that_comes_late_loses_no_rate)
{
	for (int i = 0; i < 10; i++)
		ck_assert(push(0, i, NO_LIMIT));
	for (int i = 0; i < 10; i++)
		served_is(50 * MS, i, (i + 1) * MS);
}
END_TEST

START_TEST(idle_time_is_not_saved_up)
{
	ck_assert(push(0, 0, NO_LIMIT));
	served_is(MS, 0, MS);
	ck_assert(push(10 * MS, 1, NO_LIMIT));
	served_is(11 * MS, 1, 11 * MS);
}
END_TEST

START_TEST(limit_is_of_the_bytes_behind_the_one_being_served)
{
	for (int i = 0; i < 4; i++)
		ck_assert(push(0, i, 3 * BYTES));
	ck_assert(!push(0, 4, 3 * BYTES));
	ck_assert_uint_eq(shaper_backlog(shaper), 4 * BYTES);
	served_is(MS, 0, MS);
	ck_assert(push(MS, 4, 3 * BYTES));
	ck_assert(!push(MS, 5, 3 * BYTES));
}
END_TEST

START_TEST(idle_link_takes_a_packet_whatever_the_limit)
{
	ck_assert(push(0, 0, 1));
	ck_assert(!push(0, 1, 1));
}
END_TEST

START_TEST(room_is_bounded)
{
	for (int i = 0; i < ROOM; i++)
		ck_assert(push(0, i, NO_LIMIT));
	ck_assert(!push(0, ROOM, NO_LIMIT));
}
END_TEST

START_TEST(ring_goes_round)
{
	for (int turn = 0; turn < 10 * ROOM; turn++) {
		ck_assert(push(turn * MS, turn % ROOM, NO_LIMIT));
		served_is((turn + 1) * MS, turn % ROOM, (turn + 1) * MS);
	}
}
END_TEST

START_TEST(new_rate_counts_for_the_rest_of_the_packet)
{
	ck_assert(push(0, 0, NO_LIMIT));
	ck_assert(push(0, 1, NO_LIMIT));
	shaper_set_rate(shaper, MS / 2, 5 * MBIT);
	served_is(10 * MS, 0, MS / 2 + MS);
	served_is(10 * MS, 1, MS / 2 + MS + 2 * MS);
}
END_TEST

START_TEST(infinite_rate_serves_at_once)
{
	ck_assert(push(0, 0, NO_LIMIT));
	ck_assert(push(0, 1, NO_LIMIT));
	shaper_set_rate(shaper, MS / 2, 0);
	served_is(MS / 2, 0, MS / 2);
	served_is(MS / 2, 1, MS / 2);
	ck_assert(push(MS, 2, NO_LIMIT));
	served_is(MS, 2, MS);
}
END_TEST

START_TEST(rate_is_exact_over_a_second)
{
	nsec_t served = 0, now = 0;
	uint64_t bytes = 0;

	shaper_set_rate(shaper, 0, 333333333);
	while (served < NSEC_PER_SEC) {
		while (shaper_push(shaper, now, packets, 1481, 10 * 1481))
			;
		now += 137 * NSEC_PER_USEC; /* asked off the beat */
		while (shaper_pop(shaper, now, &served))
			bytes += 1481;
	}
	ck_assert_double_eq_tol((double)bytes * 8 / ((double)served / 1e9), 333333333,
				333333333e-4);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("shaper");
	TCase *t = tcase_create("shaper");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, empty_shaper_waits_for_nothing);
	tcase_add_test(t, packet_takes_its_time_at_the_rate);
	tcase_add_test(t, packets_are_served_in_order_without_a_gap);
	tcase_add_test(t, caller_that_comes_late_loses_no_rate);
	tcase_add_test(t, idle_time_is_not_saved_up);
	tcase_add_test(t, limit_is_of_the_bytes_behind_the_one_being_served);
	tcase_add_test(t, idle_link_takes_a_packet_whatever_the_limit);
	tcase_add_test(t, room_is_bounded);
	tcase_add_test(t, ring_goes_round);
	tcase_add_test(t, new_rate_counts_for_the_rest_of_the_packet);
	tcase_add_test(t, infinite_rate_serves_at_once);
	tcase_add_test(t, rate_is_exact_over_a_second);
	suite_add_tcase(s, t);
	return s;
}
