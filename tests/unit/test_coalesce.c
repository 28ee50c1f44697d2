/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include "links/coalesce.h"

#define MS(n) ((n)*NSEC_PER_MSEC)
#define US(n) ((n)*NSEC_PER_USEC)
#define START MS(1000000)

/* One that has just taken a batch. */
static struct coalesce at_start(void)
{
	return (struct coalesce){.taken_at = START};
}

START_TEST(datagrams_wait_for_a_twentieth_of_the_round_trip_and_a_millisecond_at_most)
{
	ck_assert_int_eq(coalesce_longest(MS(10)), US(500));
	ck_assert_int_eq(coalesce_longest(MS(600)), MS(1));
}
END_TEST

START_TEST(of_a_near_peer_or_one_of_unknown_distance_none_wait)
{
	ck_assert_int_eq(coalesce_longest(MS(2)), US(100));
	ck_assert_int_eq(coalesce_longest(MS(2) - US(1)), 0);
	ck_assert_int_eq(coalesce_longest(0), 0);
}
END_TEST

START_TEST(two_that_come_within_the_time_gather)
{
	struct coalesce c = at_start();

	ck_assert_int_eq(coalesce_until(&c, 1, MS(1), START + US(500)), START + US(1500));
	ck_assert_int_eq(coalesce_until(&c, 2, MS(1), START + US(1500)), START + US(2500));
}
END_TEST

START_TEST(what_comes_seldom_is_taken_at_once)
{
	struct coalesce c = at_start();

	ck_assert_int_eq(coalesce_until(&c, 1, MS(1), START + US(501)), 0);
	/* That counts from then on. */
	ck_assert_int_eq(coalesce_until(&c, 1, MS(1), START + US(1001)), START + US(2001));
}
END_TEST

START_TEST(first_after_a_long_pause_does_not_wait)
{
	struct coalesce never = {0};

	ck_assert_int_eq(coalesce_until(&never, 63, MS(1), START), 0);
	/* up for 300 years */
	ck_assert_int_eq(coalesce_until(&never, 63, MS(1), INT64_MAX - MS(1)), 0);
}
END_TEST

START_TEST(large_batches_do_not_wait)
{
	struct coalesce c = at_start();

	ck_assert_int_eq(coalesce_until(&c, 63, MS(1), START + MS(1)), START + MS(2));
	ck_assert_int_eq(coalesce_until(&c, 64, MS(1), START + MS(2)), 0);
}
END_TEST

START_TEST(without_a_longest_time_none_wait)
{
	struct coalesce c = at_start();

	ck_assert_int_eq(coalesce_until(&c, 10, 0, START + US(1)), 0);
	ck_assert_int_eq(coalesce_until(&c, 10, 0, START + US(1)), 0);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("coalesce");
	TCase *t = tcase_create("coalesce");

	tcase_add_test(t,
		       datagrams_wait_for_a_twentieth_of_the_round_trip_and_a_millisecond_at_most);
	tcase_add_test(t, of_a_near_peer_or_one_of_unknown_distance_none_wait);
	tcase_add_test(t, two_that_come_within_the_time_gather);
	tcase_add_test(t, what_comes_seldom_is_taken_at_once);
	tcase_add_test(t, first_after_a_long_pause_does_not_wait);
	tcase_add_test(t, large_batches_do_not_wait);
	tcase_add_test(t, without_a_longest_time_none_wait);
	suite_add_tcase(s, t);
	return s;
}
