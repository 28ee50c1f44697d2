/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The timers of a session: tries, renewal, end, keepalives. */
#include "check_main.h"

#include "device_sim.h"

#define JITTER REKEY_TIMEOUT_JITTER_MAX

static void ck_assert_between(nsec_t t, nsec_t from, nsec_t to)
{
	ck_assert_int_ge(t, from);
	ck_assert_int_le(t, to);
}

/* Retries and pace */

START_TEST(lost_response_is_asked_for_again_after_the_timeout)
{
	introduce(0, false);
	sim.loses = loses_responses;
	send_data(a, ab, "data");
	run_for(REKEY_TIMEOUT - 1);
	ck_assert_uint_eq(ab->n_initiations, 1);
	sim.loses = NULL;
	run_for(SECONDS(1));
	ck_assert_uint_eq(ab->n_initiations, 2);
	ck_assert_between(ab->last_initiation, T0 + REKEY_TIMEOUT, T0 + REKEY_TIMEOUT + JITTER);
	ck_assert_same_session(ab, ba);
}
END_TEST

START_TEST(unanswered_initiations_in_a_row_are_counted)
{
	introduce(0, true);
	sim.loses = loses_all;
	device_start(a->device, sim.now);
	for (unsigned i = 0; i < 20; i++) {
		ck_assert_uint_eq(ab->peer.n_unanswered, ab->n_initiations - 1);
		send_data(a, ab, "asks again and again");
		run_for(SECONDS(1));
	}
	ck_assert_uint_ge(ab->peer.n_unanswered, 3);
	sim.loses = NULL;
	run_for(REKEY_TIMEOUT + JITTER);
	ck_assert_same_session(ab, ba);
	ck_assert_uint_eq(ab->peer.n_unanswered, 0);
}
END_TEST

START_TEST(session_wanted_up_is_tried_for_ever)
{
	introduce(_i ? 25 : 0, !_i);
	sim.loses = loses_all;
	device_start(a->device, sim.now);
	send_data(a, ab, "data");
	run_for(SECONDS(3600));
	ck_assert_uint_ge(ab->n_initiations, 3600 * NSEC_PER_SEC / (REKEY_TIMEOUT + JITTER));
	ck_assert_uint_le(ab->n_initiations, 3600 * NSEC_PER_SEC / REKEY_TIMEOUT);
	sim.loses = NULL;
	run_for(REKEY_TIMEOUT + JITTER + SECONDS(1));
	ck_assert_same_session(ab, ba);
}
END_TEST

START_TEST(other_session_is_given_up_after_the_attempt_time)
{
	introduce(0, false);
	sim.loses = loses_all;
	send_data(a, ab, "data");
	run_for(SECONDS(3600));
	ck_assert_uint_eq(ab->n_initiations, REKEY_ATTEMPT_TIME / REKEY_TIMEOUT);
	ck_assert_int_lt(ab->last_initiation, T0 + REKEY_ATTEMPT_TIME + SECONDS(6));
	ck_assert_int_eq(device_run_timers(a->device, sim.now), NSEC_NEVER);
	sim.loses = NULL;
	send_data(a, ab, "again");
	run_for(SECONDS(1));
	ck_assert_same_session(ab, ba);
}
END_TEST

START_TEST(initiations_keep_their_distance)
{
	introduce(0, false);
	sim.loses = loses_all;
	for (unsigned i = 0; i < 100; i++) {
		send_data(a, ab, "data");
		run_for(REKEY_TIMEOUT / 100);
		ck_assert_uint_eq(ab->n_initiations, 1);
	}
	send_data(a, ab, "data");
	run_for(1);
	ck_assert_uint_eq(ab->n_initiations, 2);
}
END_TEST

START_TEST(wish_older_than_its_session_makes_no_other)
{
	join();
	peer_poke(&ba->peer, POKE_HANDSHAKE);
	run_for(SECONDS(1));
	ck_assert_uint_eq(ba->n_initiations, 0);
}
END_TEST

/* Trials of a path, beside a session */

static void ask_trial(void)
{
	peer_poke(&ab->peer, POKE_TRIAL);
	run_for(SECONDS(1));
}

START_TEST(trial_that_is_answered_makes_a_session)
{
	struct keypair *old;

	join();
	run_for(REKEY_TIMEOUT);
	old = session_of(ba);
	peer_poke(&ba->peer, POKE_TRIAL);
	run_for(SECONDS(1));
	ck_assert_uint_eq(ba->n_trials, 1);
	ck_assert_uint_eq(ba->n_heard, 2);
	ck_assert_ptr_ne(session_of(ba), old);
	ck_assert_same_session(ab, ba);
}
END_TEST

