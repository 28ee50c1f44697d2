/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* A name and its addresses. What the resolver would answer, the test gives. */
#include "broker/server.h"
#include "check_main.h"

#include <netdb.h>

#include "dataplane/probe_internal.h"
#include "dataplane/resolver.h"
#include "probe_sim.h"

#define A "192.0.2.1"
#define B "192.0.2.2"
#define C "192.0.2.3"

static const struct endpoint_name name = {.host = "localhost", .port = 51820};

static struct probe_path *path(void)
{
	return probe->paths[0];
}

/* The name leads to these, as many as there are. */
static void find_addresses(const char *first, const char *second, const char *third)
{
	const char *const texts[] = {first, second, third};
	struct event e = {
		.kind = EVENT_RESOLVED, .bond = bond, .at = now, .path_id = path()->path->id};

	for (size_t i = 0; i < 3 && texts[i]; i++)
		e.addresses.list[e.addresses.n++] = endpoint_of(texts[i]).remote;
	ck_assert(probe_resolved(probe, &e));
}

static void fail_to_resolve(void)
{
	const struct event e = {.kind = EVENT_RESOLVED,
				.bond = bond,
				.at = now,
				.path_id = path()->path->id,
				.error = EAI_AGAIN};

	ck_assert(probe_resolved(probe, &e));
}

static bool is_at(const char *text)
{
	struct endpoint e = endpoint_of(text);

	return addr_equal(&path()->to.remote, &e.remote);
}

/* One path, whose endpoint is a name that leads to A, and what else is given. */
static void begin_named(nsec_t interval, const char *second, const char *third)
{
	begin(1, A, MULTILINK_AUTO);
	net.settings->health.resolve_interval = interval;
	path()->name = &name;
	probe_path_resolve(path(), now);
	ck_assert(path()->is_resolving);
	memset(&path()->to, 0, sizeof(path()->to));
	find_addresses(A, second, third);
	ck_assert(is_at(A));
}

static void begin_bond(nsec_t interval, const char *second, const char *third)
{
	begin_named(interval, second, third);
	answers[0] = true;
	give_hello(0, A, FAR_ID(0), 1);
	run_for(SECONDS(5));
	ck_assert_int_eq(path()->health.state, HEALTH_UP);
}

START_TEST(unanswered_addresses_are_left_for_the_next)
{
	begin_bond(0, B, C);
	answers[0] = false;
	run_for(SECONDS(4));
	ck_assert(is_at(A));
	run_for(SECONDS(4));
	ck_assert_int_eq(path()->health.state, HEALTH_DOWN);
	ck_assert(is_at(B));
	run_for(SECONDS(5));
	ck_assert(is_at(C));
	ck_assert(!path()->is_resolving);
	run_for(SECONDS(30));
	ck_assert(path()->is_resolving); /* once around */
	find_addresses(A, B, NULL);
	ck_assert(is_at(A));
}
END_TEST

START_TEST(address_that_answers_is_kept)
{
	begin_bond(0, B, C);
	answers[0] = false;
	run_for(SECONDS(8));
	ck_assert(is_at(B));
	answers[0] = true;
	run_for(SECONDS(150));
	ck_assert(is_at(B));
	ck_assert_int_eq(path()->health.state, HEALTH_UP);
	ck_assert(!path()->is_resolving);
}
END_TEST

START_TEST(without_a_session_each_address_has_its_time)
{
	begin_named(0, B, NULL);
	probe_judge_peer(probe, now);
	run_for(SECONDS(170));
	ck_assert(is_at(A)); /* a stock peer, in session: who knows */
	run_for(SECONDS(20));
	probe_judge_peer(probe, now);
	run_for(SECONDS(1));
	ck_assert(is_at(B));
	run_for(SECONDS(6));
	ck_assert(path()->is_resolving);
	fail_to_resolve();
	run_for(SECONDS(25));
	ck_assert(!path()->is_resolving);
	run_for(SECONDS(6));
	ck_assert(path()->is_resolving);
	find_addresses(A, B, NULL);
	ck_assert(is_at(A));
}
END_TEST

START_TEST(name_is_looked_up_again_and_again_though_it_works)
{
	begin_bond(SECONDS(120), B, NULL);
	run_for(SECONDS(110));
	ck_assert(!path()->is_resolving);
	run_for(SECONDS(10));
	ck_assert(path()->is_resolving);
	fail_to_resolve();
	begin_session(bond, now);
	run_for(SECONDS(110));
	ck_assert(!path()->is_resolving);
	run_for(SECONDS(10));
	ck_assert(path()->is_resolving);
	find_addresses(B, A, NULL); /* a round robin */
	ck_assert(is_at(A));
	ck_assert_int_eq(path()->health.state, HEALTH_UP);
}
END_TEST

START_TEST(address_that_the_name_has_lost_is_left)
{
	begin_bond(SECONDS(120), NULL, NULL);
	run_for(SECONDS(120));
	find_addresses(B, C, NULL);
	ck_assert(is_at(B));
}
END_TEST

/* It answers at the new one, while what it had sent from the old one still comes. */
START_TEST(address_that_was_left_does_not_call_back)
{
	begin_bond(SECONDS(120), NULL, NULL);
	run_for(SECONDS(120));
	find_addresses(B, NULL, NULL);
	give_ping(0, A, FAR_ID(0));
	ck_assert(is_at(B));
	run_for(SECONDS(4));
	give_ping(0, C, FAR_ID(0)); /* it roams all the same */
	ck_assert(is_at(C));
	run_for(SECONDS(2));
	give_ping(0, A, FAR_ID(0)); /* it has stayed there */
	ck_assert(is_at(A));
}
END_TEST

START_TEST(peer_that_has_roamed_is_not_called_back_while_it_answers)
{
	begin_bond(SECONDS(120), NULL, NULL);
	give_ping(0, C, FAR_ID(0));
	ck_assert(is_at(C));
	run_for(SECONDS(120));
	find_addresses(B, NULL, NULL);
	ck_assert(is_at(C));
	answers[0] = false;
	run_for(SECONDS(8));
	ck_assert(is_at(B));
}
END_TEST

START_TEST(single_address_is_looked_up_again_when_it_fails)
{
	begin_bond(0, NULL, NULL);
	run_for(SECONDS(60));
	answers[0] = false;
	run_for(SECONDS(8));
	ck_assert(is_at(A));
	ck_assert(path()->is_resolving);
	find_addresses(A, NULL, NULL);
	run_for(SECONDS(25));
	ck_assert(!path()->is_resolving);
	run_for(SECONDS(6));
	ck_assert(path()->is_resolving);
	find_addresses(B, NULL, NULL);
	ck_assert(is_at(B));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("probe_name");
	TCase *t = tcase_create("probe_name");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, unanswered_addresses_are_left_for_the_next);
	tcase_add_test(t, address_that_answers_is_kept);
	tcase_add_test(t, without_a_session_each_address_has_its_time);
	tcase_add_test(t, name_is_looked_up_again_and_again_though_it_works);
	tcase_add_test(t, address_that_the_name_has_lost_is_left);
	tcase_add_test(t, address_that_was_left_does_not_call_back);
	tcase_add_test(t, peer_that_has_roamed_is_not_called_back_while_it_answers);
	tcase_add_test(t, single_address_is_looked_up_again_when_it_fails);
	suite_add_tcase(s, t);
	return s;
}
