/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "broker/server.h"
#include "check_main.h"

#include <errno.h>

#include "dataplane/resolver.h"
#include "probe_sim.h"

static bool has_no_memory;

/* In place of calloc(): see meson.build. */
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
	return has_no_memory ? NULL : __real_calloc(n, size);
}

START_TEST(wrong_pongs_bring_nothing_up)
{
	struct probe_path *pp;
	uint32_t id, number;

	begin(2, "192.0.2.1", MULTILINK_AUTO);
	give_hello(0, "192.0.2.1", FAR_ID(0), 1);
	run_for(NSEC_PER_MSEC);
	pp = find(0, "192.0.2.1");
	id = pp->path->id;
	number = pp->health.next_number - 1;
	ck_assert_uint_ge(n_sent[0][FRAME_PING], 1);
	give_pong(0, "192.0.2.1", 0, number);
	give_pong(0, "192.0.2.1", id + 1000, number);
	give_pong(1, "192.0.2.1", id, number);
	give_pong(0, "192.0.2.1", id, number + 1);
	give_pong(0, "192.0.2.1", id, 0);
	ck_assert_int_eq(pp->health.state, HEALTH_PROBING);
	give_pong(0, "192.0.2.1", id, number);
	ck_assert_int_eq(pp->health.state, HEALTH_UP);
}
END_TEST

START_TEST(silent_path_goes_down_and_its_traffic_to_the_other)
{
	begin_bonded();
	answers[0] = false;
	run_for(SECONDS(4));
	ck_assert(is_active(0) && is_active(1));
	run_for(SECONDS(3));
	ck_assert_int_eq(state_of(0, "192.0.2.1"), HEALTH_DOWN);
	ck_assert(!is_active(0) && is_active(1));
	/* ... which the peer is told over the other. */
	ck_assert_uint_eq(n_sent[1][FRAME_DOWN], 1);
	ck_assert_uint_eq(last_sent[FRAME_DOWN].down.path_id, find(0, "192.0.2.1")->path->id);
	answers[0] = true;
	run_for(SECONDS(3));
	ck_assert(is_active(0) && is_active(1));
}
END_TEST

START_TEST(path_that_is_down_for_the_peer_is_left)
{
	const struct frame down = {.type = FRAME_DOWN, .down = {.path_id = FAR_ID(0)}};
	const struct frame other = {.type = FRAME_DOWN, .down = {.path_id = 555}};
	const struct frame none = {.type = FRAME_DOWN};

	begin_bonded();
	give_frame(1, "192.0.2.1", &other);
	give_frame(1, "192.0.2.1", &none);
	ck_assert(is_active(0) && is_active(1));
	give_frame(1, "192.0.2.1", &down);
	ck_assert(!is_active(0) && is_active(1));
	run_for(SECONDS(3));
	ck_assert(is_active(0) && is_active(1));
}
END_TEST

START_TEST(silence_on_all_paths_asks_for_a_handshake)
{
	begin_bonded();
	atomic_store(&bond->peer.pokes, 0);
	answers[0] = false;
	run_for(SECONDS(4));
	ck_assert_uint_eq(atomic_load(&bond->peer.pokes) & POKE_HANDSHAKE, 0);
	answers[1] = false;
	run_for(SECONDS(4));
	ck_assert_uint_ne(atomic_load(&bond->peer.pokes) & POKE_HANDSHAKE, 0);
}
END_TEST

START_TEST(without_a_session_nothing_is_missed)
{
	begin_bonded();
	now += REJECT_AFTER_TIME;
	answers[0] = answers[1] = false;
	run_for(SECONDS(30));
	ck_assert_int_eq(state_of(0, "192.0.2.1"), HEALTH_UP);
}
END_TEST

START_TEST(link_error_takes_a_stock_path_down_for_the_back_off)
{
	uint32_t id;

	begin(2, "192.0.2.1", MULTILINK_NO);
	id = find(0, "192.0.2.1")->path->id;
	ck_assert(probe_path_failed(probe, id, ENETUNREACH, now));
	ck_assert(!is_active(0) && is_active(1));
	run_for(SECONDS(5) - 1);
	ck_assert(!is_active(0));
	run_for(2);
	ck_assert(is_active(0));
	ck_assert(!probe_path_failed(probe, 9999, ENETUNREACH, now));
}
END_TEST

START_TEST(link_error_outlasts_answers_for_the_back_off)
{
	begin_bonded();
	ck_assert(probe_path_failed(probe, find(0, "192.0.2.1")->path->id, EPERM, now));
	run_for(SECONDS(5) - 1);
	ck_assert(!is_active(0) && is_active(1));
	run_for(SECONDS(3));
	ck_assert(is_active(0));
}
END_TEST

START_TEST(failed_path_forgets_its_own_address)
{
	struct probe_path *pp;

	begin_bonded();
	pp = find(0, "192.0.2.1");
	pp->to.local = endpoint_of("192.0.2.200").remote;
	probe_path_failed(probe, pp->path->id, EINVAL, now);
	ck_assert(!addr_is_set(&pp->to.local));
	ck_assert(!addr_is_set(&published()->entries[0].to.local));
}
END_TEST

START_TEST(link_without_socket_carries_nothing)
{
	begin_bonded();
	atomic_store(&net.links[0]->is_open, false);
	probe_link_changed(probe, net.links[0], "no carrier", now);
	ck_assert(!is_active(0) && is_active(1));
	atomic_store(&net.links[0]->is_open, true);
	probe_link_changed(probe, net.links[0], NULL, now);
	run_for(SECONDS(1));
	ck_assert(is_active(0) && is_active(1));
}
END_TEST

