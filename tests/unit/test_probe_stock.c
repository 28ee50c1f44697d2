/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "broker/server.h"
#include "check_main.h"

#include <errno.h>

#include "dataplane/resolver.h"
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
	path_count_add(&find(link, REMOTE)->path->sent, 1, MESSAGE_DATA_OVERHEAD + 32);
}

static void send_keepalive_on(unsigned link)
{
	path_count_add(&find(link, REMOTE)->path->sent, 1, MESSAGE_DATA_OVERHEAD);
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

/* The first path has died, and the handshake that shows it was answered on the second. */
static void leave_first(void)
{
	send_on(0);
	wait_for(SECONDS(15));
	handshake_over(1);
	ck_assert_int_eq(state_of(0, REMOTE), HEALTH_DOWN);
	atomic_store(&bond->peer.pokes, 0);
}

/* Seconds until a path is to be tried, and which; 0: never. */
static unsigned seconds_to_trial(uint8_t *ret_slot)
{
	for (unsigned n = 1; n < 1000; n++) {
		wait_for(SECONDS(1));
		if (!(atomic_exchange(&bond->peer.pokes, 0) & POKE_TRIAL))
			continue;
		*ret_slot = atomic_load(&bond->trial_slot);
		return n;
	}
	return 0;
}

START_TEST(dead_path_is_tried_less_and_less_often)
{
	static const unsigned waits[] = {5, 10, 20, 40, 60, 60};
	uint8_t slot;

	begin_stock(BOND_FAILOVER);
	settings.health.flap_hold_max = SECONDS(60);
	leave_first();
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		begin_session(bond, now);
		ck_assert_uint_eq(seconds_to_trial(&slot), waits[i]);
		ck_assert_uint_eq(slot, find(0, REMOTE)->path->slot);
	}
	handshake_over(0);
	ck_assert(is_active(0));
	begin_session(bond, now);
	ck_assert_uint_eq(seconds_to_trial(&slot), 0);
}
END_TEST

START_TEST(path_that_dies_again_soon_is_tried_less_often)
{
	uint8_t slot;

	begin_stock(BOND_FAILOVER);
	settings.health.flap_hold_max = SECONDS(60);
	leave_first();
	ck_assert_uint_eq(seconds_to_trial(&slot), 5);
	handshake_over(0);
	leave_first();
	ck_assert_uint_eq(seconds_to_trial(&slot), 20);
	handshake_over(0);
	wait_for(HEALTH_STABLE_TIME);
	leave_first();
	ck_assert_uint_eq(seconds_to_trial(&slot), 5);
}
END_TEST

START_TEST(peer_that_has_had_a_trial_is_led_back)
{
	unsigned before;
	uint8_t slot;

	begin_stock(BOND_FAILOVER);
	leave_first();
	before = n_empty[1];
	seconds_to_trial(&slot);
	ck_assert_uint_eq(n_empty[1], before);
	wait_for(SECONDS(2));
	ck_assert_uint_eq(n_empty[1], before + 1);
	ck_assert_uint_eq(n_empty[0], 0);
}
END_TEST

START_TEST(two_dead_paths_are_tried_one_after_the_other)
{
	uint8_t slots[4];

	begin(3, REMOTE, MULTILINK_NO);
	settings.mode = BOND_AGGREGATE;
	settings.scheduler = SCHEDULER_WEIGHT;
	for (unsigned i = 0; i < 3; i++)
		hear(i, REMOTE);
	send_on(0);
	send_on(1);
	wait_for(SECONDS(15));
	handshake_over(2);
	ck_assert(!is_active(0) && !is_active(1) && is_active(2));
	atomic_store(&bond->peer.pokes, 0);
	for (size_t i = 0; i < 4; i++)
		ck_assert_uint_ge(seconds_to_trial(&slots[i]), 5);
	ck_assert_uint_ne(slots[0], slots[1]);
	ck_assert_uint_ne(slots[2], slots[3]);
}
END_TEST

START_TEST(error_does_not_bring_a_dead_path_back)
{
	begin_stock(BOND_FAILOVER);
	leave_first();
	probe_path_failed(probe, find(0, REMOTE)->path->id, EHOSTUNREACH, now);
	wait_for(SECONDS(60));
	ck_assert_int_eq(state_of(0, REMOTE), HEALTH_DOWN);
	/* But news that the cause may have gone do. */
	probe_link_changed(probe, net.links[0], NULL, now);
	wait_for(SECONDS(1));
	ck_assert_int_ne(state_of(0, REMOTE), HEALTH_DOWN);
}
END_TEST

