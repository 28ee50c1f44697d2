/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/rcu.h"
#include "util/thread.h"

#define READERS 3
#define SNAPSHOTS 2000
#define WORDS 16
#define RELEASED UINT64_MAX

/* All words are equal while it lives, and RELEASED afterwards. */
struct snapshot {
	uint64_t words[WORDS];
	struct rcu_link rcu;
};

static RCU_SLOT(struct snapshot) slot;
static _Atomic unsigned n_released;
static _Atomic bool is_over;
static _Atomic uint64_t n_reads;

static void setup(void)
{
	ck_assert_int_eq(thread_adopt(), 0);
	rcu_publish(&slot, NULL);
	n_released = 0;
	is_over = false;
	n_reads = 0;
}

static void teardown(void)
{
	thread_disown();
}

static struct snapshot *make(uint64_t value)
{
	struct snapshot *s = malloc(sizeof(*s));

	ck_assert_ptr_nonnull(s);
	for (unsigned i = 0; i < WORDS; i++)
		s->words[i] = value;
	return s;
}

static void release(struct rcu_link *link)
{
	struct snapshot *s = (struct snapshot *)((char *)link - offsetof(struct snapshot, rcu));

	for (unsigned i = 0; i < WORDS; i++)
		s->words[i] = RELEASED;
	free(s);
	atomic_fetch_add(&n_released, 1);
}

START_TEST(empty_slot_reads_as_null)
{
	rcu_begin();
	ck_assert_ptr_null(rcu_read(&slot));
	rcu_end();
}
END_TEST

START_TEST(published_snapshot_is_read)
{
	struct snapshot *s = make(7);

	rcu_publish(&slot, s);
	rcu_begin();
	ck_assert_ptr_eq(rcu_read(&slot), s);
	rcu_end();
	ck_assert_ptr_eq(rcu_own(&slot), s);
	rcu_publish(&slot, NULL);
	rcu_retire(&s->rcu, release);
	rcu_drain();
}
END_TEST

START_TEST(drain_waits_for_all_that_was_retired)
{
	for (unsigned i = 0; i < 100; i++)
		rcu_retire(&make(i)->rcu, release);
	rcu_drain();
	ck_assert_uint_eq(n_released, 100);
}
END_TEST

START_TEST(nothing_is_released_under_a_reader)
{
	struct snapshot *s = make(7);

	rcu_publish(&slot, s);
	rcu_begin();
	rcu_publish(&slot, NULL);
	rcu_retire(&s->rcu, release);
	/* The grace period cannot end before rcu_end(), however long it has been waited for. */
	for (unsigned i = 0; i < 100000; i++)
		ck_assert_uint_eq(atomic_load(&n_released), 0);
	ck_assert_uint_eq(s->words[0], 7);
	rcu_end();
	rcu_drain();
	ck_assert_uint_eq(n_released, 1);
}
END_TEST

/* Sees every snapshot whole, and never one that is older than the last. */
static void read_slot(void *arg)
{
	_Atomic unsigned *n_wrong = arg;
	uint64_t last = 0;

	while (!atomic_load(&is_over)) {
		const struct snapshot *s;

		rcu_begin();
		s = rcu_read(&slot);
		for (unsigned i = 0; i < WORDS; i++)
			if (s->words[i] < last || s->words[i] != s->words[0])
				atomic_fetch_add(n_wrong, 1);
		last = s->words[0];
		rcu_end();
		atomic_fetch_add(&n_reads, 1);
	}
}

START_TEST(readers_see_whole_snapshots_while_the_writer_swaps_them)
{
	_Atomic unsigned n_wrong = 0;
	struct thread readers[READERS];

	rcu_publish(&slot, make(1));
	for (unsigned i = 0; i < READERS; i++)
		ck_assert_int_eq(thread_start(&readers[i], "reader", read_slot, &n_wrong), 0);
	for (uint64_t i = 2; i < SNAPSHOTS || atomic_load(&n_reads) < 10000; i++) {
		struct snapshot *old = rcu_own(&slot);

		rcu_publish(&slot, make(i));
		rcu_retire(&old->rcu, release);
		if (i % 100 == 0)
			rcu_drain();
	}
	atomic_store(&is_over, true);
	for (unsigned i = 0; i < READERS; i++)
		thread_join(&readers[i]);
	rcu_retire(&rcu_own(&slot)->rcu, release);
	rcu_drain();
	ck_assert_uint_eq(n_wrong, 0);
	ck_assert_uint_ge(n_released, SNAPSHOTS - 1);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("rcu");
	TCase *t = tcase_create("rcu");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, empty_slot_reads_as_null);
	tcase_add_test(t, published_snapshot_is_read);
	tcase_add_test(t, drain_waits_for_all_that_was_retired);
	tcase_add_test(t, nothing_is_released_under_a_reader);
	tcase_add_test(t, readers_see_whole_snapshots_while_the_writer_swaps_them);
	suite_add_tcase(s, t);
	return s;
}
