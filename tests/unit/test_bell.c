/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/bell.h"

#define ROUNDS 20000
/* A wake-up that takes longer has been lost. */
#define LOST_MS 10000

static int file;
static struct bell bell;
static _Atomic unsigned n_woken;

static void setup(void)
{
	file = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	ck_assert_int_ge(file, 0);
	ck_assert_int_eq(bell_init(&bell, file), 0);
	atomic_store(&n_woken, 0);
}

static void teardown(void)
{
	bell_deinit(&bell);
	close(file);
}

static void put(void)
{
	const uint64_t one = 1;

	ck_assert_int_eq(write(file, &one, sizeof(one)), sizeof(one));
}

static bool take(void)
{
	uint64_t one;

	return read(file, &one, sizeof(one)) == sizeof(one);
}

static bool is_awake(int timeout_ms)
{
	struct pollfd fd = {.fd = bell.fd, .events = POLLIN};

	return poll(&fd, 1, timeout_ms) == 1;
}

START_TEST(sleeper_wakes_up_while_there_is_something)
{
	ck_assert(!is_awake(0));
	put();
	ck_assert(is_awake(0));
	ck_assert(is_awake(0));
	ck_assert(take());
	ck_assert(!is_awake(0));
}
END_TEST

START_TEST(what_is_read_while_muted_wakes_nobody)
{
	bell_mute(&bell);
	put();
	ck_assert(!is_awake(0));
	ck_assert(take());
	bell_unmute(&bell);
	ck_assert(!is_awake(0));
}
END_TEST

START_TEST(what_is_left_while_muted_wakes_the_sleeper_then)
{
	bell_mute(&bell);
	put();
	put();
	ck_assert(take());
	ck_assert(!is_awake(0));
	bell_unmute(&bell);
	ck_assert(is_awake(0));
}
END_TEST

START_TEST(what_came_before_wakes_nobody_while_muted)
{
	put();
	bell_mute(&bell);
	ck_assert(!is_awake(0));
	bell_unmute(&bell);
	ck_assert(is_awake(0));
}
END_TEST

START_TEST(deinit_twice_is_fine)
{
	bell_deinit(&bell);
	ck_assert_int_eq(bell.fd, -1);
	bell_deinit(&bell);
}
END_TEST

/* Takes the first of two in the sleeper's place, as a worker that expects one answer does. */
static void *take_in_its_place(void *arg)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		bell_mute(&bell);
		put();
		put();
		ck_assert(take());
		bell_unmute(&bell);
		while (atomic_load(&n_woken) == i)
			sched_yield();
	}
	return arg;
}

START_TEST(no_wake_up_is_lost)
{
	pthread_t other;

	ck_assert_int_eq(pthread_create(&other, NULL, take_in_its_place, NULL), 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		ck_assert(is_awake(LOST_MS));
		ck_assert(take());
		ck_assert(!take());
		atomic_store(&n_woken, i + 1);
	}
	pthread_join(other, NULL);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("bell");
	TCase *t = tcase_create("bell");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, sleeper_wakes_up_while_there_is_something);
	tcase_add_test(t, what_is_read_while_muted_wakes_nobody);
	tcase_add_test(t, what_is_left_while_muted_wakes_the_sleeper_then);
	tcase_add_test(t, what_came_before_wakes_nobody_while_muted);
	tcase_add_test(t, deinit_twice_is_fine);
	tcase_add_test(t, no_wake_up_is_lost);
	suite_add_tcase(s, t);
	return s;
}
