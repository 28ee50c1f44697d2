/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "broker/server.h"
#include "check_main.h"

#include <sched.h>

#include "dataplane/resolver.h"
#include "probe_sim.h"

START_TEST(configured_endpoint_makes_a_path_over_every_link)
{
	begin(2, "192.0.2.1", MULTILINK_AUTO);
	ck_assert_uint_eq(n_paths(), 2);
	ck_assert_uint_ne(published()->entries[0].path->slot, published()->entries[1].path->slot);
	ck_assert_uint_ne(published()->entries[0].path->id, published()->entries[1].path->id);
}
END_TEST

START_TEST(peer_without_endpoint_has_no_path_yet)
{
	begin(2, "", MULTILINK_AUTO);
	ck_assert_uint_eq(n_paths(), 0);
	probe_session(probe, now);
	run_for(SECONDS(10));
	ck_assert_uint_eq(n_paths(), 0);
}
END_TEST

START_TEST(stock_peer_is_known_after_unanswered_hellos)
{
	begin(2, "192.0.2.1", MULTILINK_AUTO);
	probe_session(probe, now);
	ck_assert(!probe->is_known);
	run_for(SECONDS(60));
	ck_assert(probe->is_known && !probe->is_multilink);
	ck_assert_uint_eq(n_sent[0][FRAME_HELLO], 4);
	ck_assert_uint_eq(n_sent[1][FRAME_HELLO], 4);
	ck_assert_uint_eq(n_sent[0][FRAME_PING], 0);
}
END_TEST

START_TEST(hello_makes_the_peer_multilink_and_its_paths_pinged)
{
	begin(2, "192.0.2.1", MULTILINK_AUTO);
	probe_session(probe, now);
	give_hello(0, "192.0.2.1", FAR_ID(0), 1);
	ck_assert(probe->is_multilink && probe->is_known);
	run_for(SECONDS(1));
	ck_assert_uint_ge(n_sent[0][FRAME_PING], 1);
	ck_assert_uint_ge(n_sent[1][FRAME_PING], 1);
}
END_TEST

START_TEST(hello_is_answered_only_if_it_wants_to_be)
{
	struct frame f = {.type = FRAME_HELLO, .hello = {.path_id = 1, .weight = 1}};

	begin(1, "192.0.2.1", MULTILINK_AUTO);
	give_frame(0, "192.0.2.1", &f);
	ck_assert_uint_eq(n_sent[0][FRAME_HELLO], 0);
	f.hello.wants_answer = true;
	give_frame(0, "192.0.2.1", &f);
	ck_assert_uint_eq(n_sent[0][FRAME_HELLO], 1);
	ck_assert(!last_sent[FRAME_HELLO].hello.wants_answer);
	ck_assert_str_eq(last_sent[FRAME_HELLO].hello.link_name, "link 0");
	ck_assert_uint_eq(last_sent[FRAME_HELLO].hello.path_id, find(0, "192.0.2.1")->path->id);
}
END_TEST

START_TEST(ping_is_answered_with_what_has_come)
{
	const struct frame ping = {.type = FRAME_PING,
				   .ping = {.number = 77, .path_id = FAR_ID(0)}};
	struct event e;

	begin(1, "192.0.2.1", MULTILINK_AUTO);
	e = frame_from(0, "192.0.2.1", &ping);
	e.rx_packets = 5;
	e.rx_bytes = 500;
	probe_frame(probe, &e);
	take_sent();
	ck_assert_uint_eq(n_sent[0][FRAME_PONG], 1);
	ck_assert_uint_eq(last_sent[FRAME_PONG].pong.number, 77);
	ck_assert_uint_eq(last_sent[FRAME_PONG].pong.path_id, FAR_ID(0));
	ck_assert_uint_eq(last_sent[FRAME_PONG].pong.rx_packets, 5);
	ck_assert_uint_eq(last_sent[FRAME_PONG].pong.rx_bytes, 500);
}
END_TEST

START_TEST(multilink_no_neither_asks_nor_listens)
{
	begin(1, "192.0.2.1", MULTILINK_NO);
	probe_session(probe, now);
	give_hello(0, "192.0.2.1", FAR_ID(0), 1);
	give_ping(0, "192.0.2.1", FAR_ID(0));
	run_for(SECONDS(60));
	ck_assert(!probe->is_multilink);
	ck_assert_uint_eq(n_sent[0][FRAME_HELLO] + n_sent[0][FRAME_PONG] + n_sent[0][FRAME_PING],
			  0);
}
END_TEST

