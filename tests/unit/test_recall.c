/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What one engine tells of its peers, and what the next one makes of it. */
#include "broker/server.h"
#include "check_main.h"

#include <errno.h>

#include "dataplane/probe_internal.h"
#include "dataplane/recall.h"
#include "dataplane/resolver.h"
#include "probe_sim.h"

#define FROM "198.51.100.1:4000"

static unsigned n_told;

static bool count_telling(void *ctx, const char *network, const uint8_t public_key[32])
{
	(void)ctx;
	(void)network;
	(void)public_key;
	n_told++;
	return true;
}

/* The supervisor counts. */
static void begin_counted(size_t n_links, const char *host)
{
	static const struct broker_calls calls = {.has_peer = count_telling};

	begin(n_links, host, MULTILINK_AUTO);
	broker_free(net.broker);
	broker_server_free(broker_server);
	must(broker_server_new(&broker_server, "/nonexistent", &calls, NULL) == 0);
	must(broker_new_direct(&net.broker, broker_server) == 0);
	n_told = 0;
}

static void shake_hands(void)
{
	atomic_store(&bond->peer.last_handshake, now);
	probe_session(probe, now);
}

/* How many peers the next engine would know; the first is copied. */
static size_t load(struct broker_endpoints *ret)
{
	struct broker_endpoints *list;
	size_t n;
	int r = broker_load_endpoints(net.broker, "handmade", &list, &n);

	if (r == -ENOENT)
		return 0;
	ck_assert_int_eq(r, 0);
	*ret = list[0];
	free(list);
	return n;
}

START_TEST(peer_is_told_of_when_it_has_a_session)
{
	struct endpoint from = endpoint_of(FROM);
	struct broker_endpoints e;

	begin_counted(2, "");
	hear(1, FROM);
	run_for(SECONDS(1));
	ck_assert_uint_eq(load(&e), 0);
	shake_hands();
	run_for(NSEC_PER_MSEC);
	ck_assert_uint_eq(load(&e), 1);
	ck_assert_mem_eq(e.public_key, bond->settings->public_key, sizeof(e.public_key));
	ck_assert_int_eq(e.session_at, now - NSEC_PER_MSEC);
	ck_assert_uint_eq(e.n, 1);
	ck_assert_str_eq(e.list[0].link, "link 1");
	ck_assert(addr_equal(&e.list[0].remote, &from.remote));
}
END_TEST

START_TEST(configured_endpoint_is_told_when_something_comes_from_there)
{
	struct broker_endpoints e;

	begin_counted(1, "192.0.2.1");
	shake_hands();
	run_for(SECONDS(1));
	ck_assert_uint_eq(load(&e), 0);
	hear(0, "192.0.2.1:51820");
	run_for(SECONDS(1));
	ck_assert_uint_eq(load(&e), 1);
}
END_TEST

START_TEST(peer_whose_endpoint_changes_all_the_time_is_told_of_seldom)
{
	struct broker_endpoints e;
	char from[32];

	begin_counted(1, "");
	shake_hands();
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(from, sizeof(from), "198.51.100.1:%u", 4000 + i);
		hear(0, from);
		run_for(NSEC_PER_MSEC);
	}
	ck_assert_uint_le(n_told, 25);
	run_for(SECONDS(1));
	ck_assert_uint_eq(load(&e), 1);
	ck_assert_uint_eq(addr_port(&e.list[0].remote), 4999);
}
END_TEST

START_TEST(peer_that_does_not_change_is_not_told_of_again)
{
	begin_counted(1, "");
	hear(0, FROM);
	shake_hands();
	run_for(SECONDS(10));
	n_told = 0;
	run_for(SECONDS(60));
	ck_assert_uint_eq(n_told, 0);
}
END_TEST

START_TEST(peer_whose_paths_have_all_gone_is_where_it_was)
{
	struct broker_endpoints e;

	begin_counted(1, "");
	hear(0, FROM);
	shake_hands();
	run_for(SECONDS(1));
	probe_remove_link(probe, net.links[0]);
	ck_assert_uint_eq(n_paths(), 0);
	run_for(SECONDS(1));
	ck_assert_uint_eq(load(&e), 1);
	ck_assert_uint_eq(addr_port(&e.list[0].remote), 4000);
}
END_TEST

START_TEST(peer_that_is_removed_is_forgotten)
{
	struct broker_endpoints e;

	begin_counted(1, "");
	hear(0, FROM);
	shake_hands();
	run_for(NSEC_PER_MSEC);
	ck_assert_uint_eq(load(&e), 1);
	recall_forget(bond);
	ck_assert_uint_eq(load(&e), 0);
}
END_TEST

START_TEST(name_leads_to_where_it_led_until_it_is_looked_up)
{
	static const struct endpoint_name name = {.host = "localhost", .port = 51820};
	struct endpoint before = endpoint_of("192.0.2.9:51820");
	struct event e = {.kind = EVENT_RESOLVED, .addresses.n = 1};

	begin(1, "192.0.2.1", MULTILINK_AUTO);
	probe->paths[0]->name = &name;
	memset(&probe->paths[0]->to, 0, sizeof(struct endpoint));
	probe_path_resolve(probe->paths[0], now);
	probe_recall_path(probe, net.links[0], &before, now);
	ck_assert_ptr_nonnull(find(0, "192.0.2.9:51820"));
	ck_assert_uint_eq(n_paths(), 1);
	e.path_id = probe->paths[0]->path->id;
	e.at = now;
	e.addresses.list[0] = endpoint_of("192.0.2.2:51820").remote;
	ck_assert(probe_resolved(probe, &e));
	ck_assert_ptr_nonnull(find(0, "192.0.2.2:51820"));
	/* Once it is known, what was before does not count. */
	probe_recall_path(probe, net.links[0], &before, now);
	ck_assert_ptr_nonnull(find(0, "192.0.2.2:51820"));
	ck_assert_uint_eq(n_paths(), 1);
}
END_TEST

