/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What the monitor finds of a path's MTU, and makes of it. */
#include "broker/server.h"
#include "check_main.h"

#include "dataplane/mtu.h"
#include "dataplane/resolver.h"
#include "probe_sim.h"

START_TEST(mtu_of_each_path_is_found)
{
	carried = 1400;
	begin_bonded();
	run_for(SECONDS(20));
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_uint_le(find(i, "192.0.2.1")->pmtu.mtu, 1400);
		ck_assert_uint_gt(find(i, "192.0.2.1")->pmtu.mtu, 1400 - PMTU_GRAIN);
		ck_assert_uint_eq(probe_path_inner_mtu(find(i, "192.0.2.1")),
				  find(i, "192.0.2.1")->pmtu.mtu - 60);
	}
}
END_TEST

START_TEST(mtu_is_unknown_where_it_is_not_answered)
{
	begin_bonded();
	run_for(SECONDS(60));
	ck_assert_uint_ge(n_sent[0][FRAME_MTU_PROBE], 1);
	ck_assert_uint_eq(find(0, "192.0.2.1")->pmtu.mtu, 0);
	ck_assert_uint_eq(probe_path_inner_mtu(find(0, "192.0.2.1")), 0);
	ck_assert_int_eq(state_of(0, "192.0.2.1"), HEALTH_UP);
}
END_TEST

START_TEST(probe_of_the_peer_is_answered_on_its_path)
{
	const struct frame f = {.type = FRAME_MTU_PROBE,
				.mtu = {.number = 7, .path_id = FAR_ID(1), .size = 1500}};

	begin_bonded();
	give_frame(1, "192.0.2.1", &f);
	ck_assert_uint_eq(n_sent[1][FRAME_MTU_ANSWER], 1);
	ck_assert_uint_eq(last_sent[FRAME_MTU_ANSWER].mtu.number, 7);
	ck_assert_uint_eq(last_sent[FRAME_MTU_ANSWER].mtu.path_id, FAR_ID(1));
}
END_TEST

START_TEST(stock_peer_is_not_asked)
{
	begin(1, "192.0.2.1", MULTILINK_AUTO);
	probe_session(probe, now);
	run_for(SECONDS(60));
	ck_assert_uint_eq(n_sent[0][FRAME_MTU_PROBE], 0);
}
END_TEST

START_TEST(path_that_has_moved_is_searched_anew)
{
	begin_bonded();
	carried = 1500;
	give_ping(0, "192.0.2.9", FAR_ID(0));
	run_for(SECONDS(20));
	ck_assert_uint_eq(find(0, "192.0.2.9")->pmtu.mtu, 1500);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("probe_mtu");
	TCase *t = tcase_create("probe_mtu");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, mtu_of_each_path_is_found);
	tcase_add_test(t, mtu_is_unknown_where_it_is_not_answered);
	tcase_add_test(t, probe_of_the_peer_is_answered_on_its_path);
	tcase_add_test(t, stock_peer_is_not_asked);
	tcase_add_test(t, path_that_has_moved_is_searched_anew);
	suite_add_tcase(s, t);
	return s;
}