START_TEST(multilink_yes_asks_for_ever)
{
	begin(1, "192.0.2.1", MULTILINK_YES);
	probe_session(probe, now);
	run_for(SECONDS(60));
	ck_assert_uint_ge(n_sent[0][FRAME_HELLO], 10);
	ck_assert(!probe->is_known);
	give_hello(0, "192.0.2.1", FAR_ID(0), 1);
	ck_assert(probe->is_multilink);
}
END_TEST

START_TEST(peer_that_became_stock_is_noticed_with_its_next_session)
{
	begin_bonded();
	answers[0] = answers[1] = false;
	begin_session(bond, now);
	probe_session(probe, now);
	run_for(SECONDS(20));
	ck_assert(probe->is_known && !probe->is_multilink);
	ck_assert_uint_eq(published()->n_active, 1);
}
END_TEST

START_TEST(two_paths_over_one_link_are_learnt_by_their_numbers)
{
	begin(1, "", MULTILINK_AUTO);
	give_hello(0, "198.51.100.1", 1, 3);
	give_hello(0, "198.51.100.2", 2, 5);
	ck_assert_uint_eq(n_paths(), 2);
	ck_assert_uint_eq(find(0, "198.51.100.1")->remote_id, 1);
	ck_assert_uint_eq(find(0, "198.51.100.2")->remote_id, 2);
	ck_assert_str_eq(find(0, "198.51.100.2")->remote_link, "far 2");
}
END_TEST

/* Is anything known of its way? */
static bool is_known(const struct probe_path *pp)
{
	return pp->health.rtt && atomic_load(&pp->path->rtt) && pp->pmtu.max;
}

START_TEST(path_to_another_host_is_learnt_anew_but_not_to_another_port)
{
	const struct frame ping = {.type = FRAME_PING, .ping = {.number = 9, .path_id = FAR_ID(0)}};
	struct probe_path *pp;
	struct event e;
	uint32_t id, epoch;

	begin_bonded();
	pp = find(0, "192.0.2.1");
	id = pp->path->id;
	epoch = path_epoch(pp->path);
	ck_assert(is_known(pp));
	e = frame_from(0, "192.0.2.1", &ping);
	addr_set_port(&e.from.remote, 7);
	probe_frame(probe, &e);
	ck_assert_uint_eq(addr_port(&pp->to.remote), 7);
	ck_assert_uint_eq(path_epoch(pp->path), epoch);
	ck_assert_int_ne(pp->health.rtt, 0);

	give_ping(0, "192.0.2.7", FAR_ID(0));
	ck_assert(leads_to(pp, "192.0.2.7"));
	ck_assert_uint_ne(path_epoch(pp->path), epoch);
	ck_assert_int_eq(pp->health.rtt, 0);
	ck_assert_int_eq(atomic_load(&pp->path->rtt), 0);
	ck_assert_uint_eq(pp->pmtu.max, 0);
	ck_assert_uint_eq(pp->path->id, id);
	ck_assert_int_eq(pp->health.state, HEALTH_UP);
}
END_TEST

START_TEST(paths_of_a_link_that_leads_elsewhere_are_learnt_anew)
{
	struct probe_path *pp;
	struct probe_path *other;
	uint32_t epoch, other_epoch;

	begin_bonded();
	pp = find(0, "192.0.2.1");
	other = find(1, "192.0.2.1");
	epoch = path_epoch(pp->path);
	other_epoch = path_epoch(other->path);
	ck_assert_uint_ne(epoch, other_epoch);
	pp->to.local = other->to.local = endpoint_of("198.51.100.9").remote;
	probe_link_elsewhere(probe, net.links[0], now);
	ck_assert(!addr_is_set(&pp->to.local) && addr_is_set(&other->to.local));
	ck_assert_uint_ne(path_epoch(pp->path), epoch);
	ck_assert_uint_ne(path_epoch(pp->path), other_epoch);
	ck_assert_uint_eq(path_epoch(other->path), other_epoch);
	ck_assert(!pp->health.rtt && !pp->pmtu.max && is_known(other));
	run_for(SECONDS(2));
	ck_assert(is_known(pp));
}
END_TEST

