/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Sections [rule NAME]. */
#include <netinet/in.h>

#include "config_text.h"

#define BASE NETWORK SINGLE "[link fibre]\n[link lte]\nenabled = no\n[rule calls]\n"
#define FIRST_LINE 10 /* behind the last header of BASE */

static const struct rule_settings *rule_of(const char *lines)
{
	char text[TEXT_MAX];

	snprintf(text, sizeof(text), "%s%s", BASE, lines);
	assert_good(text);
	ck_assert_uint_eq(config.networks[0].n_rules, 1);
	return &config.networks[0].rules[0];
}

static void is_refused(const char *lines, int line, const char *says)
{
	char text[TEXT_MAX];

	snprintf(text, sizeof(text), "%s%s", BASE, lines);
	assert_one_error(text, FIRST_LINE + line, says);
}

START_TEST(all_conditions_are_read)
{
	const struct rule_settings *r = rule_of("dscp = EF, cs5, 7\n"
						"protocol = udp, 132\n"
						"source = 10.1.2.3/8, fd00::/8\n"
						"destination = 192.0.2.1\n"
						"port = 5060, 10000-20000\n"
						"source_port = 1\n"
						"destination_port = 0-65535\n"
						"links = lte, fibre\n"
						"peer_links = wan\n"
						"fallback = drop\n"
						"redundant = yes\n");

	ck_assert_str_eq(r->name, "calls");
	ck_assert_uint_eq(r->dscps, 1ULL << 46 | 1ULL << 40 | 1ULL << 7);
	ck_assert_uint_eq(r->n_protocols, 2);
	ck_assert_uint_eq(r->protocols[1], IPPROTO_SCTP);
	ck_assert_uint_eq(r->n_sources, 2);
	ck_assert_uint_eq(r->sources[0].bytes[1], 0);
	ck_assert_uint_eq(r->sources[1].family, AF_INET6);
	ck_assert_uint_eq(r->n_destinations, 1);
	ck_assert_uint_eq(r->ports[0].last, 5060);
	ck_assert_uint_eq(r->ports[1].first, 10000);
	ck_assert_uint_eq(r->ports[1].last, 20000);
	ck_assert_uint_eq(r->n_links, 2);
	ck_assert_str_eq(r->links[0], "lte");
	ck_assert_str_eq(r->peer_links[0], "wan");
	ck_assert(r->is_strict && r->is_redundant);
}
END_TEST

START_TEST(lists_may_go_on_and_the_rest_may_be_missing)
{
	const struct rule_settings *r = rule_of("dscp = EF\ndscp = AF41\n");

	ck_assert_uint_eq(r->dscps, 1ULL << 46 | 1ULL << 34);
	ck_assert(!r->n_links && !r->is_strict && !r->is_redundant);
	ck_assert_uint_eq(rule_of("")->n_protocols, 0);
}
END_TEST

START_TEST(bad_values_are_refused_with_what_is_allowed)
{
	is_refused("dscp = 64\n", 0, "[rule calls] dscp: |'64'|0..63, EF");
	is_refused("dscp = AF44\n", 0, "AF44");
	is_refused("protocol = http\n", 0, "http|tcp, udp");
	is_refused("protocol = 256\n", 0, "256");
	is_refused("source = 10.0.0.0/33\n", 0, "source: |10.0.0.0/33|0..32");
	is_refused("source = 10.0.0.0/8, example.org\n", 0, "example.org");
	is_refused("port = 5060-5000\n", 0, "5060-5000|10000-20000");
	is_refused("port = 65536\n", 0, "65536");
	is_refused("port = -5\n", 0, "-5");
	is_refused("port = 5-\n", 0, "5-");
	is_refused("links = fibre\nfallback = lte\n", 1, "fallback|any, drop");
	is_refused("links = fibre, fibre\n", 0, "fibre|once");
	is_refused("color = red\n", 0, "unknown key|dscp, protocol");
}
END_TEST

START_TEST(what_cannot_be_is_refused)
{
	is_refused("links = fibre, dsl\n", 0, "'dsl'|no link of network 'default'|fibre, lte");
	is_refused("source = 10.0.0.0/8\ndestination = fd00::/8\n", 1,
		   "destination|fd00::/8|one family");
	is_refused("protocol = icmp\nport = 5\n", 1, "port|protocol 1|which have ports");
	is_refused("fallback = drop\n", 0, "fallback|without links");
	is_refused("redundant = yes\nlinks = lte\n", 0, "redundant|two at least");
	is_refused("links = fibre\n[rule calls]\n", 1, "given twice");
	is_refused("links = fibre\n[rule]\n", 1, "needs a name");
	is_refused("links = fibre\nnetwork = office\n", 1, "office|default");
}
END_TEST

START_TEST(each_network_has_its_own_in_the_order_of_the_file)
{
	assert_good("[network a]\ninterface = a0\n[wireguard a]\nprivate_key = " ALICE
		    "\npeer_public_key = " BOB_PUBLIC "\n[network b]\ninterface = b0\n"
		    "[wireguard b]\nprivate_key = " ALICE "\npeer_public_key = " BOB_PUBLIC
		    "\n[link x]\nnetwork = a\n[link y]\nnetwork = b\n"
		    "[rule z]\nnetwork = b\nlinks = y\n[rule m]\nnetwork = a\n"
		    "[rule c]\nnetwork = b\n");
	ck_assert_uint_eq(config.networks[0].n_rules, 1);
	ck_assert_uint_eq(config.networks[1].n_rules, 2);
	ck_assert_str_eq(config.networks[1].rules[0].name, "z");
	ck_assert_str_eq(config.networks[1].rules[1].name, "c");
}
END_TEST

START_TEST(there_may_not_be_too_many)
{
	char text[TEXT_MAX] = NETWORK SINGLE LINK;
	size_t len = strlen(text);

	for (int i = 0; i < RULES_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "[rule %d]\n", i);
	assert_good(text);
	strcat(text, "[rule more]\n");
	ck_assert_int_eq(parse(text), -EINVAL);
	ck_assert_ptr_nonnull(strstr(errors.items[0].text, "at most 32 rules"));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("config_rules");
	TCase *t = tcase_create("config_rules");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, all_conditions_are_read);
	tcase_add_test(t, lists_may_go_on_and_the_rest_may_be_missing);
	tcase_add_test(t, bad_values_are_refused_with_what_is_allowed);
	tcase_add_test(t, what_cannot_be_is_refused);
	tcase_add_test(t, each_network_has_its_own_in_the_order_of_the_file);
	tcase_add_test(t, there_may_not_be_too_many);
	suite_add_tcase(s, t);
	return s;
}
