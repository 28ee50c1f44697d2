/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include "links/meter.h"

static struct loss_meter m;

static void setup(void)
{
	loss_meter_init(&m);
}

START_TEST(loss_is_unknown_until_enough_has_been_sent)
{
	loss_meter_observe(&m, 100, 90);
	ck_assert(m.loss < 0);
	loss_meter_observe(&m, 119, 109);
	ck_assert(m.loss < 0);
	loss_meter_observe(&m, 120, 105);
	ck_assert_double_eq_tol(m.loss, 0.25, 1e-9);
}
END_TEST

START_TEST(loss_follows_later_samples_by_a_quarter)
{
	loss_meter_observe(&m, 0, 0);
	loss_meter_observe(&m, 100, 100);
	loss_meter_observe(&m, 200, 100);
	ck_assert_double_eq_tol(m.loss, 0.25, 1e-9);
}
END_TEST

START_TEST(counts_that_go_back_begin_anew)
{
	loss_meter_observe(&m, 1000, 1000);
	loss_meter_observe(&m, 10, 5);
	ck_assert(m.loss < 0);
	loss_meter_observe(&m, 30, 25);
	ck_assert_double_eq_tol(m.loss, 0, 1e-9);
}
END_TEST

START_TEST(more_arrived_than_was_sent_is_no_loss)
{
	loss_meter_observe(&m, 0, 0);
	loss_meter_observe(&m, 20, 25);
	ck_assert_double_eq_tol(m.loss, 0, 1e-9);
}
END_TEST

START_TEST(rate_is_bits_over_the_time_elapsed)
{
	struct rate_meter r = {0};

	rate_meter_observe(&r, 1000, NSEC_PER_SEC);
	ck_assert_uint_eq(r.bps, 8000);
	rate_meter_observe(&r, 2000, 2 * NSEC_PER_SEC);
	ck_assert_uint_eq(r.bps, 4000);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("meter");
	TCase *t = tcase_create("meter");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, loss_is_unknown_until_enough_has_been_sent);
	tcase_add_test(t, loss_follows_later_samples_by_a_quarter);
	tcase_add_test(t, counts_that_go_back_begin_anew);
	tcase_add_test(t, more_arrived_than_was_sent_is_no_loss);
	tcase_add_test(t, rate_is_bits_over_the_time_elapsed);
	suite_add_tcase(s, t);
	return s;
}
