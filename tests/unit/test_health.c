/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include "links/health.h"

#define MSEC NSEC_PER_MSEC
#define START (100 * NSEC_PER_SEC)
#define RTT (40 * MSEC)

static const struct health_settings defaults = {
	.interval = NSEC_PER_SEC,
	.timeout = 5 * NSEC_PER_SEC,
	.error_backoff = 5 * NSEC_PER_SEC,
	.down = 1,
	.up = 3,
	.flap_hold_max = 60 * NSEC_PER_SEC,
};

static struct health health;
static nsec_t now;

static void setup(void)
{
	now = START;
	health_init(&health, now);
}

/* The next ping leaves when it is due. */
static uint32_t ping(void)
{
	now = nsec_max(now, health.next_ping);
	ck_assert(health_wants_ping(&health, now));
	return health_ping_sent(&health, &defaults, 0, now);
}

static bool pong(uint32_t number)
{
	bool is_valid;

	return health_pong(&health, &defaults, number, now, &is_valid, NULL);
}

static bool pong_is_valid(uint32_t number)
{
	bool is_valid;

	health_pong(&health, &defaults, number, now, &is_valid, NULL);
	return is_valid;
}

/* A ping that is answered RTT later; true if the state changed. */
static bool round_trip(void)
{
	uint32_t number = ping();

	now += RTT;
	return pong(number);
}

static void go_up(void)
{
	ck_assert(round_trip());
	ck_assert_int_eq(health.state, HEALTH_UP);
}

/* Pings go out and none is answered until the state changes; returns how long that took. */
static nsec_t go_silent(void)
{
	nsec_t begin = now;

	while (!health_expire(&health, &defaults, now)) {
		now = health_deadline(&health, &defaults);
		if (health_wants_ping(&health, now))
			health_ping_sent(&health, &defaults, 0, now);
		ck_assert_int_lt(now - begin, 60 * NSEC_PER_SEC);
	}
	ck_assert_int_eq(health.state, HEALTH_DOWN);
	return now - begin;
}

START_TEST(new_path_pings_at_once_and_one_answer_brings_it_up)
{
	ck_assert_int_eq(health.state, HEALTH_PROBING);
	ck_assert_int_eq(health_deadline(&health, &defaults), START);
	go_up();
	ck_assert_int_eq(health.since, now);
}
END_TEST

START_TEST(new_path_pings_faster)
{
	ping();
	ck_assert(!health_wants_ping(&health, now));
	ck_assert_int_eq(health_deadline(&health, &defaults), START + HEALTH_DOUBT_INTERVAL);
}
END_TEST

START_TEST(path_that_never_answers_goes_down_after_the_timeout)
{
	ck_assert_int_eq(go_silent(), defaults.timeout);
	ck_assert_int_eq(health.n_downs, 1);
}
END_TEST

START_TEST(pings_that_follow_do_not_put_off_the_timeout)
{
	uint32_t first;

	go_up();
	first = ping();
	now += RTT;
	for (unsigned i = 0; i < 3; i++)
		ping();
	ck_assert_int_eq(health.unanswered_since, health.pings[first].sent);
	now = health.pings[first].sent + defaults.timeout - 1;
	ck_assert(!health_expire(&health, &defaults, now));
	ck_assert(health_expire(&health, &defaults, now + 1));
	ck_assert_int_eq(health.state, HEALTH_DOWN);
}
END_TEST

START_TEST(dead_path_is_down_within_timeout_and_interval)
{
	go_up();
	ck_assert_int_le(go_silent(), defaults.timeout + defaults.interval);
}
END_TEST

START_TEST(answer_clears_the_lost_pings_before_it)
{
	uint32_t last;

	go_up();
	ping();
	now += 300 * MSEC;
	last = ping();
	now += RTT;
	pong(last);
	ck_assert_int_eq(health.unanswered_since, 0);
	ck_assert_int_eq(health_deadline(&health, &defaults), health.next_ping);
}
END_TEST

