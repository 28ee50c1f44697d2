/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Time. Nearly all code takes `now` as an argument; only the thread loops read a clock,
 * once per batch, so that tests never sleep.
 */
#pragma once

#include <stdint.h>
#include <time.h>

/* Nanoseconds on the boot-time clock: monotonic, and counting through suspend. */
typedef int64_t nsec_t;

#define NSEC_PER_USEC ((nsec_t)1000)
#define NSEC_PER_MSEC ((nsec_t)1000000)
#define NSEC_PER_SEC ((nsec_t)1000000000)
#define NSEC_NEVER INT64_MAX

static inline nsec_t clock_read(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

static inline nsec_t clock_now(void)
{
	return clock_read(CLOCK_BOOTTIME);
}

/* Wall-clock time since the Unix epoch: only for TAI64N stamps and for people. */
static inline nsec_t clock_wall(void)
{
	return clock_read(CLOCK_REALTIME);
}

static inline nsec_t nsec_min(nsec_t a, nsec_t b)
{
	return a < b ? a : b;
}

static inline nsec_t nsec_max(nsec_t a, nsec_t b)
{
	return a > b ? a : b;
}