START_TEST(trial_that_is_not_answered_is_no_handshake_that_failed)
{
	struct keypair *k;
	struct tally before, after;

	join();
	run_for(REKEY_TIMEOUT);
	k = session_of(ab);
	before = atomic_load(&ab->peer.tally);
	sim.n_paths = 3;
	sim.loses = loses_all;
	ask_trial();
	run_for(SECONDS(30));
	ck_assert_uint_eq(ab->n_trials, 1);
	ck_assert_uint_eq(ab->n_initiations, 2); /* neither repeated nor sent elsewhere */
	ck_assert_ptr_eq(session_of(ab), k);
	after = atomic_load(&ab->peer.tally);
	ck_assert_mem_eq(&after, &before, sizeof(before));
	ask_trial();
	ck_assert_uint_eq(ab->n_trials, 2);
}
END_TEST

START_TEST(trial_keeps_its_distance_from_handshakes_and_needs_a_session)
{
	introduce(0, false);
	ask_trial();
	ck_assert_uint_eq(ab->n_initiations, 0);
	send_data(a, ab, "data");
	run_for(SECONDS(1));
	ck_assert_same_session(ab, ba);
	ask_trial();
	ck_assert_uint_eq(ab->n_trials, 0);
	run_for(REKEY_TIMEOUT);
	sim.loses = loses_all;
	ask_trial();
	ask_trial();
	ck_assert_uint_eq(ab->n_trials, 1);
}
END_TEST

START_TEST(trial_becomes_a_handshake_when_one_is_wanted)
{
	join();
	run_for(REKEY_TIMEOUT);
	sim.loses = loses_all;
	sim.n_paths = 2;
	ask_trial();
	peer_poke(&ab->peer, POKE_HANDSHAKE);
	run_for(SECONDS(1));
	ck_assert_uint_eq(ab->n_trials, 1);
	ck_assert_uint_eq(ab->n_initiations, 1 + 1 + 2); /* over both paths, at once */
	sim.loses = NULL;
	run_for(REKEY_TIMEOUT);
	ck_assert_uint_eq(ab->n_trials, 1);
	ck_assert_uint_gt(ab->n_initiations, 4); /* and again */
	ck_assert_same_session(ab, ba);
	ck_assert_int_gt(sim.now - session_of(ab)->birth, 0);
	ck_assert_int_lt(sim.now - session_of(ab)->birth, REKEY_TIMEOUT);
}
END_TEST

START_TEST(trial_ends_when_the_peer_s_own_handshake_is_done)
{
	join();
	run_for(REKEY_TIMEOUT);
	sim.loses = loses_all;
	ask_trial();
	sim.loses = NULL;
	peer_poke(&ba->peer, POKE_HANDSHAKE);
	run_for(SECONDS(20));
	ck_assert_uint_eq(ab->n_initiations, 2);
	ck_assert_same_session(ab, ba);
}
END_TEST

/* Lifetimes */

START_TEST(initiator_alone_renews_the_session)
{
	join();
	for (unsigned i = 0; i < 125; i++) {
		send_data(a, ab, "data");
		send_data(b, ba, "data");
		run_for(SECONDS(1));
		ck_assert_ptr_nonnull(session_of(ab));
	}
	ck_assert_uint_eq(ab->n_initiations, 2);
	ck_assert_uint_eq(ba->n_initiations, 0);
	ck_assert_between(ab->last_initiation, T0 + REKEY_AFTER_TIME,
			  T0 + REKEY_AFTER_TIME + SECONDS(2));
	ck_assert_same_session(ab, ba);
	ck_assert_uint_eq(a->n_data_received, 125);
	ck_assert_uint_eq(b->n_data_received,
			  125); /* what was there before the session was not sent */
}
END_TEST

START_TEST(initiator_that_only_receives_renews_before_the_end)
{
	nsec_t late = REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT;

	join();
	run_until(T0 + late - SECONDS(1));
	send_data(b, ba, "data");
	run_for(SECONDS(2));
	ck_assert_uint_eq(ab->n_initiations, 1);
	send_data(b, ba, "data");
	run_for(SECONDS(1));
	ck_assert_uint_eq(a->n_data_received, 2);
	ck_assert_uint_eq(ab->n_initiations, 2);
	ck_assert_uint_eq(ba->n_initiations, 0);
	ck_assert_same_session(ab, ba);
}
END_TEST

