/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include "delay.h"

#define ROOM 4096
#define MS NSEC_PER_MSEC

static struct delay *delay;
static struct chance chance;
static struct settings settings;
static nsec_t starts[ROOM]; /* the packets: when each left */

static void setup(void)
{
	ck_assert_int_eq(delay_new(&delay, ROOM), 0);
	chance = (struct chance){1};
	settings = (struct settings)SETTINGS_DEFAULT;
	settings.delay = 10 * MS;
}

static void teardown(void)
{
	delay_free(delay);
}

static bool push(int packet, nsec_t start)
{
	bool is_held;

	starts[packet] = start;
	ck_assert(delay_push(delay, start, &starts[packet], &settings, &chance, &is_held));
	return is_held;
}

static void push_train(int n, nsec_t interval)
{
	for (int i = 0; i < n; i++)
		push(i, i * interval);
}

struct outcome {
	unsigned n_overtaken;
	nsec_t least, most; /* time on the way */
	nsec_t roughness;   /* greatest difference between neighbours */
};

/* Everything out, each at the moment of its arrival. */
static struct outcome drain(void)
{
	struct outcome o = {.least = NSEC_NEVER};
	nsec_t last_start = -1, last_travel = -1, now;
	const nsec_t *start;

	while ((now = delay_next(delay)) != NSEC_NEVER) {
		ck_assert_ptr_null(delay_pop(delay, now - 1));
		start = delay_pop(delay, now);
		o.n_overtaken += *start < last_start;
		o.least = nsec_min(o.least, now - *start);
		o.most = nsec_max(o.most, now - *start);
		if (last_travel >= 0)
			o.roughness = nsec_max(o.roughness, llabs(now - *start - last_travel));
		last_travel = now - *start;
		last_start = nsec_max(last_start, *start);
	}
	ck_assert_ptr_null(delay_pop(delay, NSEC_NEVER));
	return o;
}

START_TEST(fixed_delay_is_exact_and_keeps_the_order)
{
	struct outcome o;

	push_train(ROOM, 1000);
	o = drain();
	ck_assert_int_eq(o.least, 10 * MS);
	ck_assert_int_eq(o.most, 10 * MS);
	ck_assert_uint_eq(o.n_overtaken, 0);
}
END_TEST

START_TEST(packets_of_one_moment_keep_their_order)
{
	for (int i = 0; i < 100; i++)
		push(i, MS);
	for (int i = 0; i < 100; i++)
		ck_assert_ptr_eq(delay_pop(delay, 11 * MS), &starts[i]);
}
END_TEST

START_TEST(shorter_delay_overtakes_nothing)
{
	push(0, 0);
	settings.delay = MS;
	push(1, MS);
	ck_assert_int_eq(delay_next(delay), 10 * MS);
	ck_assert_ptr_eq(delay_pop(delay, 10 * MS), &starts[0]);
	ck_assert_ptr_eq(delay_pop(delay, 10 * MS), &starts[1]);
}
END_TEST

START_TEST(jitter_fills_its_range_and_keeps_the_order)
{
	struct outcome o;

	settings.jitter = 5 * MS;
	push_train(ROOM, MS);
	o = drain();
	ck_assert_uint_eq(o.n_overtaken, 0);
	ck_assert_int_ge(o.least, 10 * MS);
	ck_assert_int_lt(o.least, 10 * MS + MS / 2);
	ck_assert_int_le(o.most, 15 * MS);
	ck_assert_int_gt(o.most, 15 * MS - MS / 2);
}
END_TEST

START_TEST(dense_flow_sees_the_same_jitter)
{
	struct outcome o;

	settings.jitter = 5 * MS;
	push_train(ROOM, 100 * NSEC_PER_USEC);
	o = drain();
	ck_assert_uint_eq(o.n_overtaken, 0);
	ck_assert_int_lt(o.least, 10 * MS + MS / 2);
	ck_assert_int_gt(o.most, 15 * MS - MS / 2);
	ck_assert_int_le(o.roughness, 100 * NSEC_PER_USEC + 1);
}
END_TEST

START_TEST(sparse_flow_sees_independent_jitter)
{
	struct outcome o;

	settings.jitter = 5 * MS;
	push_train(ROOM, 100 * MS);
	o = drain();
	ck_assert_int_gt(o.roughness, 4 * MS);
}
END_TEST

START_TEST(jitter_reorders_if_asked)
{
	settings.jitter = 5 * MS;
	settings.jitter_reorders = true;
	push_train(ROOM, 100 * NSEC_PER_USEC);
	ck_assert_uint_gt(drain().n_overtaken, ROOM / 4);
}
END_TEST

START_TEST(held_packets_come_later_by_that_much)
{
	unsigned n_held = 0;
	struct outcome o;

	settings.reorder = 0.05;
	settings.reorder_by = 3 * MS;
	for (int i = 0; i < ROOM; i++)
		n_held += push(i, i * MS);
	o = drain();
	ck_assert_uint_gt(n_held, ROOM * 4 / 100);
	ck_assert_uint_lt(n_held, ROOM * 6 / 100);
	ck_assert_uint_gt(o.n_overtaken, n_held * 8 / 10);
	ck_assert_int_eq(o.least, 10 * MS);
	ck_assert_int_eq(o.most, 13 * MS);
}
END_TEST

START_TEST(room_is_bounded)
{
	bool is_held;

	push_train(ROOM, 1);
	ck_assert_uint_eq(delay_used(delay), ROOM);
	ck_assert(!delay_push(delay, ROOM, starts, &settings, &chance, &is_held));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("delay");
	TCase *t = tcase_create("delay");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, fixed_delay_is_exact_and_keeps_the_order);
	tcase_add_test(t, packets_of_one_moment_keep_their_order);
	tcase_add_test(t, shorter_delay_overtakes_nothing);
	tcase_add_test(t, jitter_fills_its_range_and_keeps_the_order);
	tcase_add_test(t, dense_flow_sees_the_same_jitter);
	tcase_add_test(t, sparse_flow_sees_independent_jitter);
	tcase_add_test(t, jitter_reorders_if_asked);
	tcase_add_test(t, held_packets_come_later_by_that_much);
	tcase_add_test(t, room_is_bounded);
	suite_add_tcase(s, t);
	return s;
}