START_TEST(weight_of_a_learnt_path_is_the_peers)
{
	begin(1, "", MULTILINK_AUTO);
	give_hello(0, "198.51.100.1", 1, 3);
	ck_assert_uint_eq(published()->entries[0].weight, 3);
	give_hello(0, "198.51.100.1", 1, 4);
	ck_assert_uint_eq(published()->entries[0].weight, 4);
	give_hello(0, "198.51.100.1", 1, 0);
	ck_assert_uint_eq(published()->entries[0].weight, 4);
}
END_TEST

START_TEST(weight_of_a_configured_path_is_ours)
{
	begin(1, "192.0.2.1", MULTILINK_AUTO);
	give_hello(0, "192.0.2.1", 1, 3);
	ck_assert_uint_eq(published()->entries[0].weight, 1);
}
END_TEST

START_TEST(path_moves_where_its_frames_come_from)
{
	uint32_t id;

	begin(1, "", MULTILINK_AUTO);
	give_hello(0, "198.51.100.1", 1, 1);
	give_hello(0, "198.51.100.2", 2, 1);
	id = find(0, "198.51.100.1")->path->id;
	give_ping(0, "203.0.113.9:4000", 1);
	ck_assert_uint_eq(n_paths(), 2);
	ck_assert_ptr_null(find(0, "198.51.100.1"));
	ck_assert_uint_eq(find(0, "203.0.113.9:4000")->path->id, id);
	ck_assert_ptr_nonnull(find(0, "198.51.100.2"));
}
END_TEST

START_TEST(path_that_comes_to_another_link_moves_there)
{
	begin(2, "", MULTILINK_AUTO);
	give_hello(0, "198.51.100.1", 1, 1);
	give_ping(1, "198.51.100.1", 1);
	ck_assert_uint_eq(n_paths(), 1);
	ck_assert_ptr_nonnull(find(1, "198.51.100.1"));
}
END_TEST

START_TEST(own_address_that_was_asked_is_answered_from)
{
	struct frame f = {.type = FRAME_PING, .ping = {.number = 1, .path_id = 1}};
	struct event e;

	begin(1, "", MULTILINK_AUTO);
	give_hello(0, "198.51.100.1", 1, 1);
	e = frame_from(0, "198.51.100.1", &f);
	e.from.local = endpoint_of("192.0.2.200").remote;
	probe_frame(probe, &e);
	ck_assert(addr_equal(&published()->entries[0].to.local, &e.from.local));
	ck_assert_uint_eq(n_paths(), 1);
	take_sent();
}
END_TEST

START_TEST(bonded_path_is_not_moved_by_mere_data)
{
	begin_bonded();
	hear(0, "203.0.113.66");
	ck_assert_uint_eq(n_paths(), 2);
	ck_assert_ptr_null(find(0, "203.0.113.66"));
}
END_TEST

START_TEST(stock_peer_roams)
{
	begin(1, "192.0.2.1", MULTILINK_AUTO);
	hear(0, "203.0.113.9");
	ck_assert_uint_eq(n_paths(), 1);
	ck_assert_int_eq(state_of(0, "203.0.113.9"), HEALTH_UP);
	hear(0, "203.0.113.9:7");
	ck_assert_uint_eq(n_paths(), 1);
	ck_assert_ptr_nonnull(find(0, "203.0.113.9:7"));
}
END_TEST

/* As a peer whose way to our first address is broken. */
START_TEST(stock_peer_is_answered_from_the_address_that_it_asked_last)
{
	const char *const asked[] = {"192.0.2.200", "192.0.2.201"};
	struct event e;

	begin(1, "", MULTILINK_AUTO);
	for (int i = 0; i < 2; i++) {
		e = (struct event){.kind = EVENT_HEARD, .bond = bond, .link = net.links[0]};
		e.from = endpoint_of("203.0.113.9");
		e.from.local = endpoint_of(asked[i]).remote;
		e.at = now;
		probe_heard(probe, &e);
		take_sent();
		ck_assert_uint_eq(n_paths(), 1);
		ck_assert(addr_equal(&published()->entries[0].to.local, &e.from.local));
	}
}
END_TEST

