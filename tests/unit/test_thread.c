/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include <sched.h>

#include "check_main.h"
#include "util/thread.h"

static int policy(void)
{
	struct sched_param param;
	int ret;

	ck_assert_int_eq(pthread_getschedparam(pthread_self(), &ret, &param), 0);
	return ret;
}

static void set_policy(int to)
{
	const struct sched_param param = {0};

	ck_assert_int_eq(pthread_setschedparam(pthread_self(), to, &param), 0);
}

START_TEST(patient_thread_does_not_interrupt_until_it_is_prompt_again)
{
	struct patience p = {};

	ck_assert_int_eq(policy(), SCHED_OTHER);
	thread_set_patient(&p, true);
	ck_assert(p.is_taken);
	ck_assert_int_eq(policy(), SCHED_BATCH);
	thread_set_patient(&p, false);
	ck_assert(!p.is_taken);
	ck_assert_int_eq(policy(), SCHED_OTHER);
}
END_TEST

START_TEST(policy_that_somebody_else_has_chosen_stays)
{
	const int chosen[] = {SCHED_BATCH, SCHED_IDLE};
	struct patience p = {};

	set_policy(chosen[_i]);
	thread_set_patient(&p, true);
	ck_assert(!p.is_taken);
	thread_set_patient(&p, false);
	ck_assert_int_eq(policy(), chosen[_i]);
}
END_TEST

START_TEST(policy_that_somebody_chooses_meanwhile_stays)
{
	struct patience p = {};

	thread_set_patient(&p, true);
	set_policy(SCHED_IDLE);
	thread_set_patient(&p, false);
	ck_assert_int_eq(policy(), SCHED_IDLE);
}
END_TEST

START_TEST(policy_is_asked_for_when_what_is_wanted_changes)
{
	struct patience p = {};

	set_policy(SCHED_IDLE);
	thread_set_patient(&p, true);
	set_policy(SCHED_OTHER);
	thread_set_patient(&p, true);
	ck_assert_int_eq(policy(), SCHED_OTHER);
	thread_set_patient(&p, false);
	thread_set_patient(&p, true);
	ck_assert_int_eq(policy(), SCHED_BATCH);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("thread");
	TCase *t = tcase_create("thread");

	tcase_add_test(t, patient_thread_does_not_interrupt_until_it_is_prompt_again);
	tcase_add_loop_test(t, policy_that_somebody_else_has_chosen_stays, 0, 2);
	tcase_add_test(t, policy_that_somebody_chooses_meanwhile_stays);
	tcase_add_test(t, policy_is_asked_for_when_what_is_wanted_changes);
	suite_add_tcase(s, t);
	return s;
}
