/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "util/pool.h"

#define CELLS 8
#define CELL_BYTES 100
#define THREADS 4
#define ROUNDS 20000

static struct pool *pool;

static void setup(void)
{
	ck_assert_int_eq(pool_new(&pool, CELLS, CELL_BYTES), 0);
}

static void teardown(void)
{
	pool_free(pool);
}

START_TEST(every_cell_is_given_once_and_then_none)
{
	uint8_t *cells[CELLS];

	ck_assert_uint_eq(pool_cells(pool), CELLS);
	for (unsigned i = 0; i < CELLS; i++) {
		cells[i] = pool_take(pool);
		ck_assert_ptr_nonnull(cells[i]);
		for (unsigned j = 0; j < i; j++)
			ck_assert_ptr_ne(cells[i], cells[j]);
	}
	ck_assert_ptr_null(pool_take(pool));
	ck_assert_uint_eq(pool_available(pool), 0);
	for (unsigned i = 0; i < CELLS; i++)
		pool_give(pool, cells[i]);
	ck_assert_uint_eq(pool_available(pool), CELLS);
}
END_TEST

START_TEST(cells_begin_on_cache_lines_and_do_not_overlap)
{
	uint8_t *cells[CELLS];

	for (unsigned i = 0; i < CELLS; i++) {
		cells[i] = pool_take(pool);
		ck_assert_uint_eq((uintptr_t)cells[i] % 64, 0);
		memset(cells[i], (int)i, CELL_BYTES);
	}
	for (unsigned i = 0; i < CELLS; i++) {
		for (unsigned j = 0; j < CELL_BYTES; j++)
			ck_assert_uint_eq(cells[i][j], i);
		pool_give(pool, cells[i]);
	}
}
END_TEST

START_TEST(cell_given_last_is_taken_next)
{
	void *first = pool_take(pool);
	void *second = pool_take(pool);

	pool_give(pool, first);
	pool_give(pool, second);
	ck_assert_ptr_eq(pool_take(pool), second);
	ck_assert_ptr_eq(pool_take(pool), first);
	pool_give(pool, first);
	pool_give(pool, second);
}
END_TEST

START_TEST(pool_of_one_cell_works)
{
	struct pool *one;
	void *cell;

	ck_assert_int_eq(pool_new(&one, 1, 1), 0);
	cell = pool_take(one);
	ck_assert_ptr_nonnull(cell);
	ck_assert_ptr_null(pool_take(one));
	pool_give(one, cell);
	ck_assert_ptr_eq(pool_take(one), cell);
	pool_give(one, cell);
	pool_free(one);
	pool_free(NULL);
}
END_TEST

/* Writes its own number into the cells it has: nobody else may have them at that time. */
static void *take_and_give(void *arg)
{
	uint64_t mine = (uint64_t)(uintptr_t)arg;
	uintptr_t n_foreign = 0;
	uint64_t *cells[3];

	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < 3; i++) {
			cells[i] = pool_take(pool);
			if (cells[i])
				*cells[i] = mine;
		}
		for (unsigned i = 0; i < 3; i++) {
			if (!cells[i])
				continue;
			n_foreign += *cells[i] != mine;
			pool_give(pool, cells[i]);
		}
	}
	return (void *)n_foreign;
}

START_TEST(no_cell_belongs_to_two_threads)
{
	pthread_t threads[THREADS];
	void *n_foreign;

	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, take_and_give, (void *)(i + 1)),
				 0);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &n_foreign);
		ck_assert_ptr_null(n_foreign);
	}
	ck_assert_uint_eq(pool_available(pool), CELLS);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("pool");
	TCase *t = tcase_create("pool");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, every_cell_is_given_once_and_then_none);
	tcase_add_test(t, cells_begin_on_cache_lines_and_do_not_overlap);
	tcase_add_test(t, cell_given_last_is_taken_next);
	tcase_add_test(t, pool_of_one_cell_works);
	tcase_add_test(t, no_cell_belongs_to_two_threads);
	suite_add_tcase(s, t);
	return s;
}