START_TEST(learnt_stock_peer_roams_between_links)
{
	begin(2, "", MULTILINK_AUTO);
	hear(0, "203.0.113.9");
	hear(1, "203.0.113.10");
	ck_assert_uint_eq(n_paths(), 1);
	ck_assert_ptr_nonnull(find(1, "203.0.113.10"));
}
END_TEST

START_TEST(configured_paths_of_a_stock_peer_stay)
{
	begin(2, "192.0.2.1", MULTILINK_AUTO);
	hear(1, "203.0.113.10");
	ck_assert_uint_eq(n_paths(), 2);
	ck_assert_ptr_nonnull(find(0, "192.0.2.1"));
	ck_assert_ptr_nonnull(find(1, "203.0.113.10"));
}
END_TEST

START_TEST(ping_without_a_number_of_its_path_is_ignored)
{
	begin(1, "", MULTILINK_AUTO);
	give_ping(0, "203.0.113.66", 0);
	ck_assert_uint_eq(n_paths(), 0);
	ck_assert_uint_eq(n_sent[0][FRAME_PONG], 0);
}
END_TEST

static void learn_paths(unsigned first, unsigned last)
{
	char remote[32];

	for (unsigned i = first; i <= last; i++) {
		snprintf(remote, sizeof(remote), "198.51.100.%u", i);
		give_hello(0, remote, i, 1);
	}
}

START_TEST(paths_are_learnt_only_as_far_as_there_are_slots)
{
	begin(1, "", MULTILINK_AUTO);
	learn_paths(1, PATHS_MAX + 4);
	ck_assert_uint_eq(n_paths(), PATHS_MAX);
}
END_TEST

static void give_down(const char *remote, uint32_t path_id)
{
	const struct frame down = {.type = FRAME_DOWN, .down = {.path_id = path_id}};

	now++;
	give_frame(0, remote, &down);
}

START_TEST(learnt_path_that_is_down_for_longest_makes_room)
{
	begin(1, "", MULTILINK_AUTO);
	learn_paths(1, PATHS_MAX);
	give_down("198.51.100.1", 5);
	give_down("198.51.100.1", 2);
	ck_assert_int_eq(state_of(0, "198.51.100.5"), HEALTH_DOWN);
	learn_paths(101, 101);
	ck_assert_ptr_nonnull(find(0, "198.51.100.101"));
	ck_assert_ptr_null(find(0, "198.51.100.5"));
	ck_assert_ptr_nonnull(find(0, "198.51.100.2"));
	learn_paths(102, 103);
	ck_assert_ptr_nonnull(find(0, "198.51.100.102"));
	ck_assert_ptr_null(find(0, "198.51.100.2"));
	ck_assert_ptr_null(find(0, "198.51.100.103"));
	ck_assert_uint_eq(n_paths(), PATHS_MAX);
}
END_TEST

START_TEST(configured_path_makes_no_room)
{
	begin(1, "192.0.2.1", MULTILINK_AUTO);
	give_hello(0, "192.0.2.1", FAR_ID(0), 1);
	give_down("192.0.2.1", FAR_ID(0));
	ck_assert_int_eq(state_of(0, "192.0.2.1"), HEALTH_DOWN);
	learn_paths(1, PATHS_MAX);
	ck_assert_ptr_nonnull(find(0, "192.0.2.1"));
	ck_assert_uint_eq(n_paths(), PATHS_MAX);
}
END_TEST

/* What is known of each link after the probe has been asked. */
static nsec_t *nearest_of(nsec_t before)
{
	static nsec_t nearest[2];

	nearest[0] = nearest[1] = before;
	probe_find_nearest(probe, nearest);
	return nearest;
}

START_TEST(nearest_of_a_link_has_the_shortest_round_trip_of_paths_that_are_up)
{
	begin_bonded();
	run_for(SECONDS(5));
	ck_assert_int_gt(nearest_of(NSEC_NEVER)[0], 0);
	ck_assert_int_eq(nearest_of(NSEC_NEVER)[0], find(0, "192.0.2.1")->health.rtt_min);
	ck_assert_int_eq(nearest_of(1)[0], 1);
	answers[1] = false;
	run_for(SECONDS(20));
	ck_assert_int_lt(nearest_of(NSEC_NEVER)[0], NSEC_NEVER);
	ck_assert_int_eq(nearest_of(NSEC_NEVER)[1], NSEC_NEVER);
}
END_TEST