START_TEST(answer_leaves_the_pings_after_it_unanswered)
{
	uint32_t first;
	uint32_t second;

	go_up();
	first = ping();
	second = ping();
	pong(first);
	ck_assert_int_eq(health.unanswered_since, health.pings[second].sent);
}
END_TEST

START_TEST(answer_to_an_older_ping_changes_no_deadline)
{
	uint32_t first;
	uint32_t last;

	go_up();
	first = ping();
	ping();
	pong(ping());
	last = ping();
	pong(first);
	ck_assert_int_eq(health.unanswered_since, health.pings[last % HEALTH_PINGS].sent);
}
END_TEST

START_TEST(overdue_answer_makes_the_pings_faster)
{
	go_up();
	ping();
	ck_assert_int_eq(health.next_ping, now + defaults.interval);
	ping();
	ck_assert_int_eq(health.next_ping, now + HEALTH_DOUBT_INTERVAL);
}
END_TEST

START_TEST(pong_for_a_ping_never_sent_changes_nothing)
{
	struct health before = health;

	for (uint32_t number = 0; number < 100; number++)
		ck_assert(!pong_is_valid(number));
	ck_assert_mem_eq(&before, &health, sizeof(health));
	ping();
	ck_assert(!pong_is_valid(2));
	ck_assert(!pong_is_valid(1 + HEALTH_PINGS));
	ck_assert_int_eq(health.state, HEALTH_PROBING);
}
END_TEST

START_TEST(second_pong_for_a_ping_is_not_valid)
{
	uint32_t number = ping();

	ck_assert(pong_is_valid(number));
	ck_assert(!pong_is_valid(number));
}
END_TEST

START_TEST(pong_for_a_forgotten_ping_is_not_valid)
{
	uint32_t number = ping();

	for (unsigned i = 0; i < HEALTH_PINGS; i++)
		ping();
	ck_assert(!pong_is_valid(number));
	ck_assert(pong_is_valid(number + 1));
}
END_TEST

START_TEST(pong_tells_what_was_kept_of_its_ping)
{
	struct health_ping kept;
	bool is_valid;
	uint32_t number = health_ping_sent(&health, &defaults, 4711, now);

	now += RTT;
	health_pong(&health, &defaults, number, now, &is_valid, &kept);
	ck_assert(is_valid);
	ck_assert_uint_eq(kept.number, number);
	ck_assert_int_eq(kept.sent, START);
	ck_assert_uint_eq(kept.tx_packets, 4711);
}
END_TEST

START_TEST(rtt_is_smoothed_as_rfc_6298_says)
{
	uint32_t number;

	round_trip();
	ck_assert_int_eq(health.rtt, RTT);
	ck_assert_int_eq(health.rtt_var, RTT / 2);
	number = ping();
	now += RTT + 80 * MSEC;
	pong(number);
	ck_assert_int_eq(health.rtt, RTT + 10 * MSEC);
	ck_assert_int_eq(health.rtt_var, 35 * MSEC); /* 3/4 * 20 + 1/4 * 80 */
	ck_assert_int_eq(health.rtt_min, RTT);
}
END_TEST

START_TEST(path_that_was_down_needs_several_answers_in_a_row)
{
	go_up();
	go_silent();
	for (unsigned i = 1; i < defaults.up; i++)
		ck_assert(!round_trip());
	ck_assert(round_trip());
	ck_assert_int_eq(health.state, HEALTH_UP);
}
END_TEST

START_TEST(missed_ping_begins_the_row_anew)
{
	go_up();
	go_silent();
	for (unsigned i = 1; i < defaults.up; i++)
		ck_assert(!round_trip());
	ping();
	ck_assert(!round_trip());
	ck_assert_uint_eq(health.pongs_in_row, 1);
	for (unsigned i = 2; i < defaults.up; i++)
		ck_assert(!round_trip());
	ck_assert(round_trip());
}
END_TEST

