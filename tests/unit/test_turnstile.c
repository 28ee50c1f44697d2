/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "links/burst.h"
#include "links/turnstile.h"

#define BATCHES 20000
#define WORKERS 4

static struct turnstile turnstile;
static struct burst batches[BATCHES];
static uint32_t passed[BATCHES]; /* numbers, in the order in which they came out */
static uint32_t n_passed;
static _Atomic bool is_passing;
static pthread_mutex_t lead = PTHREAD_MUTEX_INITIALIZER;

static void setup(void)
{
	memset(&turnstile, 0, sizeof(turnstile));
	n_passed = 0;
	for (uint32_t i = 0; i < BATCHES; i++)
		batches[i].n = i;
}

static void pass(void *ctx, struct burst *chain)
{
	(void)ctx;
	ck_assert(!atomic_exchange(&is_passing, true));
	passed[n_passed++] = chain ? chain->n : UINT32_MAX;
	atomic_store(&is_passing, false);
}

static void leave(uint64_t ticket)
{
	turnstile_leave(&turnstile, ticket, &batches[ticket], pass, NULL);
}

START_TEST(batches_wait_for_those_before_them)
{
	for (int i = 0; i < 4; i++)
		ck_assert_uint_eq(turnstile_enter(&turnstile), i);
	leave(2);
	leave(1);
	ck_assert_uint_eq(n_passed, 0);
	leave(0);
	ck_assert_uint_eq(n_passed, 3);
	leave(3);
	ck_assert_uint_eq(n_passed, 4);
	for (uint32_t i = 0; i < 4; i++)
		ck_assert_uint_eq(passed[i], i);
}
END_TEST

START_TEST(empty_batch_has_its_turn_too)
{
	turnstile_enter(&turnstile);
	turnstile_enter(&turnstile);
	leave(1);
	turnstile_leave(&turnstile, 0, NULL, pass, NULL);
	ck_assert_uint_eq(n_passed, 2);
	ck_assert_uint_eq(passed[0], UINT32_MAX);
	ck_assert_uint_eq(passed[1], 1);
}
END_TEST

START_TEST(all_are_under_way_until_the_first_has_passed)
{
	for (int i = 0; i < TURNSTILE_SLOTS; i++) {
		ck_assert_uint_eq(turnstile_used(&turnstile), i);
		turnstile_enter(&turnstile);
	}
	for (uint64_t i = TURNSTILE_SLOTS - 1; i > 0; i--)
		leave(i);
	ck_assert_uint_eq(turnstile_used(&turnstile), TURNSTILE_SLOTS);
	leave(0);
	ck_assert_uint_eq(turnstile_used(&turnstile), 0);
	ck_assert_uint_eq(n_passed, TURNSTILE_SLOTS);
}
END_TEST

static void *work(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;
	uint64_t ticket;

	for (;;) {
		pthread_mutex_lock(&lead);
		if (turnstile.next_in == BATCHES) {
			pthread_mutex_unlock(&lead);
			return NULL;
		}
		if (turnstile_used(&turnstile) == TURNSTILE_SLOTS) {
			pthread_mutex_unlock(&lead);
			sched_yield();
			continue;
		}
		ticket = turnstile_enter(&turnstile);
		pthread_mutex_unlock(&lead);
		if (rand_r(&seed) % 4 == 0)
			sched_yield();
		leave(ticket);
	}
}

START_TEST(workers_keep_the_order_and_leave_nothing)
{
	pthread_t threads[WORKERS];

	for (uintptr_t i = 0; i < WORKERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, (void *)i), 0);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(n_passed, BATCHES);
	for (uint32_t i = 0; i < BATCHES; i++)
		ck_assert_uint_eq(passed[i], i);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("turnstile");
	TCase *t = tcase_create("turnstile");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, batches_wait_for_those_before_them);
	tcase_add_test(t, empty_batch_has_its_turn_too);
	tcase_add_test(t, all_are_under_way_until_the_first_has_passed);
	tcase_add_test(t, workers_keep_the_order_and_leave_nothing);
	suite_add_tcase(s, t);
	return s;
}