/* It is not pinged. */
START_TEST(stock_peer_may_be_near)
{
	begin(2, "192.0.2.1", MULTILINK_NO);
	probe_session(probe, now);
	hear(0, "192.0.2.1");
	ck_assert_int_eq(find(0, "192.0.2.1")->health.state, HEALTH_UP);
	ck_assert_int_eq(nearest_of(NSEC_NEVER)[0], 0);
}
END_TEST

START_TEST(name_is_resolved_beside_the_monitor)
{
	begin(1, "localhost", MULTILINK_AUTO);
	ck_assert_uint_eq(n_paths(), 0);
	while (!n_paths()) {
		monitor_work(net.monitor, now);
		sched_yield();
	}
	ck_assert_uint_eq(addr_port(&published()->entries[0].to.remote), 51820);
	ck_assert(!probe->paths[0]->is_resolving);
}
END_TEST

START_TEST(name_that_cannot_be_resolved_is_tried_again_later)
{
	struct event e = {.kind = EVENT_RESOLVED, .error = -2};

	begin(1, "192.0.2.1", MULTILINK_AUTO);
	e.bond = bond;
	e.path_id = probe->paths[0]->path->id;
	e.at = now;
	probe->paths[0]->is_resolving = true;
	memset(&probe->paths[0]->to, 0, sizeof(probe->paths[0]->to));
	probe_resolved(probe, &e);
	run_for(SECONDS(29));
	ck_assert(!addr_is_set(&probe->paths[0]->to.remote));
	run_for(SECONDS(2));
	ck_assert_ptr_nonnull(find(0, "192.0.2.1"));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("probe");
	TCase *t = tcase_create("probe");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, configured_endpoint_makes_a_path_over_every_link);
	tcase_add_test(t, peer_without_endpoint_has_no_path_yet);
	tcase_add_test(t, stock_peer_is_known_after_unanswered_hellos);
	tcase_add_test(t, hello_makes_the_peer_multilink_and_its_paths_pinged);
	tcase_add_test(t, hello_is_answered_only_if_it_wants_to_be);
	tcase_add_test(t, ping_is_answered_with_what_has_come);
	tcase_add_test(t, multilink_no_neither_asks_nor_listens);
	tcase_add_test(t, multilink_yes_asks_for_ever);
	tcase_add_test(t, peer_that_became_stock_is_noticed_with_its_next_session);
	tcase_add_test(t, two_paths_over_one_link_are_learnt_by_their_numbers);
	tcase_add_test(t, path_to_another_host_is_learnt_anew_but_not_to_another_port);
	tcase_add_test(t, paths_of_a_link_that_leads_elsewhere_are_learnt_anew);
	tcase_add_test(t, weight_of_a_learnt_path_is_the_peers);
	tcase_add_test(t, weight_of_a_configured_path_is_ours);
	tcase_add_test(t, path_moves_where_its_frames_come_from);
	tcase_add_test(t, path_that_comes_to_another_link_moves_there);
	tcase_add_test(t, own_address_that_was_asked_is_answered_from);
	tcase_add_test(t, bonded_path_is_not_moved_by_mere_data);
	tcase_add_test(t, stock_peer_roams);
	tcase_add_test(t, stock_peer_is_answered_from_the_address_that_it_asked_last);
	tcase_add_test(t, learnt_stock_peer_roams_between_links);
	tcase_add_test(t, configured_paths_of_a_stock_peer_stay);
	tcase_add_test(t, ping_without_a_number_of_its_path_is_ignored);
	tcase_add_test(t, paths_are_learnt_only_as_far_as_there_are_slots);
	tcase_add_test(t, learnt_path_that_is_down_for_longest_makes_room);
	tcase_add_test(t, configured_path_makes_no_room);
	tcase_add_test(t, nearest_of_a_link_has_the_shortest_round_trip_of_paths_that_are_up);
	tcase_add_test(t, stock_peer_may_be_near);
	tcase_add_test(t, name_is_resolved_beside_the_monitor);
	tcase_add_test(t, name_that_cannot_be_resolved_is_tried_again_later);
	suite_add_tcase(s, t);
	return s;
}
