/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <unistd.h>

#include "util/waker.h"

#define PRODUCERS 3
#define ENTRIES 20000
/* A wake-up that takes longer has been lost. */
#define LOST_MS 10000

static struct waker waker;
static _Atomic uint64_t queued; /* what a queue would hold */

static void setup(void)
{
	ck_assert_int_eq(waker_init(&waker), 0);
	atomic_store(&queued, 0);
}

static void teardown(void)
{
	waker_deinit(&waker);
}

static bool is_readable(int timeout_ms)
{
	struct pollfd fd = {.fd = waker.fd, .events = POLLIN};

	return poll(&fd, 1, timeout_ms) == 1;
}

START_TEST(waking_an_awake_thread_writes_nothing)
{
	waker_wake(&waker);
	ck_assert(!is_readable(0));
}
END_TEST

START_TEST(waking_a_sleeper_makes_its_descriptor_readable)
{
	waker_sleep(&waker);
	ck_assert(!is_readable(0));
	waker_wake(&waker);
	ck_assert(is_readable(0));
	waker_awake(&waker);
	ck_assert(!is_readable(0));
}
END_TEST

START_TEST(sleeper_is_woken_once)
{
	uint64_t count;

	waker_sleep(&waker);
	for (unsigned i = 0; i < 5; i++)
		waker_wake(&waker);
	ck_assert_int_eq(read(waker.fd, &count, sizeof(count)), sizeof(count));
	ck_assert_uint_eq(count, 1);
}
END_TEST

START_TEST(sleeper_that_finds_work_goes_on_awake)
{
	waker_sleep(&waker);
	waker_awake(&waker);
	waker_wake(&waker);
	ck_assert(!is_readable(0));
}
END_TEST

START_TEST(deinit_twice_is_fine)
{
	waker_deinit(&waker);
	ck_assert_int_eq(waker.fd, -1);
	waker_deinit(&waker);
}
END_TEST

static void *produce(void *arg)
{
	for (unsigned i = 0; i < ENTRIES; i++) {
		atomic_fetch_add_explicit(&queued, 1, memory_order_release);
		waker_wake(&waker);
		if (i % 16 == 0)
			sched_yield();
	}
	return arg;
}

/* The loop of waker.h; with a wake-up lost it would sleep on a queue that is not empty. */
START_TEST(no_wake_up_is_lost)
{
	pthread_t threads[PRODUCERS];
	uint64_t taken = 0;

	for (unsigned i = 0; i < PRODUCERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, produce, NULL), 0);
	while (taken < PRODUCERS * ENTRIES) {
		taken += atomic_exchange_explicit(&queued, 0, memory_order_acquire);
		if (taken == PRODUCERS * ENTRIES)
			break;
		waker_sleep(&waker);
		if (!atomic_load_explicit(&queued, memory_order_acquire))
			ck_assert(is_readable(LOST_MS));
		waker_awake(&waker);
	}
	for (unsigned i = 0; i < PRODUCERS; i++)
		pthread_join(threads[i], NULL);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("waker");
	TCase *t = tcase_create("waker");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, waking_an_awake_thread_writes_nothing);
	tcase_add_test(t, waking_a_sleeper_makes_its_descriptor_readable);
	tcase_add_test(t, sleeper_is_woken_once);
	tcase_add_test(t, sleeper_that_finds_work_goes_on_awake);
	tcase_add_test(t, deinit_twice_is_fine);
	tcase_add_test(t, no_wake_up_is_lost);
	suite_add_tcase(s, t);
	return s;
}
