/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "peers/keypair.h"

#include "check_main.h"

static struct keypair *k;

static void setup(void)
{
	static const uint8_t key[32];

	ck_assert_int_eq(keypair_new(&k, key, key), 0);
}

static void teardown(void)
{
	keypair_put(k);
}

static uint64_t take(bool expects_new)
{
	uint64_t counter;
	bool is_new;

	ck_assert(keypair_take_apart(k, &counter, &is_new));
	ck_assert_int_eq(is_new, expects_new);
	return counter;
}

START_TEST(counters_apart_come_in_blocks)
{
	uint64_t counter;

	ck_assert(keypair_take_counters(k, 10, &counter));
	ck_assert_uint_eq(take(true), 11); /* 10 is to tell of the block */
	ck_assert(keypair_take_counters(k, 5, &counter));
	ck_assert_uint_eq(counter, 10 + KEYPAIR_BLOCK);
	for (uint64_t i = 2; i < KEYPAIR_BLOCK; i++)
		ck_assert_uint_eq(take(false), 10 + i);
	ck_assert_uint_eq(take(true), 10 + KEYPAIR_BLOCK + 5 + 1);
	ck_assert_uint_eq(take(false), 10 + KEYPAIR_BLOCK + 5 + 2);
}
END_TEST

START_TEST(a_block_that_has_fallen_behind_is_left)
{
	uint64_t counter;

	ck_assert_uint_eq(take(true), 1);
	ck_assert(keypair_take_counters(k, KEYPAIR_BLOCK_AGE, &counter));
	ck_assert_uint_eq(take(true), KEYPAIR_BLOCK + KEYPAIR_BLOCK_AGE + 1);
}
END_TEST

static uint64_t take_bound(uint32_t n, bool expects_new)
{
	uint64_t counter;
	bool is_new;

	ck_assert(keypair_take_bound(k, n, &counter, &is_new));
	ck_assert_int_eq(is_new, expects_new);
	return counter;
}

START_TEST(bound_packets_have_blocks_of_their_own_in_a_row)
{
	uint64_t counter;

	ck_assert_uint_eq(take_bound(64, true), 1);
	ck_assert_uint_eq(take(true), KEYPAIR_BOUND_BLOCK + 1);
	ck_assert_uint_eq(take_bound(1, false), 65);
	ck_assert_uint_eq(take_bound(KEYPAIR_BOUND_BLOCK - 66, false), 66);
	ck_assert_uint_eq(take_bound(2, true), KEYPAIR_BOUND_BLOCK + KEYPAIR_BLOCK + 1);
	ck_assert(keypair_take_counters(k, KEYPAIR_BLOCK_AGE, &counter));
	take_bound(2, true);
	/* What is left of a block is not enough. */
	take_bound(KEYPAIR_BOUND_BLOCK - 4, false);
	take_bound(2, true);
	atomic_store(&k->tx_counter, REJECT_AFTER_MESSAGES - 1);
	k->bound_left = 0;
	ck_assert(!keypair_take_bound(k, 1, &counter, &(bool){false}));
}
END_TEST

START_TEST(there_are_no_counters_beyond_the_limit)
{
	uint64_t counter;
	bool is_new;

	atomic_store(&k->tx_counter, REJECT_AFTER_MESSAGES - 1);
	ck_assert(!keypair_take_apart(k, &counter, &is_new));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("keypair");
	TCase *t = tcase_create("keypair");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, counters_apart_come_in_blocks);
	tcase_add_test(t, a_block_that_has_fallen_behind_is_left);
	tcase_add_test(t, bound_packets_have_blocks_of_their_own_in_a_row);
	tcase_add_test(t, there_are_no_counters_beyond_the_limit);
	suite_add_tcase(s, t);
	return s;
}
