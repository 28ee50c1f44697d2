/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>

#include "util/ring.h"

#define SLOTS 16
#define PRODUCERS 3
#define VALUES 30000

/* Larger than a word, so that a torn copy shows. */
struct value {
	uint64_t producer;
	uint64_t number;
	uint64_t sum;
};

static struct ring *ring;

static void setup(void)
{
	ck_assert_int_eq(ring_new(&ring, SLOTS, sizeof(struct value)), 0);
}

static void teardown(void)
{
	ring_free(ring);
}

static bool push(uint64_t producer, uint64_t number)
{
	const struct value v = {producer, number, producer + number};

	return ring_push(ring, &v);
}

START_TEST(empty_ring_gives_nothing)
{
	struct value v;

	ck_assert(!ring_pop(ring, &v));
	ck_assert_uint_eq(ring_used(ring), 0);
}
END_TEST

START_TEST(values_come_out_in_order)
{
	struct value v;

	for (uint64_t i = 0; i < 5; i++)
		ck_assert(push(1, i));
	ck_assert_uint_eq(ring_used(ring), 5);
	for (uint64_t i = 0; i < 5; i++) {
		ck_assert(ring_pop(ring, &v));
		ck_assert_uint_eq(v.number, i);
	}
	ck_assert(!ring_pop(ring, &v));
}
END_TEST

START_TEST(full_ring_takes_no_more_until_one_is_popped)
{
	struct value v;

	for (uint64_t i = 0; i < SLOTS; i++)
		ck_assert(push(1, i));
	ck_assert(!push(1, SLOTS));
	ck_assert(ring_pop(ring, &v));
	ck_assert_uint_eq(v.number, 0);
	ck_assert(push(1, SLOTS));
	ck_assert(!push(1, SLOTS + 1));
}
END_TEST

START_TEST(ring_works_over_many_turns)
{
	struct value v;

	for (uint64_t i = 0; i < 10 * SLOTS; i++) {
		ck_assert(push(1, 2 * i));
		ck_assert(push(1, 2 * i + 1));
		ck_assert(ring_pop(ring, &v));
		ck_assert_uint_eq(v.number, 2 * i);
		ck_assert(ring_pop(ring, &v));
		ck_assert_uint_eq(v.number, 2 * i + 1);
	}
	ck_assert_uint_eq(ring_used(ring), 0);
}
END_TEST

static void *produce(void *arg)
{
	uint64_t producer = (uint64_t)(uintptr_t)arg;

	for (uint64_t i = 0; i < VALUES; i++)
		while (!push(producer, i))
			sched_yield();
	return NULL;
}

/* Nothing is lost, doubled or torn, and each producer's values keep their order. */
START_TEST(many_producers_and_one_consumer)
{
	pthread_t threads[PRODUCERS];
	uint64_t next[PRODUCERS] = {0};
	struct value v;

	for (uintptr_t i = 0; i < PRODUCERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, produce, (void *)i), 0);
	for (unsigned n = 0; n < PRODUCERS * VALUES;) {
		if (!ring_pop(ring, &v)) {
			sched_yield();
			continue;
		}
		ck_assert_uint_eq(v.sum, v.producer + v.number);
		ck_assert_uint_eq(v.number, next[v.producer]);
		next[v.producer]++;
		n++;
		ck_assert_uint_le(ring_used(ring), SLOTS);
	}
	for (unsigned i = 0; i < PRODUCERS; i++)
		pthread_join(threads[i], NULL);
	ck_assert(!ring_pop(ring, &v));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("ring");
	TCase *t = tcase_create("ring");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, empty_ring_gives_nothing);
	tcase_add_test(t, values_come_out_in_order);
	tcase_add_test(t, full_ring_takes_no_more_until_one_is_popped);
	tcase_add_test(t, ring_works_over_many_turns);
	tcase_add_test(t, many_producers_and_one_consumer);
	suite_add_tcase(s, t);
	return s;
}
