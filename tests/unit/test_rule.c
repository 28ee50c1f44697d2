/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Rules and tables of routes in messages of rtnetlink, sound and not. */
#include "check_main.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "netlink/message.h"

static const struct rule exacter = {.family = AF_INET,
				    .priority = RULE_PRIORITY_EXACT,
				    .table = ROUTE_TABLE_MAIN,
				    .skips_defaults = true};
static const struct rule tunnel = {.family = AF_INET6,
				   .priority = RULE_PRIORITY_TUNNEL,
				   .table = 100000,
				   .mark = 0xca6c,
				   .is_inverted = true};

/* What is asked for is also what is told. */
static void expect_back(const union message_buffer *m, const struct rule *want)
{
	struct rule got;

	ck_assert_int_eq(message_parse_rule(&m->header, &got), 1);
	ck_assert_uint_eq(got.family, want->family);
	ck_assert_uint_eq(got.priority, want->priority);
	ck_assert_uint_eq(got.table, want->table);
	ck_assert_uint_eq(got.mark, want->mark);
	ck_assert(got.is_inverted == want->is_inverted);
	ck_assert(got.skips_defaults == want->skips_defaults);
}

START_TEST(rule_is_read_as_it_is_written)
{
	const struct fib_rule_hdr *head;
	union message_buffer m;

	message_change_rule(&m, &exacter, true);
	head = mnl_nlmsg_get_payload(&m.header);
	ck_assert_uint_eq(m.header.nlmsg_type, RTM_NEWRULE);
	ck_assert_uint_eq(m.header.nlmsg_flags,
			  NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	ck_assert_uint_eq(head->action, FR_ACT_TO_TBL);
	expect_back(&m, &exacter);

	message_change_rule(&m, &tunnel, false);
	head = mnl_nlmsg_get_payload(&m.header);
	ck_assert_uint_eq(m.header.nlmsg_type, RTM_DELRULE);
	ck_assert_uint_eq(m.header.nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK);
	ck_assert_uint_eq(head->flags, FIB_RULE_INVERT);
	expect_back(&m, &tunnel);
}
END_TEST

static struct nlattr *find_attr(union message_buffer *m, uint16_t type)
{
	struct nlattr *attr;

	mnl_attr_for_each(attr, &m->header, sizeof(struct fib_rule_hdr))
	{
		if (mnl_attr_get_type(attr) == type)
			return attr;
	}
	return NULL;
}

START_TEST(rules_of_others_are_passed_over)
{
	union message_buffer m;
	struct rule got = {.priority = 1};
	uint8_t bird = 12;

	message_change_rule(&m, &tunnel, true);
	memcpy(mnl_attr_get_payload(find_attr(&m, FRA_PROTOCOL)), &bird, 1);
	ck_assert_int_eq(message_parse_rule(&m.header, &got), 0);
	find_attr(&m, FRA_PROTOCOL)->nla_type = FRA_UNSPEC; /* nobody's, as of old kernels */
	ck_assert_int_eq(message_parse_rule(&m.header, &got), 0);
	ck_assert_uint_eq(got.priority, 1);
}
END_TEST

START_TEST(rule_that_passes_over_nothing_is_no_exacter)
{
	union message_buffer m;
	const uint32_t none = UINT32_MAX;
	struct rule got;

	message_change_rule(&m, &exacter, true);
	memcpy(mnl_attr_get_payload(find_attr(&m, FRA_SUPPRESS_PREFIXLEN)), &none, sizeof(none));
	ck_assert_int_eq(message_parse_rule(&m.header, &got), 1);
	ck_assert(!got.skips_defaults);
}
END_TEST

START_TEST(rule_cut_anywhere_is_refused_or_less)
{
	struct rule got;
	union message_buffer whole;

	message_change_rule(&whole, &tunnel, true);
	for (uint32_t len = sizeof(struct nlmsghdr); len < whole.header.nlmsg_len; len++) {
		union message_buffer m = whole;
		int r;

		m.header.nlmsg_len = len;
		r = message_parse_rule(&m.header, &got);
		/* Between two attributes it is a rule with fewer of them. */
		ck_assert(r == -EBADMSG || r == 0 || r == 1);
		if (len % MNL_ALIGNTO || len < sizeof(m.header) + sizeof(struct fib_rule_hdr))
			ck_assert_int_eq(r, -EBADMSG);
	}
}
END_TEST

START_TEST(attribute_of_another_length_is_refused)
{
	static const uint16_t types[] = {FRA_PRIORITY, FRA_TABLE, FRA_FWMARK, FRA_PROTOCOL};
	struct rule got;

	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		for (unsigned len = 0; len <= 0xffff; len++) {
			union message_buffer m;
			struct nlattr *attr;
			uint16_t right;
			int r;

			message_change_rule(&m, &tunnel, true);
			attr = find_attr(&m, types[i]);
			right = attr->nla_len;
			attr->nla_len = (uint16_t)len;
			r = message_parse_rule(&m.header, &got);
			ck_assert_int_eq(r, len == right ? 1 : -EBADMSG);
		}
	}
}
END_TEST

START_TEST(every_flipped_bit_of_a_rule_is_survived)
{
	union message_buffer whole;
	struct rule got;

	message_change_rule(&whole, &tunnel, true);
	for (size_t bit = 0; bit < 8 * whole.header.nlmsg_len; bit++) {
		union message_buffer m = whole;

		m.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (m.header.nlmsg_len <= whole.header.nlmsg_len &&
		    m.header.nlmsg_len >= sizeof(m.header))
			ck_assert_int_le(message_parse_rule(&m.header, &got), 1);
	}
}
END_TEST

START_TEST(table_of_a_route_is_its_attribute_or_its_byte)
{
	struct route r = {{.family = AF_INET, .len = 0}, 51820, 0};
	union message_buffer m;
	struct rtmsg *head;
	uint32_t table;

	message_change_route(&m, 7, &r, true);
	ck_assert_int_eq(message_parse_route_table(&m.header, &table), 0);
	ck_assert_uint_eq(table, 51820);
	for (uint32_t len = sizeof(struct nlmsghdr); len < m.header.nlmsg_len; len++) {
		union message_buffer cut = m;

		cut.header.nlmsg_len = len;
		if (len % MNL_ALIGNTO)
			ck_assert_int_eq(message_parse_route_table(&cut.header, &table), -EBADMSG);
	}
	message_dump_routes(&m, AF_INET);
	head = mnl_nlmsg_get_payload(&m.header);
	head->rtm_table = 254;
	ck_assert_int_eq(message_parse_route_table(&m.header, &table), 0);
	ck_assert_uint_eq(table, 254);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("rule");
	TCase *tc = tcase_create("rule");

	tcase_add_test(tc, rule_is_read_as_it_is_written);
	tcase_add_test(tc, rules_of_others_are_passed_over);
	tcase_add_test(tc, rule_that_passes_over_nothing_is_no_exacter);
	tcase_add_test(tc, rule_cut_anywhere_is_refused_or_less);
	tcase_add_test(tc, attribute_of_another_length_is_refused);
	tcase_add_test(tc, every_flipped_bit_of_a_rule_is_survived);
	tcase_add_test(tc, table_of_a_route_is_its_attribute_or_its_byte);
	suite_add_tcase(suite, tc);
	return suite;
}