START_TEST(answer_that_comes_too_late_is_a_missed_one)
{
	uint32_t number;

	go_up();
	go_silent();
	round_trip();
	number = ping();
	now += 2 * HEALTH_RECOVERY_INTERVAL + 1;
	ck_assert(!pong(number));
	ck_assert_uint_eq(health.pongs_in_row, 0);
}
END_TEST

START_TEST(pings_are_slow_until_an_answer_comes_and_after_the_row_broke)
{
	go_silent();
	ping();
	ck_assert_int_eq(health.next_ping, now + HEALTH_DOWN_INTERVAL);
	round_trip();
	ck_assert_int_le(health.next_ping, now + HEALTH_RECOVERY_INTERVAL);
	for (unsigned i = 0; i < 4; i++)
		ping();
	ck_assert_uint_eq(health.pongs_in_row, 0);
	ck_assert_int_eq(health.next_ping, now + HEALTH_DOWN_INTERVAL);
}
END_TEST

START_TEST(answers_to_pings_from_before_it_went_down_do_not_count)
{
	uint32_t last;

	go_up();
	go_silent();
	last = health.next_number - 1;
	for (uint32_t number = last - 3; number <= last; number++)
		ck_assert(!pong(number));
	ck_assert_int_eq(health.state, HEALTH_DOWN);
	ck_assert_uint_le(health.pongs_in_row, 1);
}
END_TEST

START_TEST(link_error_takes_the_path_down_at_once)
{
	go_up();
	ck_assert(health_link_error(&health, &defaults, now));
	ck_assert_int_eq(health.state, HEALTH_DOWN);
	ck_assert_int_eq(health.error_until, now + defaults.error_backoff);
	ck_assert(!health_link_error(&health, &defaults, now));
	ck_assert_int_eq(health.n_downs, 1);
}
END_TEST

START_TEST(answers_do_not_end_the_backoff_after_an_error)
{
	nsec_t error;

	go_up();
	error = now;
	health_link_error(&health, &defaults, now);
	while (health.next_ping + RTT < error + defaults.error_backoff) {
		ck_assert(!round_trip());
		ck_assert_uint_eq(health.pongs_in_row, 0);
	}
	while (!round_trip())
		;
	ck_assert_int_gt(now, error + defaults.error_backoff);
	ck_assert_int_le(now, error + defaults.error_backoff + 2 * defaults.interval);
}
END_TEST

START_TEST(sending_brings_no_path_up)
{
	go_up();
	health_link_error(&health, &defaults, now);
	for (unsigned i = 0; i < 100; i++)
		ping();
	ck_assert_int_eq(health.state, HEALTH_DOWN);
	ck_assert_uint_eq(health.n_downs, 1);
}
END_TEST

START_TEST(path_that_is_down_has_no_timeout)
{
	go_silent();
	ping();
	ck_assert_int_eq(health_deadline(&health, &defaults), health.next_ping);
	ck_assert(!health_expire(&health, &defaults, now + 60 * NSEC_PER_SEC));
}
END_TEST

/* Up again, however long it is held; returns how long that took. */
static nsec_t recover(void)
{
	nsec_t begin = now;

	while (!round_trip())
		ck_assert_int_lt(now - begin, 200 * NSEC_PER_SEC);
	ck_assert_int_eq(health.state, HEALTH_UP);
	return now - begin;
}

START_TEST(first_fall_is_not_held_against_a_path)
{
	go_up();
	go_silent();
	ck_assert_int_lt(recover(), 2 * NSEC_PER_SEC);
	ck_assert_uint_eq(health.n_flaps, 0);
}
END_TEST

START_TEST(flapping_path_is_held_down_twice_as_long_each_time)
{
	go_up();
	go_silent();
	recover();
	for (nsec_t hold = HEALTH_HOLD_FIRST; hold < defaults.flap_hold_max; hold *= 2) {
		nsec_t down;

		go_silent();
		down = health.since;
		ck_assert_int_eq(health.held_until, down + hold);
		recover();
		ck_assert_int_ge(now - down, hold);
		ck_assert_int_le(now - down,
				 hold + defaults.interval + 3 * HEALTH_RECOVERY_INTERVAL);
	}
	go_silent();
	ck_assert_int_eq(health.held_until, health.since + defaults.flap_hold_max);
	ck_assert_uint_eq(health.n_flaps, 7);
}
END_TEST