START_TEST(session_wanted_up_never_ends_without_traffic)
{
	introduce(0, true);
	if (_i) /* both want it */
		ba->peer.is_wanted_up = true;
	device_start(a->device, sim.now);
	device_start(b->device, sim.now);
	run_for(SECONDS(1));
	for (unsigned i = 0; i < 3600; i++) {
		run_for(SECONDS(1));
		ck_assert_same_session(ab, ba);
	}
	ck_assert_uint_le(ab->n_initiations + ba->n_initiations, 2 + 3600 / 165);
}
END_TEST

START_TEST(session_wanted_up_by_the_responder_is_renewed_by_it)
{
	join();
	ba->peer.is_wanted_up = true;
	device_start(b->device, sim.now);
	for (unsigned i = 0; i < 1000; i++) {
		run_for(SECONDS(1));
		ck_assert_ptr_nonnull(session_of(ba));
	}
	ck_assert_uint_eq(ab->n_initiations, 1);
}
END_TEST

START_TEST(old_session_receives_until_it_is_rejected)
{
	uint8_t early[2][MESSAGE_MAX];
	struct origin from = origin_of(a, 1);
	size_t len = 0;

	join();
	for (unsigned i = 0; i < 2; i++)
		len = seal_on(session_of(ab), "early", early[i]);
	run_until(T0 + REKEY_AFTER_TIME + SECONDS(1));
	send_data(a, ab, "data");
	run_until(T0 + REJECT_AFTER_TIME - SECONDS(1));
	ck_assert_uint_eq(ab->n_initiations, 2);
	ck_assert_ptr_nonnull(rcu_own(&ba->peer.previous));
	b->n_data_received = 0;
	deliver(b, early[0], len, &from);
	ck_assert_uint_eq(b->n_data_received, 1);
	run_for(SECONDS(2));
	deliver(b, early[1], len, &from);
	ck_assert_uint_eq(b->n_data_received, 1);
}
END_TEST

START_TEST(expired_session_is_not_sent_on)
{
	join();
	run_until(T0 + REJECT_AFTER_TIME - SECONDS(1));
	ck_assert_ptr_nonnull(session_of(ab));
	run_until(T0 + REJECT_AFTER_TIME + SECONDS(1));
	ck_assert_ptr_null(session_of(ab));
	ck_assert_ptr_null(session_of(ba));
	ck_assert(!send_data(b, ba, "data"));
	run_for(SECONDS(1));
	ck_assert_same_session(ab, ba);
	ck_assert_uint_eq(ba->n_initiations, 1);
}
END_TEST

START_TEST(keys_are_zeroed_long_after_the_last_session)
{
	uint32_t index;

	join();
	index = session_of(ab)->local_index;
	run_until(T0 + 3 * REJECT_AFTER_TIME);
	ck_assert_ptr_nonnull(device_session_rcu(a->device, index));
	ck_assert_ptr_null(device_session_rcu(a->device, index ^ 1U << 31)); /* same slot */
	ck_assert_ptr_null(device_session_rcu(a->device, index ^ 1U << 19)); /* no such slot */
	run_for(SECONDS(1));
	ck_assert_ptr_null(device_session_rcu(a->device, index));
	ck_assert_ptr_null(rcu_own(&ab->peer.current));
	ck_assert_ptr_null(rcu_own(&ba->peer.current));
	ck_assert_int_eq(device_run_timers(a->device, sim.now), NSEC_NEVER);
}
END_TEST

START_TEST(counter_limit_ends_a_session_and_asks_for_the_next)
{
	join();
	run_for(SECONDS(10));
	session_of(ba)->tx_counter = REKEY_AFTER_MESSAGES;
	send_data(b, ba, "data");
	run_for(SECONDS(1));
	ck_assert_uint_eq(ba->n_initiations, 1);
	run_for(SECONDS(10));
	session_of(ba)->tx_counter = REJECT_AFTER_MESSAGES;
	ck_assert_ptr_null(session_of(ba));
}
END_TEST

/* Keepalives and silence */

START_TEST(data_without_an_answer_gets_a_keepalive)
{
	nsec_t sent;

	join();
	run_for(SECONDS(30));
	sent = sim.now;
	send_data(a, ab, "data");
	run_for(SECONDS(5));
	send_data(a, ab, "data");
	run_for(SECONDS(60));
	ck_assert_uint_eq(ba->n_keepalives, 1);
	ck_assert_int_eq(ba->last_keepalive, sent + sim.latency + KEEPALIVE_TIMEOUT);
	ck_assert_uint_eq(ab->n_initiations, 1); /* the keepalive was answer enough */
}
END_TEST

