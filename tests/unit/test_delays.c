/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include "links/delays.h"

#define REPORT_EVERY (5 * NSEC_PER_MSEC)
#define ONE_WAY (20 * NSEC_PER_MSEC)
#define N_REPORTS 4000

static struct delays delays;

static void setup(void)
{
	delays_init(&delays, 0);
}

/* A packet that is sent at `sent` has taken `late` longer than the path is long. */
static void report(nsec_t sent, nsec_t late)
{
	const struct delay_sample sample = {.sent = sent, .arrived = sent + ONE_WAY + late};

	delays_add(&delays, &sample, sent + 2 * ONE_WAY);
}

START_TEST(steady_path_has_neither_jitter_nor_queue)
{
	for (int i = 0; i < N_REPORTS; i++)
		report(i * REPORT_EVERY, 0);
	ck_assert(delays.jitter == 0 && delays.queue == 0);
	ck_assert_int_eq(delays_one_way(&delays), ONE_WAY);
	ck_assert_int_eq(delays_round_trip(&delays), 2 * ONE_WAY);
}
END_TEST

/* Slowly enough for all reports of half a round trip to be late, and those before to be not. */
START_TEST(delay_that_wanders_has_jitter)
{
	for (int i = 0; i < N_REPORTS; i++)
		report(i * REPORT_EVERY, i / 10 % 2 * 8 * NSEC_PER_MSEC);
	ck_assert(delays.jitter > (double)NSEC_PER_MSEC);
	ck_assert(delays.jitter < (double)(8 * NSEC_PER_MSEC));
}
END_TEST

START_TEST(false_reports_make_no_endless_jitter)
{
	for (int i = 0; i < N_REPORTS; i++)
		report(i * REPORT_EVERY, i * NSEC_PER_SEC);
	ck_assert(delays.jitter > (double)(DELAYS_JITTER_MAX / 2));
	ck_assert(delays.jitter <= (double)DELAYS_JITTER_MAX);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("delays");
	TCase *t = tcase_create("delays");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, steady_path_has_neither_jitter_nor_queue);
	tcase_add_test(t, delay_that_wanders_has_jitter);
	tcase_add_test(t, false_reports_make_no_endless_jitter);
	suite_add_tcase(s, t);
	return s;
}
