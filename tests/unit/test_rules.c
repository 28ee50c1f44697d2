/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/rules.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_main.h"
#include "wire/ip.h"

#define PACKET_LEN 40

static struct rule_settings rule;
static uint8_t packet[PACKET_LEN];

/* A UDP packet from 10.1.2.3:1000 to 192.0.2.77:5060, marked as EF. */
static void set_up(void)
{
	const struct ipv4_header ip = {
		.version_ihl = 0x45,
		.tos = 46 << 2 | 1,
		.total_length = be16_make(PACKET_LEN),
		.protocol = IPPROTO_UDP,
		.source = {10, 1, 2, 3},
		.destination = {192, 0, 2, 77},
	};
	const struct udp_header udp = {be16_make(1000), be16_make(5060), be16_make(20), {{0}}};

	memset(&rule, 0, sizeof(rule));
	memset(packet, 0, sizeof(packet));
	memcpy(packet, &ip, sizeof(ip));
	memcpy(packet + sizeof(ip), &udp, sizeof(udp));
}

static bool is_met(void)
{
	struct inner_key key;

	inner_read_key(&key, packet, sizeof(packet));
	return rule_is_met(&rule, &key);
}

static struct prefix prefix(const char *text)
{
	struct prefix p;

	ck_assert_int_eq(prefix_parse(&p, text), 0);
	return p;
}

START_TEST(rule_without_conditions_is_met_by_all)
{
	ck_assert(is_met());
	packet[0] = 0x60;
	packet[4] = packet[5] = 0;
	ck_assert(is_met());
}
END_TEST

START_TEST(each_condition_must_be_met)
{
	rule.dscps = 1ULL << 46 | 1ULL << 40;
	rule.protocols[rule.n_protocols++] = IPPROTO_TCP;
	rule.protocols[rule.n_protocols++] = IPPROTO_UDP;
	rule.ports[rule.n_ports++] = (struct port_range){5000, 5060};
	rule.sources[rule.n_sources++] = prefix("10.0.0.0/8");
	ck_assert(is_met());
	packet[1] = 0;
	ck_assert(!is_met());
	packet[1] = 40 << 2;
	ck_assert(is_met());
	packet[9] = IPPROTO_SCTP;
	ck_assert(!is_met());
	packet[9] = IPPROTO_TCP;
	ck_assert(is_met());
	packet[12] = 11;
	ck_assert(!is_met());
}
END_TEST

START_TEST(ports_are_those_of_their_end)
{
	rule.source_ports[rule.n_source_ports++] = (struct port_range){5060, 5060};
	ck_assert(!is_met());
	rule.source_ports[rule.n_source_ports++] = (struct port_range){1000, 1000};
	ck_assert(is_met());
	rule.destination_ports[rule.n_destination_ports++] = (struct port_range){5061, 65535};
	ck_assert(!is_met());
	rule.destination_ports[0].first = 0;
	ck_assert(is_met());
	rule.ports[rule.n_ports++] = (struct port_range){1000, 1000}; /* of either */
	ck_assert(is_met());
	rule.ports[0] = (struct port_range){1001, 5059};
	ck_assert(!is_met());
}
END_TEST

START_TEST(what_has_no_ports_meets_no_rule_with_any)
{
	rule.ports[rule.n_ports++] = (struct port_range){0, 65535};
	ck_assert(is_met());
	packet[7] = 1; /* a fragment */
	ck_assert(!is_met());
	rule.n_ports = 0;
	rule.protocols[rule.n_protocols++] = IPPROTO_UDP;
	ck_assert(is_met());
}
END_TEST

START_TEST(prefixes_end_at_their_length)
{
	static const struct {
		const char *prefix;
		bool is_met;
	} cases[] = {
		{"0.0.0.0/0", true},	 {"192.0.2.77", true},	  {"192.0.2.76", false},
		{"192.0.2.64/26", true}, {"192.0.2.0/26", false}, {"192.0.2.0/24", true},
		{"193.0.2.0/24", false}, {"::/0", false},	  {"128.0.0.0/1", true},
		{"0.0.0.0/1", false},
	};

	rule.n_destinations = 1;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		rule.destinations[0] = prefix(cases[i].prefix);
		ck_assert_msg(is_met() == cases[i].is_met, "%s", cases[i].prefix);
	}
}
END_TEST

