/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Times small pieces of code. A round is as many calls as take ROUND_TIME; the result is the
 * median of the rounds, so that what else the machine does meanwhile costs a round and not the
 * result. One line each: "name value unit".
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"

#define BENCH_ROUNDS 15
#define BENCH_ROUND_TIME (10 * NSEC_PER_MSEC)

/* Does what is measured `n` times. */
typedef void (*bench_fn)(void *ctx, size_t n);

/* Set-up that fails ends the program: there is nothing to measure. */
static inline void bench_need(int is_fine, const char *what)
{
	if (is_fine)
		return;
	fprintf(stderr, "bench: failed: %s\n", what);
	exit(EXIT_FAILURE);
}

/* Memory for the whole run, all bytes `fill`. */
static inline void *bench_alloc(size_t len, int fill)
{
	void *memory = aligned_alloc(64, (len + 63) / 64 * 64);

	bench_need(memory != NULL, "memory");
	return memset(memory, fill, len);
}

/* Makes the compiler believe that the value is used. */
#define bench_keep(value) __asm__ volatile("" : : "r"(value) : "memory")

/* xorshift64: the same numbers in every run. */
static inline uint64_t bench_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static inline nsec_t bench_round(bench_fn fn, void *ctx, size_t n)
{
	nsec_t start = clock_read(CLOCK_MONOTONIC);

	fn(ctx, n);
	return clock_read(CLOCK_MONOTONIC) - start;
}

static inline int bench_compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Doubles the calls until a round is long enough, which warms up caches and clock as well. */
static inline size_t bench_calibrate(bench_fn fn, void *ctx)
{
	size_t n = 1;

	while (bench_round(fn, ctx, n) < BENCH_ROUND_TIME)
		n *= 2;
	return n;
}

/* `per_call` is how many of the unit (packets, look-ups...) one call of `fn` stands for. */
static inline void bench_run(const char *name, const char *unit, size_t per_call, bench_fn fn,
			     void *ctx)
{
	size_t n = bench_calibrate(fn, ctx);
	double ns[BENCH_ROUNDS];

	for (size_t i = 0; i < BENCH_ROUNDS; i++)
		ns[i] = (double)bench_round(fn, ctx, n) / (double)(n * per_call);
	qsort(ns, BENCH_ROUNDS, sizeof(ns[0]), bench_compare);
	printf("%-28s %9.1f ns/%s\n", name, ns[BENCH_ROUNDS / 2], unit);
	fflush(stdout);
}
