/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What reports do to the choice of a path: tests/sim/ has how well it is. And what waits for it. */
#include "check_main.h"

#include <string.h>

#include "dataplane/spread_internal.h"

#define T0 (1000 * NSEC_PER_SEC)
#define SESSION 7
#define BYTES 1400
#define N_FAST 4

static struct path path;
static struct path_set set;
static struct spread *spread;
static nsec_t now;

static void setup(void)
{
	memset(&path, 0, sizeof(path));
	memset(&set, 0, sizeof(set));
	path.id = 1;
	atomic_init(&path.epoch, path.id);
	set.mode = BOND_AGGREGATE;
	set.is_multilink = true;
	set.entries[set.n++] = (struct path_entry){.path = &path, .state = HEALTH_UP};
	ck_assert_int_eq(spread_new(&spread, NULL), 0);
	now = T0;
}

static void teardown(void)
{
	spread_free(spread);
}

static struct pathctl *control(void)
{
	return spread_control(spread, &set, &set.entries[0], now);
}

static void send_and_report(uint64_t counter, uint64_t arrival)
{
	const struct frame_report report = {.path_id = 1,
					    .session = SESSION,
					    .counter = counter,
					    .rx_bytes = (counter + 1) * BYTES,
					    .arrival_ns = arrival};

	pathctl_sent(control(), SENT_NEW, SESSION, counter, 1, BYTES, now);
	now += 20 * NSEC_PER_MSEC;
	spread_report_rcu(spread, &set, &report, now);
}

/* Whatever clock the peer has, or says that it has: what follows from it can be reckoned with. */
START_TEST(arrivals_by_any_clock_give_times_that_can_be_added)
{
	static const uint64_t arrivals[] = {0, INT64_MAX,  (uint64_t)INT64_MAX + 1, UINT64_MAX,
					    1, 1ULL << 62, UINT64_MAX / 3,	    0};

	for (uint64_t i = 0; i < 10 * sizeof(arrivals) / sizeof(*arrivals); i++) {
		nsec_t arrival;

		send_and_report(i, arrivals[i % (sizeof(arrivals) / sizeof(*arrivals))]);
		ck_assert_int_lt(atomic_load(&path.queue), INT64_MAX / 4);
		arrival = pathctl_arrival(control(), BYTES, now);
		ck_assert_int_gt(arrival, INT64_MIN / 4);
		ck_assert_int_lt(arrival, INT64_MAX / 4);
	}
	ck_assert(pathctl_is_silent(control(), now) == false);
}
END_TEST

/* Is the queue before so many paths, of that capacity each, timed as that of fast ones? */
static bool is_fast(unsigned n, double capacity)
{
	static struct path more[N_FAST];
	bool is_fast;

	set.n = 0;
	for (unsigned i = 0; i < n; i++) {
		more[i].slot = (uint8_t)i;
		atomic_init(&more[i].epoch, i + 2);
		set.entries[set.n++] = (struct path_entry){.path = &more[i], .state = HEALTH_UP};
		spread_control(spread, &set, &set.entries[i], now)->capacity = capacity;
	}
	spread_round_trip_rcu(spread, &set, BINDING_NONE, now, &is_fast);
	return is_fast;
}

/* Memory goes cold, and the queue gets full, by what they carry together. */
START_TEST(paths_are_fast_together)
{
	ck_assert(is_fast(1, PATHCTL_RATE_FAST));
	ck_assert(!is_fast(1, PATHCTL_RATE_FAST * 0.99));
	ck_assert(is_fast(N_FAST, PATHCTL_RATE_FAST / N_FAST));
	ck_assert(!is_fast(N_FAST, PATHCTL_RATE_FAST / N_FAST * 0.99));
	ck_assert(!is_fast(0, 0));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("spread");
	TCase *t = tcase_create("spread");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, arrivals_by_any_clock_give_times_that_can_be_added);
	tcase_add_test(t, paths_are_fast_together);
	suite_add_tcase(s, t);
	return s;
}