START_TEST(data_with_an_answer_gets_no_keepalive)
{
	nsec_t answered;

	join();
	run_for(SECONDS(30));
	send_data(a, ab, "data");
	run_for(SECONDS(1));
	answered = sim.now;
	send_data(b, ba, "data");
	run_for(SECONDS(60));
	ck_assert_uint_eq(ba->n_keepalives, 0);
	ck_assert_uint_eq(ab->n_keepalives, 2); /* the first confirmed the session */
	ck_assert_int_eq(ab->last_keepalive, answered + sim.latency + KEEPALIVE_TIMEOUT);
}
END_TEST

START_TEST(persistent_keepalives_come_at_their_interval)
{
	nsec_t last;

	introduce(25, true);
	device_start(a->device, sim.now);
	run_for(SECONDS(1));
	for (unsigned i = 0; i < 2; i++) {
		last = ab->last_keepalive;
		run_for(SECONDS(25));
		ck_assert_int_eq(ab->last_keepalive, last + SECONDS(25));
	}
	/* traffic puts it off */
	run_until(last + SECONDS(40));
	send_data(b, ba, "data");
	last = sim.now + sim.latency;
	run_for(SECONDS(34));
	ck_assert_int_eq(ab->last_keepalive, last + KEEPALIVE_TIMEOUT);
	ck_assert_uint_eq(ba->n_keepalives, 0);
}
END_TEST

START_TEST(silence_after_data_begins_a_new_handshake)
{
	nsec_t sent;

	join();
	run_for(SECONDS(30));
	sim.loses = loses_all;
	sent = sim.now;
	for (unsigned i = 0; i < 20; i++) {
		send_data(a, ab, "data");
		run_for(SECONDS(1));
	}
	ck_assert_uint_eq(ab->n_initiations, 2);
	ck_assert_between(ab->last_initiation, sent + KEEPALIVE_TIMEOUT + REKEY_TIMEOUT,
			  sent + KEEPALIVE_TIMEOUT + REKEY_TIMEOUT + JITTER);
}
END_TEST

START_TEST(idle_peer_is_not_watched_and_wakes_with_traffic)
{
	join();
	for (unsigned i = 0; i < 2; i++) {
		ck_assert(!ab->peer.is_watched && !ba->peer.is_watched);
		ck_assert_int_eq(device_run_timers(a->device, sim.now), ab->peer.zero_keys_at);
		send_data(a, ab, "data");
		ck_assert(ab->is_poked);
		run_for(SECONDS(1));
		ck_assert(ab->peer.is_watched && ba->peer.is_watched);
		send_data(a, ab, "data");
		ck_assert(!ab->is_poked);
		run_for(SECONDS(40));
	}
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("timers");
	TCase *t = tcase_create("timers");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, lost_response_is_asked_for_again_after_the_timeout);
	tcase_add_loop_test(t, session_wanted_up_is_tried_for_ever, 0, 2);
	tcase_add_test(t, other_session_is_given_up_after_the_attempt_time);
	tcase_add_test(t, initiations_keep_their_distance);
	tcase_add_test(t, unanswered_initiations_in_a_row_are_counted);
	tcase_add_test(t, wish_older_than_its_session_makes_no_other);
	tcase_add_test(t, trial_that_is_answered_makes_a_session);
	tcase_add_test(t, trial_that_is_not_answered_is_no_handshake_that_failed);
	tcase_add_test(t, trial_keeps_its_distance_from_handshakes_and_needs_a_session);
	tcase_add_test(t, trial_becomes_a_handshake_when_one_is_wanted);
	tcase_add_test(t, trial_ends_when_the_peer_s_own_handshake_is_done);
	tcase_add_test(t, initiator_alone_renews_the_session);
	tcase_add_test(t, initiator_that_only_receives_renews_before_the_end);
	tcase_add_loop_test(t, session_wanted_up_never_ends_without_traffic, 0, 2);
	tcase_add_test(t, session_wanted_up_by_the_responder_is_renewed_by_it);
	tcase_add_test(t, old_session_receives_until_it_is_rejected);
	tcase_add_test(t, expired_session_is_not_sent_on);
	tcase_add_test(t, keys_are_zeroed_long_after_the_last_session);
	tcase_add_test(t, counter_limit_ends_a_session_and_asks_for_the_next);
	tcase_add_test(t, data_without_an_answer_gets_a_keepalive);
	tcase_add_test(t, data_with_an_answer_gets_no_keepalive);
	tcase_add_test(t, persistent_keepalives_come_at_their_interval);
	tcase_add_test(t, silence_after_data_begins_a_new_handshake);
	tcase_add_test(t, idle_peer_is_not_watched_and_wakes_with_traffic);
	suite_add_tcase(s, t);
	return s;
}