START_TEST(prefixes_of_ipv6_too)
{
	struct ipv6_header ip = {.payload_length = be16_make(0), .next_header = 59};

	memcpy(ip.source, prefix("2001:db8:1:2::3").bytes, 16);
	memcpy(packet, &ip, sizeof(ip));
	packet[0] = 0x60;
	rule.n_sources = 1;
	rule.sources[0] = prefix("2001:db8:1::/47");
	ck_assert(is_met());
	rule.sources[0] = prefix("2001:db8:2::/47");
	ck_assert(!is_met());
	rule.sources[rule.n_sources++] = prefix("2001:db8:1:2::3");
	ck_assert(is_met());
}
END_TEST

static struct rules *make(const char *const *names, size_t n, const struct rules *before)
{
	struct rule_settings list[RULES_MAX] = {0};
	struct rules *r;

	for (size_t i = 0; i < n; i++)
		strcpy(list[i].name, names[i]);
	ck_assert_int_eq(rules_new(&r, list, n, before), 0);
	return r;
}

START_TEST(rule_keeps_its_number_for_as_long_as_its_name_is_there)
{
	static const char *const before[] = {"a", "b", "c"};
	static const char *const after[] = {"new", "c", "b", "newer"};
	struct rules *first = make(before, 3, NULL);
	struct rules *second = make(after, 4, first);

	for (unsigned i = 0; i < 3; i++)
		ck_assert_uint_eq(first->numbers[i], i);
	ck_assert_uint_eq(second->numbers[0], 0); /* that of the one which is gone */
	ck_assert_uint_eq(second->numbers[1], 2);
	ck_assert_uint_eq(second->numbers[2], 1);
	ck_assert_uint_eq(second->numbers[3], 3);
	free(first);
	free(second);
}
END_TEST

START_TEST(as_many_as_there_may_be_all_get_new_numbers)
{
	struct rule_settings list[RULES_MAX] = {0};
	struct rules *first;
	struct rules *second;
	uint64_t seen = 0;

	for (unsigned i = 0; i < RULES_MAX; i++)
		snprintf(list[i].name, sizeof(list[i].name), "a%u", i);
	ck_assert_int_eq(rules_new(&first, list, RULES_MAX, NULL), 0);
	for (unsigned i = 0; i < RULES_MAX; i++)
		list[i].name[0] = 'b';
	ck_assert_int_eq(rules_new(&second, list, RULES_MAX, first), 0);
	for (unsigned i = 0; i < RULES_MAX; i++)
		seen |= 1ULL << second->numbers[i];
	ck_assert_uint_eq(seen, (1ULL << RULES_MAX) - 1);
	free(first);
	free(second);
}
END_TEST

START_TEST(the_first_rule_met_counts_and_lower_effort_needs_none)
{
	static const char *const names[] = {"a", "b"};
	struct rules *r = make(names, 2, NULL);

	r->list[0].dscps = 1ULL << 1;
	r->list[1].dscps = 1ULL << 1 | 1ULL << 46;
	ck_assert_uint_eq(rules_find(r, packet, sizeof(packet)), 1);
	packet[1] = 1 << 2;
	ck_assert_uint_eq(rules_find(r, packet, sizeof(packet)), 0);
	r->n = 0;
	ck_assert_uint_eq(rules_find(r, packet, sizeof(packet)), BINDING_LOWER_EFFORT);
	ck_assert_uint_eq(rules_find(NULL, packet, sizeof(packet)), BINDING_LOWER_EFFORT);
	packet[1] = 0;
	ck_assert_uint_eq(rules_find(NULL, packet, sizeof(packet)), BINDING_NONE);
	free(r);
}
END_TEST