START_TEST(path_that_was_stable_is_not_held)
{
	go_up();
	go_silent();
	recover();
	go_silent();
	recover();
	while (now - health.since <= HEALTH_STABLE_TIME)
		round_trip();
	go_silent();
	ck_assert_int_lt(recover(), 2 * NSEC_PER_SEC);
}
END_TEST

START_TEST(held_path_answers_and_is_known_to)
{
	go_up();
	for (unsigned i = 0; i < 3; i++) {
		go_silent();
		recover();
	}
	go_silent();
	ck_assert(!health_is_held(&health, &defaults));
	for (unsigned i = 0; i <= defaults.up; i++)
		round_trip();
	ck_assert_int_eq(health.state, HEALTH_DOWN);
	ck_assert(health_is_held(&health, &defaults));
	/* Answered, it is not asked any faster than others. */
	ck_assert_int_ge(health.next_ping - now, defaults.interval / 2);
}
END_TEST

START_TEST(timeout_needs_as_many_unanswered_pings_as_configured)
{
	struct health_settings patient = defaults;

	patient.down = 8;
	go_up();
	ping();
	now += defaults.timeout;
	ck_assert(!health_expire(&health, &patient, now));
	ck_assert_int_eq(health_deadline(&health, &patient), health.next_ping);
	for (unsigned i = 1; i < patient.down; i++)
		health_ping_sent(&health, &patient, 0, now);
	ck_assert(health_expire(&health, &patient, now));
}
END_TEST

START_TEST(back_off_after_an_error_ends_when_its_cause_has_gone)
{
	go_up();
	health_link_error(&health, &defaults, now);
	health_retry(&health, now);
	ck_assert(health_wants_ping(&health, now));
	ck_assert_int_lt(recover(), NSEC_PER_SEC);
}
END_TEST

START_TEST(error_soon_after_is_taken_for_too_early)
{
	go_up();
	health_link_error(&health, &defaults, now);
	health_retry(&health, now);
	health_link_error(&health, &defaults, now);
	ck_assert_int_eq(health.error_until, now + HEALTH_DOUBT_INTERVAL);
	now += HEALTH_RETRY_TIME;
	health_link_error(&health, &defaults, now);
	ck_assert_int_eq(health.error_until, now + defaults.error_backoff);
}
END_TEST

START_TEST(path_that_stands_by_is_pinged_less)
{
	nsec_t first;

	go_up();
	health_stand_by(&health, &defaults, true);
	round_trip();
	first = now;
	round_trip();
	ck_assert_int_eq(now - first, defaults.timeout);
}
END_TEST

START_TEST(backup_interval_is_that_of_the_settings_but_not_less_than_of_others)
{
	struct health_settings s = defaults;
	bool is_valid;

	go_up();
	health_stand_by(&health, &s, true);
	s.backup_interval = 30 * NSEC_PER_SEC;
	health_pong(&health, &s, ping(), now, &is_valid, NULL);
	ck_assert_int_eq(health.next_ping - now, 30 * NSEC_PER_SEC);
	s.backup_interval = MSEC;
	health_pong(&health, &s, ping(), now, &is_valid, NULL);
	ck_assert_int_eq(health.next_ping - now, s.interval);
}
END_TEST

/* One ping that gets lost is not all that decides. */
START_TEST(unanswered_path_that_stands_by_is_pinged_as_others_until_it_is_down)
{
	uint32_t first;

	go_up();
	health_stand_by(&health, &defaults, true);
	round_trip();
	first = health.next_number;
	ck_assert_int_eq(go_silent(), 2 * defaults.timeout - RTT);
	ck_assert_uint_ge(health.next_number - first, 10);
}
END_TEST

