/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include "links/quality.h"

#define MS(n) ((n)*NSEC_PER_MSEC)

static const struct health_settings settings = {
	.failure_loss = 40,
	.recovery_loss = 10,
	.failure_latency = MS(1000),
	.recovery_latency = MS(500),
};
static const struct health_settings off;

START_TEST(path_is_poor_beyond_a_failure_threshold)
{
	ck_assert(!quality_is_poor(false, &settings, 0.40, MS(1000)));
	ck_assert(quality_is_poor(false, &settings, 0.41, MS(10)));
	ck_assert(quality_is_poor(false, &settings, 0, MS(1001)));
}
END_TEST

START_TEST(poor_path_stays_so_until_below_the_recovery_thresholds)
{
	ck_assert(quality_is_poor(true, &settings, 0.11, MS(10)));
	ck_assert(quality_is_poor(true, &settings, 0, MS(501)));
	ck_assert(!quality_is_poor(true, &settings, 0.10, MS(500)));
}
END_TEST

START_TEST(what_is_not_known_makes_no_path_poor)
{
	ck_assert(!quality_is_poor(false, &settings, -1, 0));
}
END_TEST

START_TEST(without_thresholds_no_path_is_poor)
{
	ck_assert(!quality_is_poor(false, &off, 1, MS(100000)));
	ck_assert(!quality_is_poor(true, &off, 1, MS(100000)));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("quality");
	TCase *t = tcase_create("quality");

	tcase_add_test(t, path_is_poor_beyond_a_failure_threshold);
	tcase_add_test(t, poor_path_stays_so_until_below_the_recovery_thresholds);
	tcase_add_test(t, what_is_not_known_makes_no_path_poor);
	tcase_add_test(t, without_thresholds_no_path_is_poor);
	suite_add_tcase(s, t);
	return s;
}
