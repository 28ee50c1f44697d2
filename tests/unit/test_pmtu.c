/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The search for a path's MTU, over a path that the test describes and a clock that jumps. */
#include "check_main.h"

#include <stdlib.h>

#include "links/pmtu.h"

#define RTT (40 * NSEC_PER_MSEC)
#define START (100 * NSEC_PER_SEC)

static struct pmtu pmtu;
static struct pmtu_conditions conditions;
static uint32_t carried; /* the largest that arrives */
static double loss;	 /* of all else */
static nsec_t now;
static unsigned n_probes, n_changes;

static void begin(uint32_t min, uint32_t max, uint32_t path)
{
	now = START;
	carried = path;
	loss = 0;
	n_probes = n_changes = 0;
	conditions = (struct pmtu_conditions){.is_answering = true, .patience = 4 * RTT};
	pmtu_init(&pmtu, min, max, now);
}

static void step(void)
{
	struct pmtu_probe probe;

	now = nsec_max(now, pmtu.at);
	n_changes += pmtu_tick(&pmtu, &conditions, now, &probe);
	if (!probe.size)
		return;
	n_probes++;
	ck_assert_uint_le(probe.size, pmtu.max);
	if (probe.size > carried || drand48() < loss)
		return;
	now += RTT;
	n_changes += pmtu_answer(&pmtu, probe.number, now);
}

static void run_for(nsec_t time)
{
	nsec_t until = now + time;

	while (pmtu.at <= until)
		step();
	now = until;
}

START_TEST(path_that_carries_all_is_known_by_one_probe)
{
	begin(PMTU_MIN_V4, PMTU_MAX, 1500);
	run_for(NSEC_PER_SEC);
	ck_assert_uint_eq(pmtu.mtu, 1500);
	ck_assert_uint_eq(n_probes, 1);
	ck_assert_uint_eq(n_changes, 1);
}
END_TEST

START_TEST(every_mtu_is_found_to_the_grain)
{
	for (uint32_t path = PMTU_MIN_V4; path <= PMTU_MAX; path++) {
		begin(PMTU_MIN_V4, PMTU_MAX, path);
		run_for(20 * NSEC_PER_SEC);
		ck_assert_uint_le(pmtu.mtu, path);
		ck_assert_uint_gt(pmtu.mtu + PMTU_GRAIN, path);
		ck_assert_uint_le(n_probes, 40);
	}
}
END_TEST

START_TEST(hint_shortens_the_search)
{
	begin(PMTU_MIN_V4, PMTU_MAX, 1492);
	conditions.hint = 1492;
	run_for(2 * NSEC_PER_SEC);
	ck_assert_uint_eq(pmtu.mtu, 1492);
	ck_assert_uint_le(n_probes, 4); /* 1492, and three of one size more */
}
END_TEST

START_TEST(false_hint_does_no_harm)
{
	const uint32_t hints[] = {68, 600, 1300, 1400, 1500, 9000};

	for (unsigned i = 0; i < sizeof(hints) / sizeof(*hints); i++) {
		begin(PMTU_MIN_V4, PMTU_MAX, 1400);
		conditions.hint = hints[i];
		run_for(20 * NSEC_PER_SEC);
		ck_assert_uint_eq(pmtu.mtu, 1400);
	}
}
END_TEST

START_TEST(peer_that_answers_nothing_leaves_it_unknown)
{
	begin(PMTU_MIN_V4, PMTU_MAX, 0);
	run_for(60 * NSEC_PER_SEC);
	ck_assert_uint_eq(pmtu.mtu, 0);
	n_probes = 0;
	run_for(400 * NSEC_PER_SEC);
	ck_assert_uint_eq(n_probes, 0);
}
END_TEST

START_TEST(nothing_is_concluded_while_the_path_does_not_answer)
{
	begin(PMTU_MIN_V4, PMTU_MAX, 1500);
	run_for(NSEC_PER_SEC);
	carried = 0;
	conditions.is_answering = false;
	conditions.tx_bytes = 1000000;
	run_for(30 * NSEC_PER_SEC);
	ck_assert_uint_eq(pmtu.mtu, 1500);
}
END_TEST

/* Data goes on at 100 kB a second. */
static void send_data_for(nsec_t time)
{
	for (nsec_t t = 0; t < time; t += 100 * NSEC_PER_MSEC) {
		conditions.tx_bytes += 10000;
		run_for(100 * NSEC_PER_MSEC);
	}
}

START_TEST(decrease_is_noticed_within_seconds_while_data_flows)
{
	begin(PMTU_MIN_V4, PMTU_MAX, 1500);
	send_data_for(5 * NSEC_PER_SEC);
	ck_assert_uint_eq(pmtu.mtu, 1500);
	carried = 1400;
	send_data_for(2 * NSEC_PER_SEC);
	ck_assert_uint_le(pmtu.mtu, 1400);
	send_data_for(10 * NSEC_PER_SEC);
	ck_assert_uint_eq(pmtu.mtu, 1400);
}
END_TEST

START_TEST(idle_path_is_left_alone)
{
	begin(PMTU_MIN_V4, PMTU_MAX, 1500);
	run_for(NSEC_PER_SEC);
	n_probes = 0;
	run_for(PMTU_RAISE_TIME - 10 * NSEC_PER_SEC);
	ck_assert_uint_eq(n_probes, 0);
}
END_TEST

START_TEST(increase_is_found_in_the_end)
{
	begin(PMTU_MIN_V4, PMTU_MAX, 1400);
	run_for(30 * NSEC_PER_SEC);
	ck_assert_uint_eq(pmtu.mtu, 1400);
	carried = 1500;
	run_for(PMTU_RAISE_TIME + 10 * NSEC_PER_SEC);
	ck_assert_uint_eq(pmtu.mtu, 1500);
}
END_TEST

START_TEST(random_loss_is_not_taken_for_a_small_mtu)
{
	srand48(1);
	begin(PMTU_MIN_V6, PMTU_MAX, 1480);
	loss = 0.36; /* a fifth each way */
	conditions.loss = 0.36;
	send_data_for(600 * NSEC_PER_SEC);
	ck_assert_uint_eq(pmtu.mtu, 1480);
	ck_assert_uint_le(n_changes, 1);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("pmtu");
	TCase *t = tcase_create("pmtu");

	tcase_add_test(t, path_that_carries_all_is_known_by_one_probe);
	tcase_add_test(t, every_mtu_is_found_to_the_grain);
	tcase_add_test(t, hint_shortens_the_search);
	tcase_add_test(t, false_hint_does_no_harm);
	tcase_add_test(t, peer_that_answers_nothing_leaves_it_unknown);
	tcase_add_test(t, nothing_is_concluded_while_the_path_does_not_answer);
	tcase_add_test(t, decrease_is_noticed_within_seconds_while_data_flows);
	tcase_add_test(t, idle_path_is_left_alone);
	tcase_add_test(t, increase_is_found_in_the_end);
	tcase_add_test(t, random_loss_is_not_taken_for_a_small_mtu);
	suite_add_tcase(s, t);
	return s;
}