START_TEST(path_that_stands_by_no_more_is_pinged_as_before)
{
	nsec_t last;

	go_up();
	health_stand_by(&health, &defaults, true);
	round_trip();
	last = now - RTT;
	health_stand_by(&health, &defaults, false);
	ck_assert_int_eq(health.next_ping, last + defaults.interval);
}
END_TEST

START_TEST(on_another_way_the_round_trip_is_measured_anew)
{
	uint32_t early;

	go_up();
	early = ping();
	health_forget_rtt(&health, now + 1);
	ck_assert_int_eq(health.rtt, 0);
	now += 9 * RTT;
	ck_assert(pong_is_valid(early));
	ck_assert_int_eq(health.rtt, 0);
	ck_assert(!round_trip());
	ck_assert_int_eq(health.rtt, RTT);
	ck_assert_int_eq(health.rtt_min, RTT);
	ck_assert_int_eq(health.state, HEALTH_UP);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("health");
	TCase *t = tcase_create("health");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, new_path_pings_at_once_and_one_answer_brings_it_up);
	tcase_add_test(t, new_path_pings_faster);
	tcase_add_test(t, path_that_stands_by_is_pinged_less);
	tcase_add_test(t, backup_interval_is_that_of_the_settings_but_not_less_than_of_others);
	tcase_add_test(t, unanswered_path_that_stands_by_is_pinged_as_others_until_it_is_down);
	tcase_add_test(t, path_that_stands_by_no_more_is_pinged_as_before);
	tcase_add_test(t, path_that_never_answers_goes_down_after_the_timeout);
	tcase_add_test(t, pings_that_follow_do_not_put_off_the_timeout);
	tcase_add_test(t, dead_path_is_down_within_timeout_and_interval);
	tcase_add_test(t, answer_clears_the_lost_pings_before_it);
	tcase_add_test(t, answer_leaves_the_pings_after_it_unanswered);
	tcase_add_test(t, answer_to_an_older_ping_changes_no_deadline);
	tcase_add_test(t, overdue_answer_makes_the_pings_faster);
	tcase_add_test(t, pong_for_a_ping_never_sent_changes_nothing);
	tcase_add_test(t, second_pong_for_a_ping_is_not_valid);
	tcase_add_test(t, pong_for_a_forgotten_ping_is_not_valid);
	tcase_add_test(t, pong_tells_what_was_kept_of_its_ping);
	tcase_add_test(t, rtt_is_smoothed_as_rfc_6298_says);
	tcase_add_test(t, path_that_was_down_needs_several_answers_in_a_row);
	tcase_add_test(t, missed_ping_begins_the_row_anew);
	tcase_add_test(t, answer_that_comes_too_late_is_a_missed_one);
	tcase_add_test(t, pings_are_slow_until_an_answer_comes_and_after_the_row_broke);
	tcase_add_test(t, answers_to_pings_from_before_it_went_down_do_not_count);
	tcase_add_test(t, link_error_takes_the_path_down_at_once);
	tcase_add_test(t, answers_do_not_end_the_backoff_after_an_error);
	tcase_add_test(t, sending_brings_no_path_up);
	tcase_add_test(t, path_that_is_down_has_no_timeout);
	tcase_add_test(t, first_fall_is_not_held_against_a_path);
	tcase_add_test(t, flapping_path_is_held_down_twice_as_long_each_time);
	tcase_add_test(t, path_that_was_stable_is_not_held);
	tcase_add_test(t, held_path_answers_and_is_known_to);
	tcase_add_test(t, timeout_needs_as_many_unanswered_pings_as_configured);
	tcase_add_test(t, back_off_after_an_error_ends_when_its_cause_has_gone);
	tcase_add_test(t, error_soon_after_is_taken_for_too_early);
	tcase_add_test(t, on_another_way_the_round_trip_is_measured_anew);
	suite_add_tcase(s, t);
	return s;
}