/* A peer with paths over links "a" and "b", which it calls "x" and "y". */
static struct link_settings link_settings[2] = {{.name = "a"}, {.name = "b"}};
static struct link links[2];
static struct path paths[2];
static struct path_set set;
static const char *const remote_links[] = {"x", "y"};

static const struct path_binding *lead(void)
{
	struct rules *r;

	memset(set.bindings, 0, sizeof(set.bindings));
	strcpy(rule.name, "rule");
	ck_assert_int_eq(rules_new(&r, &rule, 1, NULL), 0);
	rules_bind(r, &set, remote_links, set.is_multilink);
	free(r);
	return &set.bindings[0];
}

static void set_up_paths(void)
{
	set_up();
	memset(&set, 0, sizeof(set));
	set.is_multilink = true;
	for (unsigned i = 0; i < 2; i++) {
		links[i].settings = &link_settings[i];
		paths[i].link = &links[i];
		set.entries[set.n++] = (struct path_entry){
			.path = &paths[i], .state = HEALTH_UP, .is_usable = true};
	}
}

static void must_lead(const struct path_binding *b, unsigned n, unsigned first)
{
	ck_assert_uint_eq(b->n, n);
	if (n)
		ck_assert_uint_eq(b->entries[0], first);
}

START_TEST(rule_leads_over_its_links_in_their_order)
{
	strcpy(rule.links[rule.n_links++], "b");
	must_lead(lead(), 1, 1);
	strcpy(rule.links[rule.n_links++], "a");
	must_lead(lead(), 2, 1);
	strcpy(rule.links[0], "gone");
	must_lead(lead(), 1, 0);
	strcpy(rule.peer_links[rule.n_peer_links++], "x"); /* the same path */
	must_lead(lead(), 1, 0);
	strcpy(rule.peer_links[0], "y");
	must_lead(lead(), 2, 0);
}
END_TEST

START_TEST(links_that_do_not_work_are_passed_over_and_poor_ones_come_last)
{
	strcpy(rule.links[rule.n_links++], "b");
	strcpy(rule.links[rule.n_links++], "a");
	set.entries[1].is_poor = true;
	must_lead(lead(), 2, 0);
	set.entries[0].state = HEALTH_DOWN;
	must_lead(lead(), 1, 1);
	set.entries[1].is_usable = false;
	must_lead(lead(), 0, 0);
}
END_TEST

START_TEST(stock_peer_that_is_sent_to_over_one_link_knows_no_rules)
{
	strcpy(rule.links[rule.n_links++], "b");
	set.is_multilink = false;
	set.entries[0].state = set.entries[1].state = HEALTH_PROBING;
	set.mode = BOND_FAILOVER;
	must_lead(lead(), 0, 0);
	set.mode = BOND_AGGREGATE;
	must_lead(lead(), 1, 1);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("rules");
	TCase *t = tcase_create("conditions");
	TCase *p = tcase_create("paths");

	tcase_add_checked_fixture(t, set_up, NULL);
	tcase_add_test(t, rule_without_conditions_is_met_by_all);
	tcase_add_test(t, each_condition_must_be_met);
	tcase_add_test(t, ports_are_those_of_their_end);
	tcase_add_test(t, what_has_no_ports_meets_no_rule_with_any);
	tcase_add_test(t, prefixes_end_at_their_length);
	tcase_add_test(t, prefixes_of_ipv6_too);
	tcase_add_test(t, rule_keeps_its_number_for_as_long_as_its_name_is_there);
	tcase_add_test(t, as_many_as_there_may_be_all_get_new_numbers);
	tcase_add_test(t, the_first_rule_met_counts_and_lower_effort_needs_none);
	tcase_add_checked_fixture(p, set_up_paths, NULL);
	tcase_add_test(p, rule_leads_over_its_links_in_their_order);
	tcase_add_test(p, links_that_do_not_work_are_passed_over_and_poor_ones_come_last);
	tcase_add_test(p, stock_peer_that_is_sent_to_over_one_link_knows_no_rules);
	suite_add_tcase(s, t);
	suite_add_tcase(s, p);
	return s;
}