START_TEST(learnt_path_that_stays_down_is_forgotten)
{
	begin(1, "", MULTILINK_AUTO);
	give_hello(0, "198.51.100.1", 1, 1);
	run_for(SECONDS(100));
	ck_assert_int_eq(state_of(0, "198.51.100.1"), HEALTH_DOWN);
	begin_session(bond, now);
	run_for(SECONDS(60));
	ck_assert_uint_eq(n_paths(), 0);
}
END_TEST

START_TEST(path_that_there_is_no_memory_to_forget_is_forgotten_later)
{
	begin(1, "", MULTILINK_AUTO);
	give_hello(0, "198.51.100.1", 1, 1);
	run_for(SECONDS(100));
	begin_session(bond, now);
	has_no_memory = true;
	run_for(SECONDS(60));
	has_no_memory = false;
	ck_assert_uint_eq(n_paths(), 1);
	run_for(SECONDS(1));
	ck_assert_uint_eq(n_paths(), 0);
}
END_TEST

START_TEST(configured_path_that_stays_down_is_kept)
{
	begin(1, "192.0.2.1", MULTILINK_AUTO);
	give_hello(0, "192.0.2.1", 1, 1);
	run_for(SECONDS(100));
	begin_session(bond, now);
	run_for(SECONDS(100));
	ck_assert_uint_eq(n_paths(), 1);
}
END_TEST

START_TEST(loss_is_measured_by_what_arrived)
{
	struct frame ping = {.type = FRAME_PING, .ping = {.number = 1, .path_id = FAR_ID(0)}};
	struct event e;

	begin(1, "192.0.2.1", MULTILINK_AUTO);
	for (unsigned i = 1; i <= 2; i++) {
		ping.ping.tx_packets = 100 * i;
		e = frame_from(0, "192.0.2.1", &ping);
		e.rx_packets = 75 * i;
		probe_frame(probe, &e);
	}
	take_sent();
	ck_assert_double_eq_tol(find(0, "192.0.2.1")->rx_loss.loss, 0.25, 0.001);
}
END_TEST

/* Two paths, of which the second is for backup. */
static void begin_with_backup(void)
{
	begin(2, "192.0.2.1", MULTILINK_AUTO);
	net.links[1]->settings->role = LINK_BACKUP;
	answers[0] = answers[1] = true;
	probe_session(probe, now);
	give_hello(0, "192.0.2.1", FAR_ID(0), 1);
	give_hello(1, "192.0.2.1", FAR_ID(1), 1);
	run_for(SECONDS(2));
	ck_assert(is_active(0) && !is_active(1));
	memset(n_sent, 0, sizeof(n_sent));
}

START_TEST(idle_backup_is_pinged_less_until_it_is_needed)
{
	begin_with_backup();
	run_for(SECONDS(50));
	ck_assert_uint_ge(n_sent[0][FRAME_PING], 49);
	ck_assert_uint_ge(n_sent[1][FRAME_PING], 9);
	ck_assert_uint_le(n_sent[1][FRAME_PING], 11);

	answers[0] = false;
	run_for(SECONDS(7));
	ck_assert(is_active(1));
	memset(n_sent, 0, sizeof(n_sent));
	run_for(SECONDS(50));
	ck_assert_uint_ge(n_sent[1][FRAME_PING], 49);

	answers[0] = true;
	run_for(SECONDS(10));
	ck_assert(!is_active(1));
	memset(n_sent, 0, sizeof(n_sent));
	run_for(SECONDS(50));
	ck_assert_uint_le(n_sent[1][FRAME_PING], 11);
}
END_TEST

START_TEST(dead_backup_is_noticed)
{
	begin_with_backup();
	answers[1] = false;
	run_for(SECONDS(10));
	ck_assert_int_eq(state_of(1, "192.0.2.1"), HEALTH_DOWN);
}
END_TEST

/* The peer has restarted: that must not be noticed later because of a path that stands by. */
START_TEST(backup_is_asked_when_the_others_are_in_doubt)
{
	begin_with_backup();
	run_for(SECONDS(20));
	answers[0] = answers[1] = false;
	atomic_store(&bond->peer.pokes, 0);
	run_for(SECONDS(4));
	ck_assert(atomic_load(&bond->peer.pokes) & POKE_HANDSHAKE);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("probe_health");
	TCase *t = tcase_create("probe_health");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, wrong_pongs_bring_nothing_up);
	tcase_add_test(t, silent_path_goes_down_and_its_traffic_to_the_other);
	tcase_add_test(t, path_that_is_down_for_the_peer_is_left);
	tcase_add_test(t, silence_on_all_paths_asks_for_a_handshake);
	tcase_add_test(t, without_a_session_nothing_is_missed);
	tcase_add_test(t, link_error_takes_a_stock_path_down_for_the_back_off);
	tcase_add_test(t, link_error_outlasts_answers_for_the_back_off);
	tcase_add_test(t, failed_path_forgets_its_own_address);
	tcase_add_test(t, link_without_socket_carries_nothing);
	tcase_add_test(t, learnt_path_that_stays_down_is_forgotten);
	tcase_add_test(t, path_that_there_is_no_memory_to_forget_is_forgotten_later);
	tcase_add_test(t, configured_path_that_stays_down_is_kept);
	tcase_add_test(t, loss_is_measured_by_what_arrived);
	tcase_add_test(t, idle_backup_is_pinged_less_until_it_is_needed);
	tcase_add_test(t, dead_backup_is_noticed);
	tcase_add_test(t, backup_is_asked_when_the_others_are_in_doubt);
	suite_add_tcase(s, t);
	return s;
}
