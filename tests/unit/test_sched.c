/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include "links/sched.h"

static struct sched sched;
static unsigned taken[SCHED_PATHS];

static void setup(void)
{
	sched = (struct sched){0};
	for (unsigned i = 0; i < SCHED_PATHS; i++)
		taken[i] = 0;
}

static uint8_t send_one(const struct sched_candidate *candidates, unsigned n, uint64_t bytes)
{
	const struct sched_candidate *c = &candidates[sched_pick(&sched, candidates, n)];

	sched_charge(&sched, c, bytes);
	taken[c->slot]++;
	return c->slot;
}

static void send_many(const struct sched_candidate *candidates, unsigned n, unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		send_one(candidates, n, 1400);
}

START_TEST(only_candidate_is_taken)
{
	const struct sched_candidate c = {.slot = 5, .weight = 1};

	ck_assert_uint_eq(send_one(&c, 1, 100), 5);
	ck_assert_uint_eq(send_one(&c, 1, 100), 5);
}
END_TEST

START_TEST(equal_weights_take_turns)
{
	const struct sched_candidate c[] = {{.slot = 0, .weight = 1}, {.slot = 1, .weight = 1}};

	for (unsigned i = 0; i < 10; i++)
		ck_assert_uint_eq(send_one(c, 2, 1400), i % 2);
}
END_TEST

START_TEST(weights_are_kept)
{
	const struct sched_candidate c[] = {
		{.slot = 2, .weight = 5}, {.slot = 7, .weight = 3}, {.slot = 15, .weight = 2}};

	send_many(c, 3, 10000);
	ck_assert_int_le(abs((int)taken[2] - 5000), 1);
	ck_assert_int_le(abs((int)taken[7] - 3000), 1);
	ck_assert_int_le(abs((int)taken[15] - 2000), 1);
}
END_TEST

START_TEST(bytes_are_shared_not_packets)
{
	const struct sched_candidate c[] = {{.slot = 0, .weight = 1}, {.slot = 1, .weight = 1}};
	uint64_t bytes[2] = {0};

	for (unsigned i = 0; i < 3000; i++) {
		uint64_t size = i % 3 ? 64 : 1400;

		bytes[send_one(c, 2, size)] += size;
	}
	ck_assert_int_le(llabs((long long)(bytes[0] - bytes[1])), 1400);
}
END_TEST

START_TEST(picking_alone_counts_nothing)
{
	const struct sched_candidate c[] = {{.slot = 0, .weight = 1}, {.slot = 1, .weight = 1}};

	for (unsigned i = 0; i < 5; i++)
		ck_assert_uint_eq(sched_pick(&sched, c, 2), 0);
}
END_TEST

START_TEST(path_that_was_away_does_not_catch_up)
{
	const struct sched_candidate c[] = {{.slot = 0, .weight = 1}, {.slot = 1, .weight = 1}};

	send_many(c, 2, 10);
	send_many(c, 1, 1000);
	taken[0] = taken[1] = 0;
	send_many(c, 2, 100);
	ck_assert_int_le(abs((int)taken[1] - 50), 1);
}
END_TEST

/* Virtual times wrap around: however long the absence, it must not look like a lead. */
START_TEST(path_that_was_away_very_long_is_taken_again)
{
	const struct sched_candidate c[] = {{.slot = 0, .weight = 1}, {.slot = 1, .weight = 1}};

	for (uint64_t terabytes = 1; terabytes <= 20; terabytes++) {
		setup();
		for (uint64_t sent = 0; sent < terabytes * 100; sent++)
			send_one(c, 1, 10000000000);
		send_one(c, 1, 1400);
		taken[0] = taken[1] = 0;
		send_many(c, 2, 100);
		ck_assert_msg(taken[1] >= 49, "after %lu TB: %u of 100", (unsigned long)terabytes,
			      taken[1]);
	}
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("sched");
	TCase *t = tcase_create("sched");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, only_candidate_is_taken);
	tcase_add_test(t, equal_weights_take_turns);
	tcase_add_test(t, weights_are_kept);
	tcase_add_test(t, bytes_are_shared_not_packets);
	tcase_add_test(t, picking_alone_counts_nothing);
	tcase_add_test(t, path_that_was_away_does_not_catch_up);
	tcase_add_test(t, path_that_was_away_very_long_is_taken_again);
	suite_add_tcase(s, t);
	return s;
}
