/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "crypto/replay.h"

#include <stdlib.h>

#include "check_main.h"

static struct replay *r;

/* Check writes a note of every assertion, which is too slow for millions of them. */
static void expect(uint64_t counter, enum replay_verdict want)
{
	enum replay_verdict got = replay_check(r, counter);

	if (got != want)
		ck_abort_msg("counter %llu: verdict %d, not %d", (unsigned long long)counter, got,
			     want);
}

static void setup(void)
{
	ck_assert_int_eq(replay_new(&r), 0);
}

static void teardown(void)
{
	replay_free(r);
}

START_TEST(counter_zero_is_fresh_once)
{
	expect(0, REPLAY_FRESH);
	expect(0, REPLAY_SEEN);
}
END_TEST

START_TEST(counter_zero_may_come_after_others)
{
	expect(5, REPLAY_FRESH);
	expect(0, REPLAY_FRESH);
	expect(0, REPLAY_SEEN);
	expect(5, REPLAY_SEEN);
}
END_TEST

START_TEST(every_counter_passes_once_in_order)
{
	for (uint64_t i = 0; i < 3 * REPLAY_BITS; i++) {
		expect(i, REPLAY_FRESH);
		expect(i, REPLAY_SEEN);
	}
}
END_TEST

START_TEST(every_counter_of_a_window_passes_once_in_reverse)
{
	for (uint64_t i = REPLAY_WINDOW; i-- > 0;)
		expect(i, REPLAY_FRESH);
	for (uint64_t i = 0; i < REPLAY_WINDOW; i++)
		expect(i, REPLAY_SEEN);
}
END_TEST

/* At every offset of the newest within its word. */
START_TEST(window_ends_exactly_where_it_says)
{
	for (uint64_t newest = 5 * REPLAY_BITS; newest < 5 * REPLAY_BITS + 130; newest++) {
		expect(newest, REPLAY_FRESH);
		expect(newest - REPLAY_WINDOW, REPLAY_OLD);
		expect(newest - REPLAY_WINDOW + 1, REPLAY_FRESH);
		expect(newest - REPLAY_WINDOW + 1, REPLAY_SEEN);
	}
}
END_TEST

START_TEST(seen_counter_becomes_old)
{
	expect(100, REPLAY_FRESH);
	expect(100 + REPLAY_WINDOW - 1, REPLAY_FRESH);
	expect(100, REPLAY_SEEN);
	expect(100 + REPLAY_WINDOW, REPLAY_FRESH);
	expect(100, REPLAY_OLD);
}
END_TEST

/* Around the length of the ring, where what was there before must not shine through. */
START_TEST(jump_leaves_no_old_marks_behind)
{
	static const uint64_t jumps[] = {
		1,
		63,
		64,
		65,
		REPLAY_WINDOW - 1,
		REPLAY_WINDOW,
		REPLAY_WINDOW + 1,
		REPLAY_BITS - 1,
		REPLAY_BITS,
		REPLAY_BITS + 1,
		2 * REPLAY_BITS,
		1000 * (uint64_t)REPLAY_BITS + 7,
	};
	uint64_t newest = 0;

	for (size_t j = 0; j < sizeof(jumps) / sizeof(*jumps); j++) {
		uint64_t full = newest + REPLAY_BITS;
		uint64_t target = full + jumps[j];
		uint64_t first = jumps[j] < REPLAY_BITS ? full + 1 : target - REPLAY_BITS;

		for (uint64_t i = newest + 1; i <= full; i++)
			expect(i, REPLAY_FRESH);
		expect(target, REPLAY_FRESH);
		expect(full, jumps[j] < REPLAY_WINDOW ? REPLAY_SEEN : REPLAY_OLD);
		for (uint64_t i = first; i < target; i++)
			expect(i, target - i < REPLAY_WINDOW ? REPLAY_FRESH : REPLAY_OLD);
		newest = target;
	}
}
END_TEST

START_TEST(largest_counter_does_not_wrap)
{
	expect(0, REPLAY_FRESH);
	expect(UINT64_MAX - 1, REPLAY_FRESH);
	expect(UINT64_MAX, REPLAY_FRESH);
	expect(UINT64_MAX, REPLAY_SEEN);
	expect(UINT64_MAX - 1, REPLAY_SEEN);
	expect(UINT64_MAX - REPLAY_WINDOW + 1, REPLAY_FRESH);
	expect(UINT64_MAX - REPLAY_WINDOW, REPLAY_OLD);
	expect(0, REPLAY_OLD);
}
END_TEST

#define SPAN (UINT64_C(4) << 20)

/* What the window must say, from one flag for every counter. */
static enum replay_verdict slow_check(bool *seen, uint64_t *newest, uint64_t offset)
{
	if (offset > *newest)
		*newest = offset;
	if (*newest - offset >= REPLAY_WINDOW)
		return REPLAY_OLD;
	if (seen[offset])
		return REPLAY_SEEN;
	seen[offset] = true;
	return REPLAY_FRESH;
}

/* Mostly near the newest, sometimes far behind or well ahead. */
static uint64_t pick(uint64_t newest, uint64_t dice, uint64_t range)
{
	uint64_t back = dice % 4 == 0 ? range % (2 * REPLAY_BITS) : range % 300;
	uint64_t ahead = dice % 256 == 1 ? range % (REPLAY_BITS / 8) : range % 8;

	if (dice % 4 == 1)
		return newest + ahead;
	return newest > back ? newest - back : 0;
}

START_TEST(random_counters_agree_with_a_slow_reference)
{
	static const uint64_t bases[] = {0, 1000003, UINT64_MAX - SPAN};
	uint64_t base = bases[_i];
	bool *seen = calloc(SPAN, sizeof(*seen));
	uint64_t newest = 0;
	unsigned got[3] = {0};

	ck_assert_ptr_nonnull(seen);
	srandom(20 + (unsigned)_i);
	/* The base itself first: a fresh window has no newest counter of its own. */
	ck_assert_int_eq(replay_check(r, base), slow_check(seen, &newest, 0));
	for (unsigned i = 0; i < 500000; i++) {
		uint64_t offset = pick(newest, (uint64_t)random(), (uint64_t)random());
		enum replay_verdict want;

		if (offset >= SPAN)
			break;
		want = slow_check(seen, &newest, offset);
		expect(base + offset, want);
		got[want]++;
	}
	free(seen);
	for (unsigned v = 0; v < 3; v++)
		ck_assert_uint_gt(got[v], 100);
}
END_TEST

START_TEST(freeing_nothing_is_fine)
{
	replay_free(NULL);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("replay");
	TCase *c = tcase_create("replay");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, counter_zero_is_fresh_once);
	tcase_add_test(c, counter_zero_may_come_after_others);
	tcase_add_test(c, every_counter_passes_once_in_order);
	tcase_add_test(c, every_counter_of_a_window_passes_once_in_reverse);
	tcase_add_test(c, window_ends_exactly_where_it_says);
	tcase_add_test(c, seen_counter_becomes_old);
	tcase_add_test(c, jump_leaves_no_old_marks_behind);
	tcase_add_test(c, largest_counter_does_not_wrap);
	tcase_add_loop_test(c, random_counters_agree_with_a_slow_reference, 0, 3);
	tcase_add_test(c, freeing_nothing_is_fine);
	suite_add_tcase(s, c);
	return s;
}
