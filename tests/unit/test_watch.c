/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What the kernel tells of interfaces, and what it would never tell. */
#include "check_main.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "netlink/watch.h"

#define INDEX 7

static union message_buffer m;
static struct netif_change change;

static void link_message(uint16_t type, uint8_t family, unsigned flags, const char *name)
{
	struct ifinfomsg *link;

	memset(&m, 0, sizeof(m));
	memset(&change, 0xa5, sizeof(change));
	mnl_nlmsg_put_header(m.bytes)->nlmsg_type = type;
	link = mnl_nlmsg_put_extra_header(&m.header, sizeof(*link));
	link->ifi_family = family;
	link->ifi_index = INDEX;
	link->ifi_flags = flags;
	mnl_attr_put_u32(&m.header, IFLA_MTU, 1500);
	if (name)
		mnl_attr_put_strz(&m.header, IFLA_IFNAME, name);
}

static void address_message(uint16_t type)
{
	struct ifaddrmsg *address;

	memset(&m, 0, sizeof(m));
	mnl_nlmsg_put_header(m.bytes)->nlmsg_type = type;
	address = mnl_nlmsg_put_extra_header(&m.header, sizeof(*address));
	address->ifa_family = AF_INET;
	address->ifa_index = INDEX;
	mnl_attr_put(&m.header, IFA_LOCAL, 4, "\xc0\x00\x02\x01");
}

START_TEST(interface_that_appears_is_told_by_name_and_index)
{
	link_message(RTM_NEWLINK, AF_UNSPEC, IFF_UP | IFF_RUNNING, "wwan0");
	ck_assert_int_eq(message_parse_change(&m.header, &change), 1);
	ck_assert_int_eq(change.kind, NETIF_LINK);
	ck_assert_uint_eq(change.ifindex, INDEX);
	ck_assert_str_eq(change.name, "wwan0");
	ck_assert(change.is_running);
}
END_TEST

START_TEST(interface_runs_only_if_it_is_up_and_has_a_carrier)
{
	const unsigned flags[] = {0, IFF_UP, IFF_RUNNING};

	for (unsigned i = 0; i < 3; i++) {
		link_message(RTM_NEWLINK, AF_UNSPEC, flags[i], "wwan0");
		ck_assert_int_eq(message_parse_change(&m.header, &change), 1);
		ck_assert(!change.is_running);
	}
}
END_TEST

START_TEST(interface_that_goes_is_told)
{
	link_message(RTM_DELLINK, AF_UNSPEC, 0, "wwan0");
	ck_assert_int_eq(message_parse_change(&m.header, &change), 1);
	ck_assert_int_eq(change.kind, NETIF_LINK_GONE);
	ck_assert_uint_eq(change.ifindex, INDEX);
}
END_TEST

START_TEST(port_that_leaves_a_bridge_is_not_gone)
{
	link_message(RTM_DELLINK, AF_BRIDGE, 0, "eth1");
	ck_assert_int_eq(message_parse_change(&m.header, &change), 0);
}
END_TEST

START_TEST(addresses_that_come_and_go_are_told)
{
	struct prefix want;

	ck_assert_int_eq(prefix_parse(&want, "192.0.2.1"), 0);
	address_message(RTM_NEWADDR);
	ck_assert_int_eq(message_parse_change(&m.header, &change), 1);
	ck_assert_int_eq(change.kind, NETIF_ADDRESS);
	ck_assert_uint_eq(change.ifindex, INDEX);
	ck_assert(prefix_equal(&change.address, &want));
	address_message(RTM_DELADDR);
	ck_assert_int_eq(message_parse_change(&m.header, &change), 1);
	ck_assert_int_eq(change.kind, NETIF_ADDRESS_GONE);
}
END_TEST

START_TEST(other_news_are_passed_over)
{
	link_message(RTM_NEWROUTE, AF_UNSPEC, 0, NULL);
	ck_assert_int_eq(message_parse_change(&m.header, &change), 0);
}
END_TEST