/* In the words of the engine before. */
static void keep(const uint8_t public_key[32], const char *link, nsec_t session_at)
{
	struct broker_endpoints e = {.network = "handmade", .session_at = session_at, .n = 1};

	memcpy(e.public_key, public_key, sizeof(e.public_key));
	strcpy(e.list[0].link, link);
	e.list[0].remote = endpoint_of(FROM).remote;
	ck_assert_int_eq(broker_keep_endpoints(net.broker, &e), 0);
}

static void keep_peer(unsigned i, const char *link, nsec_t session_at)
{
	keep(net.bonds[i]->settings->public_key, link, session_at);
}

static void prepare_network(void)
{
	handmade_settings(HANDMADE_PEERS, 2);
	for (unsigned i = 0; i < 2; i++)
		must(addr_parse(&link_settings[i].bind, "127.0.0.1", 0) == 0);
	handmade_begin();
}

START_TEST(handshakes_begin_with_the_latest_session_and_one_after_the_other)
{
	prepare_network();
	keep_peer(0, "link 0", T0 - 10 * NSEC_PER_SEC);
	keep_peer(1, "link 1", T0 - NSEC_PER_SEC);
	keep_peer(2, "link 1", T0 - REJECT_AFTER_TIME);
	ck_assert_int_eq(monitor_prepare(net.monitor, T0), 0);
	ck_assert_int_eq(net.bonds[1]->peer.retransmit_at, T0);
	ck_assert_int_gt(net.bonds[0]->peer.retransmit_at, T0);
	ck_assert_int_lt(net.bonds[0]->peer.retransmit_at, T0 + NSEC_PER_SEC / 100);
	/* It has no session that it could miss; but we know where it is. */
	ck_assert_int_eq(net.bonds[2]->peer.retransmit_at, NSEC_NEVER);
	for (unsigned i = 0; i < HANDMADE_PEERS; i++) {
		const struct path_set *set = rcu_own(&net.bonds[i]->paths);

		ck_assert_uint_eq(set->n, 1);
		ck_assert_ptr_eq(set->entries[0].path->link, net.links[i ? 1 : 0]);
		ck_assert_uint_eq(addr_port(&set->entries[0].to.remote), 4000);
	}
	handmade_end();
}
END_TEST

START_TEST(peer_that_is_called_anyhow_is_not_called_twice)
{
	prepare_network();
	net.bonds[0]->peer.is_wanted_up = true;
	keep_peer(0, "link 0", T0);
	ck_assert_int_eq(monitor_prepare(net.monitor, T0), 0);
	ck_assert_int_eq(net.bonds[0]->peer.retransmit_at, NSEC_NEVER);
	handmade_end();
}
END_TEST

START_TEST(what_is_gone_from_the_configuration_is_passed_over)
{
	const uint8_t stranger[32] = {1};
	struct broker_endpoints e;

	prepare_network();
	keep(stranger, "link 0", T0);
	keep_peer(0, "link 0", T0);
	ck_assert_int_eq(monitor_prepare(net.monitor, T0), 0);
	ck_assert_uint_eq(load(&e), 1);
	ck_assert_mem_eq(e.public_key, net.bonds[0]->settings->public_key, sizeof(e.public_key));
	handmade_end();
}
END_TEST

START_TEST(peer_of_a_link_that_is_gone_is_called_over_another)
{
	const struct path_set *set;

	prepare_network();
	keep_peer(0, "no such link", T0);
	ck_assert_int_eq(monitor_prepare(net.monitor, T0), 0);
	ck_assert_int_eq(net.bonds[0]->peer.retransmit_at, T0);
	set = rcu_own(&net.bonds[0]->paths);
	ck_assert_uint_eq(set->n, 1);
	ck_assert_ptr_eq(set->entries[0].path->link, net.links[0]);
	handmade_end();
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("recall");
	TCase *telling = tcase_create("telling");
	TCase *asking = tcase_create("asking");

	tcase_add_checked_fixture(telling, NULL, teardown);
	tcase_add_test(telling, peer_is_told_of_when_it_has_a_session);
	tcase_add_test(telling, configured_endpoint_is_told_when_something_comes_from_there);
	tcase_add_test(telling, peer_whose_endpoint_changes_all_the_time_is_told_of_seldom);
	tcase_add_test(telling, peer_that_does_not_change_is_not_told_of_again);
	tcase_add_test(telling, peer_whose_paths_have_all_gone_is_where_it_was);
	tcase_add_test(telling, peer_that_is_removed_is_forgotten);
	tcase_add_test(telling, name_leads_to_where_it_led_until_it_is_looked_up);
	suite_add_tcase(s, telling);
	tcase_add_test(asking, handshakes_begin_with_the_latest_session_and_one_after_the_other);
	tcase_add_test(asking, peer_that_is_called_anyhow_is_not_called_twice);
	tcase_add_test(asking, what_is_gone_from_the_configuration_is_passed_over);
	tcase_add_test(asking, peer_of_a_link_that_is_gone_is_called_over_another);
	suite_add_tcase(s, asking);
	return s;
}
