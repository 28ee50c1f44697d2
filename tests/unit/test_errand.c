/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include <poll.h>
#include <string.h>

#include "util/errand.h"
#include "util/thread.h"

#define ERRANDS 2000

static struct thread thread;
static struct waker waker;
static struct errands errands;
static _Atomic bool stop;
static pthread_t runs_in; /* plain: that is what errands are for */
static unsigned n_run;

static void serve(void *arg)
{
	struct pollfd fd = {.fd = waker.fd, .events = POLLIN};

	(void)arg;
	while (!atomic_load(&stop)) {
		errands_do(&errands);
		waker_sleep(&waker);
		if (!atomic_load(&stop) && !errands_wait(&errands))
			poll(&fd, 1, -1);
		waker_awake(&waker);
	}
}

static void count(void *arg)
{
	runs_in = pthread_self();
	n_run += *(unsigned *)arg;
}

static void setup(void)
{
	memset(&errands, 0, sizeof(errands));
	n_run = 0;
	ck_assert_int_eq(waker_init(&waker), 0);
}

static void teardown(void)
{
	waker_deinit(&waker);
}

START_TEST(thread_that_sleeps_runs_it_while_its_sender_waits)
{
	unsigned one = 1;

	atomic_store(&stop, false);
	ck_assert_int_eq(thread_start(&thread, "serve", serve, NULL), 0);
	errands_open(&errands);
	for (unsigned i = 1; i <= ERRANDS; i++) {
		errands_send(&errands, &waker, count, &one);
		ck_assert_uint_eq(n_run, i);
		ck_assert(!pthread_equal(runs_in, pthread_self()));
	}
	atomic_store(&stop, true);
	waker_wake(&waker);
	thread_join(&thread);
	errands_close(&errands);
}
END_TEST

START_TEST(without_the_thread_its_sender_runs_it)
{
	unsigned two = 2;

	errands_send(&errands, &waker, count, &two);
	ck_assert_uint_eq(n_run, 2);
	ck_assert(pthread_equal(runs_in, pthread_self()));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("errand");
	TCase *t = tcase_create("errand");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, thread_that_sleeps_runs_it_while_its_sender_waits);
	tcase_add_test(t, without_the_thread_its_sender_runs_it);
	suite_add_tcase(s, t);
	return s;
}