START_TEST(preferred_path_that_never_answered_is_tried_before_it_is_used)
{
	uint8_t slot;

	begin(2, REMOTE, MULTILINK_NO);
	settings.mode = BOND_FAILOVER;
	handshake_over(1);
	ck_assert(!is_active(0) && is_active(1));
	ck_assert_uint_eq(seconds_to_trial(&slot), 5);
	ck_assert_uint_eq(slot, find(0, REMOTE)->path->slot);
	handshake_over(0);
	ck_assert(is_active(0));
	ck_assert_int_eq(state_of(1, REMOTE), HEALTH_UP);
}
END_TEST

START_TEST(path_that_brings_data_needs_no_handshake)
{
	begin(2, REMOTE, MULTILINK_NO);
	settings.mode = BOND_FAILOVER;
	receive_on(0);
	handshake_over(1);
	ck_assert(is_active(0));
}
END_TEST

START_TEST(less_preferred_path_that_never_answered_is_left_alone)
{
	begin(2, REMOTE, MULTILINK_NO);
	settings.mode = BOND_FAILOVER;
	handshake_over(0);
	wait_for(SECONDS(60));
	ck_assert(is_active(0));
	ck_assert_int_eq(state_of(1, REMOTE), HEALTH_PROBING);
	ck_assert_uint_eq(atomic_load(&bond->peer.pokes) & POKE_TRIAL, 0);
}
END_TEST

START_TEST(unproven_path_is_doubted_when_the_peer_is_known_as_a_stock_one)
{
	begin(2, REMOTE, MULTILINK_AUTO);
	settings.mode = BOND_FAILOVER;
	probe_session(probe, now);
	handshake_over(1);
	ck_assert_int_eq(state_of(0, REMOTE), HEALTH_PROBING);
	wait_for(SECONDS(6));
	ck_assert_int_eq(state_of(0, REMOTE), HEALTH_DOWN);
	ck_assert(is_active(1));
	/* It is a vtrunkd after all. */
	answers[0] = answers[1] = true;
	give_hello(1, REMOTE, FAR_ID(1), 1);
	wait_for(SECONDS(2));
	ck_assert_int_eq(state_of(0, REMOTE), HEALTH_UP);
	ck_assert(is_active(0));
}
END_TEST

/* The links over which the copies of an initiation go, in their order; "" at the end. */
static const char *order_of_copies(unsigned first)
{
	static char order[HANDMADE_LINKS + 1];
	bool has_more = true;

	memset(order, 0, sizeof(order));
	for (unsigned nth = 0; has_more; nth++) {
		struct link_tx tx;

		rcu_begin();
		has_more = bond_send_message_rcu(bond, nth, first, "initiation", 10);
		rcu_end();
		for (unsigned i = 0; i < net.n_links; i++) {
			while (ring_pop(net.links[i]->tx, &tx)) {
				order[nth] = (char)('0' + i);
				burst_put(tx.burst);
			}
		}
	}
	return order;
}

/* The first copy that arrives is the only one a stock peer answers, maybe to where nobody hears. */
START_TEST(each_unanswered_initiation_makes_another_path_the_first)
{
	begin(3, REMOTE, MULTILINK_NO);
	take_sent();
	ck_assert_str_eq(order_of_copies(0), "012");
	ck_assert_str_eq(order_of_copies(1), "120");
	ck_assert_str_eq(order_of_copies(2), "201");
	ck_assert_str_eq(order_of_copies(3), "012");
}
END_TEST

START_TEST(path_that_answers_or_was_not_used_is_no_dead_one)
{
	begin_stock(BOND_FAILOVER);
	/* nothing sent that is answered */
	send_keepalive_on(0);
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
	tcase_add_test(t, dead_path_is_tried_less_and_less_often);
	tcase_add_test(t, path_that_dies_again_soon_is_tried_less_often);
	tcase_add_test(t, peer_that_has_had_a_trial_is_led_back);
	tcase_add_test(t, two_dead_paths_are_tried_one_after_the_other);
	tcase_add_test(t, error_does_not_bring_a_dead_path_back);
	tcase_add_test(t, preferred_path_that_never_answered_is_tried_before_it_is_used);
	tcase_add_test(t, path_that_brings_data_needs_no_handshake);
	tcase_add_test(t, less_preferred_path_that_never_answered_is_left_alone);
	tcase_add_test(t, unproven_path_is_doubted_when_the_peer_is_known_as_a_stock_one);
	tcase_add_test(t, each_unanswered_initiation_makes_another_path_the_first);
	tcase_add_test(t, path_that_answers_or_was_not_used_is_no_dead_one);
	tcase_add_test(t, redundant_mode_leaves_no_path);
	tcase_add_test(t, vtrunkd_is_judged_by_its_pongs_alone);
	suite_add_tcase(s, t);
	return s;
}