START_TEST(name_without_an_end_is_refused)
{
	link_message(RTM_NEWLINK, AF_UNSPEC, IFF_UP, NULL);
	mnl_attr_put(&m.header, IFLA_IFNAME, IFNAMSIZ, "0123456789abcdef");
	ck_assert_int_eq(message_parse_change(&m.header, &change), -EBADMSG);
	link_message(RTM_NEWLINK, AF_UNSPEC, IFF_UP, "a name that is much too long");
	ck_assert_int_eq(message_parse_change(&m.header, &change), -EBADMSG);
	link_message(RTM_NEWLINK, AF_UNSPEC, IFF_UP, NULL);
	mnl_attr_put(&m.header, IFLA_IFNAME, 0, NULL);
	ck_assert_int_eq(message_parse_change(&m.header, &change), -EBADMSG);
}
END_TEST

START_TEST(message_cut_anywhere_is_refused_or_has_lost_its_name)
{
	uint32_t whole;

	link_message(RTM_NEWLINK, AF_UNSPEC, IFF_UP, "wwan0");
	whole = m.header.nlmsg_len;
	for (uint32_t len = sizeof(m.header); len < whole; len++) {
		int r;

		link_message(RTM_NEWLINK, AF_UNSPEC, IFF_UP, "wwan0");
		/* What is behind the end must not be looked at. */
		memset(m.bytes + len, 0xff, sizeof(m.bytes) - len);
		m.header.nlmsg_len = len;
		r = message_parse_change(&m.header, &change);
		ck_assert(r == -EBADMSG || (r == 1 && !change.name[0]));
	}
}
END_TEST

START_TEST(attribute_that_reaches_beyond_the_end_is_refused)
{
	struct nlattr *attr;

	link_message(RTM_NEWLINK, AF_UNSPEC, IFF_UP, "wwan0");
	attr = mnl_nlmsg_get_payload_offset(&m.header, sizeof(struct ifinfomsg));
	attr->nla_len = 1000;
	ck_assert_int_eq(message_parse_change(&m.header, &change), -EBADMSG);
	attr->nla_len = 0;
	ck_assert_int_eq(message_parse_change(&m.header, &change), -EBADMSG);
}
END_TEST

static int count(void *ctx, const struct nlmsghdr *message)
{
	(void)message;
	++*(unsigned *)ctx;
	return 0;
}

START_TEST(datagram_gives_all_its_messages_or_says_that_it_is_broken)
{
	_Alignas(struct nlmsghdr) uint8_t datagram[2 * sizeof(m)];
	unsigned n = 0;
	size_t len;

	link_message(RTM_NEWLINK, AF_UNSPEC, IFF_UP, "wwan0");
	len = m.header.nlmsg_len;
	memcpy(datagram, m.bytes, len);
	memcpy(datagram + len, m.bytes, len);
	ck_assert_int_eq(message_each(datagram, 2 * len, count, &n), 0);
	ck_assert_uint_eq(n, 2);
	ck_assert_int_eq(message_each(datagram, 2 * len - 4, count, &n), -EBADMSG);
	ck_assert_int_eq(message_each(datagram, 0, count, &n), -EBADMSG);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("watch");
	TCase *t = tcase_create("watch");

	tcase_add_test(t, interface_that_appears_is_told_by_name_and_index);
	tcase_add_test(t, interface_runs_only_if_it_is_up_and_has_a_carrier);
	tcase_add_test(t, interface_that_goes_is_told);
	tcase_add_test(t, port_that_leaves_a_bridge_is_not_gone);
	tcase_add_test(t, addresses_that_come_and_go_are_told);
	tcase_add_test(t, other_news_are_passed_over);
	tcase_add_test(t, name_without_an_end_is_refused);
	tcase_add_test(t, message_cut_anywhere_is_refused_or_has_lost_its_name);
	tcase_add_test(t, attribute_that_reaches_beyond_the_end_is_refused);
	tcase_add_test(t, datagram_gives_all_its_messages_or_says_that_it_is_broken);
	suite_add_tcase(s, t);
	return s;
}
