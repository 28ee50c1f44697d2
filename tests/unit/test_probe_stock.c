/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include "probe_sim.h"

#define REMOTE "192.0.2.1"

/* Two configured paths to a stock peer, of which the first carries the data. */
static void begin_stock(enum bond_mode mode)
{
	begin(2, REMOTE, MULTILINK_NO);
	settings.mode = mode;
	hear(0, REMOTE);
	ck_assert(is_active(0));
}

static void send_on(unsigned link)
{
	atomic_fetch_add(&find(link, REMOTE)->path->sent.packets, 1);
}

static void receive_on(unsigned link)
{
	atomic_fetch_add(&find(link, REMOTE)->path->received.packets, 1);
}

static void wait_for(nsec_t time)
{
	for (nsec_t until = now + time; now < until;) {
		run_for(NSEC_PER_SEC);
		probe_sample(probe, NSEC_PER_SEC, now);
	}
}

static void handshake_over(unsigned link)
{
	const struct event e = {
		.kind = EVENT_HANDSHAKE,
		.bond = bond,
		.link = net.links[link],
		.from = endpoint_of(REMOTE),
		.at = now,
	};

	probe_heard(probe, &e);
	probe_handshake(probe, &e);
	take_sent();
}

START_TEST(several_links_at_once_only_by_weight)
{
	begin_stock(BOND_AGGREGATE);
	ck_assert(!is_active(1));
	settings.scheduler = SCHEDULER_WEIGHT;
	hear(1, REMOTE);
	ck_assert(is_active(0) && is_active(1));
}
END_TEST

START_TEST(handshake_that_is_answered_elsewhere_shows_a_dead_path)
{
	begin_stock(BOND_FAILOVER);
	receive_on(0);
	wait_for(SECONDS(2));
	send_on(0);
	wait_for(SECONDS(15));
	ck_assert(is_active(0));
	handshake_over(1);
	ck_assert_int_eq(state_of(0, REMOTE), HEALTH_DOWN);
	ck_assert_int_eq(state_of(1, REMOTE), HEALTH_UP);
	ck_assert(!is_active(0) && is_active(1));
}
END_TEST

START_TEST(dead_path_is_back_when_a_handshake_is_answered_there)
{
	begin_stock(BOND_FAILOVER);
	send_on(0);
	wait_for(SECONDS(15));
	handshake_over(1);
	/* Not by time alone: nobody would know that it is still dead. */
	wait_for(SECONDS(600));
	ck_assert(is_active(1));
	handshake_over(0);
	ck_assert_int_eq(state_of(0, REMOTE), HEALTH_UP);
	ck_assert(is_active(0));
}
END_TEST

START_TEST(path_that_answers_or_was_not_used_is_no_dead_one)
{
	begin_stock(BOND_FAILOVER);
	/* nothing sent */
	wait_for(SECONDS(15));
	handshake_over(1);
	ck_assert(is_active(0));
	/* an answer lately: it was the message that was lost */
	send_on(0);
	wait_for(SECONDS(15));
	receive_on(0);
	send_on(0);
	handshake_over(1);
	ck_assert(is_active(0));
	/* and the other way: the one in reserve says nothing */
	send_on(0);
	send_on(1);
	wait_for(SECONDS(15));
	handshake_over(0);
	ck_assert_int_eq(state_of(1, REMOTE), HEALTH_UP);
}
END_TEST

START_TEST(redundant_mode_leaves_no_path)
{
	begin_stock(BOND_REDUNDANT);
	send_on(0);
	wait_for(SECONDS(15));
	handshake_over(1);
	ck_assert(is_active(0) && is_active(1));
}
END_TEST

START_TEST(vtrunkd_is_judged_by_its_pongs_alone)
{
	begin_bonded();
	settings.mode = BOND_FAILOVER;
	send_on(0);
	handshake_over(1);
	ck_assert_int_eq(state_of(0, REMOTE), HEALTH_UP);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("probe_stock");
	TCase *t = tcase_create("probe_stock");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, several_links_at_once_only_by_weight);
	tcase_add_test(t, handshake_that_is_answered_elsewhere_shows_a_dead_path);
	tcase_add_test(t, dead_path_is_back_when_a_handshake_is_answered_there);
	tcase_add_test(t, path_that_answers_or_was_not_used_is_no_dead_one);
	tcase_add_test(t, redundant_mode_leaves_no_path);
	tcase_add_test(t, vtrunkd_is_judged_by_its_pongs_alone);
	suite_add_tcase(s, t);
	return s;
}
