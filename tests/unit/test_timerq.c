/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include "util/timerq.h"

#define TIMERS 50

struct counted {
	struct timer timer; /* first: the handler gets it back */
	unsigned n_fired;
	nsec_t fired_at;
	nsec_t rearm; /* to this deadline when fired; 0: not */
};

static struct timerq queue;
static struct counted timers[TIMERS];
static nsec_t last_fired; /* deadline of the timer that fired last */

static void fire(struct timer *t, nsec_t now)
{
	struct counted *c = (struct counted *)t;

	ck_assert(!timer_is_armed(t));
	ck_assert_int_ge(t->deadline, last_fired);
	last_fired = t->deadline;
	c->n_fired++;
	c->fired_at = now;
	if (c->rearm)
		timerq_arm(&queue, t, c->rearm);
}

static void setup(void)
{
	timerq_init(&queue);
	ck_assert_int_eq(timerq_reserve(&queue, TIMERS), 0);
	for (unsigned i = 0; i < TIMERS; i++)
		timers[i] = (struct counted){.timer.fire = fire};
	last_fired = 0;
}

static void teardown(void)
{
	timerq_deinit(&queue);
}

START_TEST(empty_queue_has_no_deadline)
{
	ck_assert_int_eq(timerq_next(&queue), NSEC_NEVER);
	ck_assert_int_eq(timerq_run(&queue, 1000), NSEC_NEVER);
}
END_TEST

START_TEST(timer_fires_once_at_its_deadline)
{
	timerq_arm(&queue, &timers[0].timer, 100);
	ck_assert(timer_is_armed(&timers[0].timer));
	ck_assert_int_eq(timerq_run(&queue, 99), 100);
	ck_assert_uint_eq(timers[0].n_fired, 0);
	ck_assert_int_eq(timerq_run(&queue, 100), NSEC_NEVER);
	ck_assert_uint_eq(timers[0].n_fired, 1);
	ck_assert_int_eq(timers[0].fired_at, 100);
	timerq_run(&queue, 200);
	ck_assert_uint_eq(timers[0].n_fired, 1);
}
END_TEST

START_TEST(timers_fire_in_the_order_of_their_deadlines)
{
	for (unsigned i = 0; i < TIMERS; i++)
		timerq_arm(&queue, &timers[i].timer, (nsec_t)(i * 37 % TIMERS) + 1);
	ck_assert_int_eq(timerq_next(&queue), 1);
	ck_assert_int_eq(timerq_run(&queue, 1000), NSEC_NEVER);
	for (unsigned i = 0; i < TIMERS; i++)
		ck_assert_uint_eq(timers[i].n_fired, 1);
}
END_TEST

START_TEST(disarmed_timer_does_not_fire)
{
	for (unsigned i = 0; i < TIMERS; i++)
		timerq_arm(&queue, &timers[i].timer, (nsec_t)(i * 37 % TIMERS) + 1);
	for (unsigned i = 0; i < TIMERS; i += 3)
		timerq_disarm(&queue, &timers[i].timer);
	timerq_disarm(&queue, &timers[0].timer); /* again: nothing happens */
	timerq_run(&queue, 1000);
	for (unsigned i = 0; i < TIMERS; i++)
		ck_assert_uint_eq(timers[i].n_fired, i % 3 ? 1 : 0);
}
END_TEST

START_TEST(arming_again_moves_a_timer)
{
	timerq_arm(&queue, &timers[0].timer, 100);
	timerq_arm(&queue, &timers[1].timer, 200);
	timerq_arm(&queue, &timers[0].timer, 300);
	ck_assert_int_eq(timerq_next(&queue), 200);
	timerq_arm(&queue, &timers[0].timer, 50);
	ck_assert_int_eq(timerq_next(&queue), 50);
	timerq_run(&queue, 1000);
	ck_assert_uint_eq(timers[0].n_fired, 1);
	ck_assert_uint_eq(timers[1].n_fired, 1);
}
END_TEST

START_TEST(handler_that_arms_for_the_past_does_not_spin)
{
	timers[0].rearm = 1;
	last_fired = 0;
	timerq_arm(&queue, &timers[0].timer, 1);
	ck_assert_int_eq(timerq_run(&queue, 100), 1);
	ck_assert_uint_eq(timers[0].n_fired, 1);
	ck_assert_int_eq(timerq_run(&queue, 101), 1);
	ck_assert_uint_eq(timers[0].n_fired, 2);
}
END_TEST

START_TEST(room_grows_and_keeps_what_is_armed)
{
	static struct timer more;

	for (unsigned i = 0; i < TIMERS; i++)
		timerq_arm(&queue, &timers[i].timer, 1000 + (nsec_t)i);
	ck_assert_int_eq(timerq_reserve(&queue, 10 * TIMERS), 0);
	more.fire = fire;
	timerq_arm(&queue, &more, 1);
	ck_assert_int_eq(timerq_next(&queue), 1);
	timerq_disarm(&queue, &more);
	ck_assert_int_eq(timerq_next(&queue), 1000);
	timerq_run(&queue, 2000);
	ck_assert_uint_eq(timers[TIMERS - 1].n_fired, 1);
}
END_TEST

/* Against the plain way: look at all of them. */
START_TEST(heap_agrees_with_a_linear_search)
{
	uint32_t random = 1;

	for (unsigned step = 0; step < 20000; step++) {
		nsec_t earliest = NSEC_NEVER;
		struct timer *t;

		random = random * 1664525 + 1013904223;
		t = &timers[(random >> 8) % TIMERS].timer;
		if (random >> 30)
			timerq_arm(&queue, t, (nsec_t)(random >> 12 & 0xfff));
		else
			timerq_disarm(&queue, t);
		for (unsigned i = 0; i < TIMERS; i++)
			if (timer_is_armed(&timers[i].timer))
				earliest = nsec_min(earliest, timers[i].timer.deadline);
		ck_assert_int_eq(timerq_next(&queue), earliest);
	}
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("timerq");
	TCase *t = tcase_create("timerq");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, empty_queue_has_no_deadline);
	tcase_add_test(t, timer_fires_once_at_its_deadline);
	tcase_add_test(t, timers_fire_in_the_order_of_their_deadlines);
	tcase_add_test(t, disarmed_timer_does_not_fire);
	tcase_add_test(t, arming_again_moves_a_timer);
	tcase_add_test(t, handler_that_arms_for_the_past_does_not_spin);
	tcase_add_test(t, room_grows_and_keeps_what_is_armed);
	tcase_add_test(t, heap_agrees_with_a_linear_search);
	suite_add_tcase(s, t);
	return s;
}
