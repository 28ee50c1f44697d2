/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include "links/bulk.h"

#define MS(n) ((n)*NSEC_PER_MSEC)
#define START MS(1000000)
#define BYTES_MS (BULK_RATE / 1000) /* in a millisecond, at the rate from which on it is bulk */

START_TEST(link_that_carries_enough_for_a_span_is_bulk)
{
	struct bulk b = {.since = START};

	ck_assert(!bulk_look(&b, 9 * BYTES_MS, START + MS(9)));
	ck_assert(bulk_look(&b, 10 * BYTES_MS, START + MS(10)));
}
END_TEST

START_TEST(link_that_carries_a_little_less_is_not)
{
	struct bulk b = {.since = START};

	ck_assert(!bulk_look(&b, 10 * BYTES_MS - 1, START + MS(10)));
	/* That counts from then on. */
	ck_assert(bulk_look(&b, 20 * BYTES_MS - 1, START + MS(20)));
}
END_TEST

START_TEST(it_ends_below_half_of_the_rate)
{
	struct bulk b = {.since = START, .is_on = true};

	ck_assert(bulk_look(&b, 5 * BYTES_MS, START + MS(10)));
	ck_assert(bulk_look(&b, 5 * BYTES_MS, START + MS(19)));
	ck_assert(!bulk_look(&b, 10 * BYTES_MS - 1, START + MS(20)));
}
END_TEST

START_TEST(first_packet_after_a_pause_ends_it)
{
	struct bulk b = {.since = START, .is_on = true};

	ck_assert(!bulk_look(&b, 100, START + 60 * NSEC_PER_SEC));
}
END_TEST

/* A link that is up for 300 years, or was never looked at. */
START_TEST(long_times_do_no_harm)
{
	struct bulk b = {0};

	ck_assert(!bulk_look(&b, BULK_RATE, INT64_MAX));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("bulk");
	TCase *t = tcase_create("bulk");

	tcase_add_test(t, link_that_carries_enough_for_a_span_is_bulk);
	tcase_add_test(t, link_that_carries_a_little_less_is_not);
	tcase_add_test(t, it_ends_below_half_of_the_rate);
	tcase_add_test(t, first_packet_after_a_pause_ends_it);
	tcase_add_test(t, long_times_do_no_harm);
	suite_add_tcase(s, t);
	return s;
}
