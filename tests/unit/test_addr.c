/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "util/addr.h"

static const char *reformat(const char *text)
{
	static char buf[ADDR_TEXT_MAX];
	struct addr a;

	return addr_parse(&a, text, 51820) == 0 ? addr_format(&a, buf) : "refused";
}

static const char *reformat_prefix(const char *text)
{
	static char buf[PREFIX_TEXT_MAX];
	struct prefix p;

	return prefix_parse(&p, text) == 0 ? prefix_format(&p, buf) : "refused";
}

static struct addr parse(const char *text)
{
	struct addr a;

	ck_assert_msg(addr_parse(&a, text, 0) == 0, "%s", text);
	return a;
}

START_TEST(address_and_port_are_parsed_and_written)
{
	ck_assert_str_eq(reformat("192.168.1.20:0"), "192.168.1.20:0");
	ck_assert_str_eq(reformat("1.2.3.4:65535"), "1.2.3.4:65535");
	ck_assert_str_eq(reformat("[2001:DB8::1]:443"), "[2001:db8::1]:443");
	ck_assert_str_eq(reformat("[::]:1"), "[::]:1");
}
END_TEST

START_TEST(bare_address_gets_the_default_port)
{
	ck_assert_str_eq(reformat("10.0.0.1"), "10.0.0.1:51820");
	ck_assert_str_eq(reformat("2001:db8::1"), "[2001:db8::1]:51820");
	ck_assert_str_eq(reformat("[2001:db8::1]"), "[2001:db8::1]:51820");
}
END_TEST

START_TEST(zone_is_an_interface_name_or_a_number)
{
	char index[40];

	snprintf(index, sizeof(index), "[fe80::1%%%u]:5", if_nametoindex("lo"));
	ck_assert_str_eq(reformat("[fe80::1%lo]:5"), index);
	ck_assert_str_eq(reformat("[fe80::1%4711]:5"), "[fe80::1%4711]:5");
	ck_assert_str_eq(reformat("[fe80::1%nosuchlink]:5"), "refused");
	ck_assert_str_eq(reformat("[fe80::1%]:5"), "refused");
	ck_assert_str_eq(reformat("[fe80::1%0]:5"), "refused");
}
END_TEST

START_TEST(malformed_address_is_refused)
{
	static const char *const texts[] = {
		"",	      ":",	    ":5",
		"1.2.3",      "1.2.3.4:",   "1.2.3.4:65536",
		"1.2.3.4:-1", "1.2.3.4: 5", "1.2.3.4:5x",
		"1.2.3.4.5",  "256.1.1.1",  "[1.2.3.4]:5",
		"[::1",	      "[::1]x",	    "[::1]x5",
		"[::1]:",     "[]:5",	    "::1::",
		"host:5",     " 1.2.3.4",   "1.2.3.4:99999999999999999999",
	};
	char longest[200];

	for (unsigned i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		ck_assert_msg(!strcmp(reformat(texts[i]), "refused"), "'%s' was taken", texts[i]);
	memset(longest, '1', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_str_eq(reformat(longest), "refused");
}
END_TEST

START_TEST(refusal_leaves_the_result_alone)
{
	struct addr a = parse("1.2.3.4:5");
	struct addr before = a;
	struct prefix p = {.family = 77};

	ck_assert_int_eq(addr_parse(&a, "nonsense", 1), -EINVAL);
	ck_assert_mem_eq(&a, &before, sizeof(a));
	ck_assert_int_eq(prefix_parse(&p, "nonsense"), -EINVAL);
	ck_assert_uint_eq(p.family, 77);
}
END_TEST

START_TEST(unset_address_is_written_as_a_dash)
{
	struct addr a = {0};
	char buf[ADDR_TEXT_MAX];

	ck_assert(!addr_is_set(&a));
	ck_assert_str_eq(addr_format(&a, buf), "-");
	ck_assert_uint_eq(addr_port(&a), 0);
}
END_TEST

START_TEST(addresses_differ_by_family_host_port_and_zone)
{
	static const char *const texts[] = {
		"1.2.3.4:5", "1.2.3.5:5", "1.2.3.4:6",	   "[::1]:5",
		"[::1]:6",   "[::2]:5",	  "[fe80::1%3]:5", "[fe80::1%4]:5",
	};
	unsigned n = sizeof(texts) / sizeof(*texts);

	for (unsigned i = 0; i < n; i++)
		for (unsigned j = 0; j < n; j++) {
			struct addr a = parse(texts[i]);
			struct addr b = parse(texts[j]);

			ck_assert_msg(addr_equal(&a, &b) == (i == j), "%s, %s", texts[i], texts[j]);
		}
}
END_TEST

START_TEST(port_can_be_read_and_set)
{
	struct addr a = parse("1.2.3.4:5");
	struct addr b = parse("[::1]:5");

	addr_set_port(&a, 4711);
	addr_set_port(&b, 4712);
	ck_assert_uint_eq(addr_port(&a), 4711);
	ck_assert_uint_eq(addr_port(&b), 4712);
	ck_assert_uint_eq(addr_len(&a), sizeof(struct sockaddr_in));
	ck_assert_uint_eq(addr_len(&b), sizeof(struct sockaddr_in6));
}
END_TEST

START_TEST(mapped_address_is_unmapped_and_back)
{
	struct addr v4 = parse("1.2.3.4:5");
	struct addr a = v4;
	struct addr v6 = parse("[2001:db8::1]:5");
	struct addr b = v6;

	addr_map(&a);
	ck_assert_int_eq(a.sa.sa_family, AF_INET6);
	ck_assert_uint_eq(addr_port(&a), 5);
	addr_unmap(&a);
	ck_assert(addr_equal(&a, &v4));
	addr_map(&b);
	addr_unmap(&b);
	ck_assert(addr_equal(&b, &v6));
}
END_TEST

START_TEST(host_and_port_are_split)
{
	char host[32];
	uint16_t port;

	ck_assert_int_eq(addr_split_host_port("vps.example.com:51820", host, 32, &port), 0);
	ck_assert_str_eq(host, "vps.example.com");
	ck_assert_uint_eq(port, 51820);
	ck_assert_int_eq(addr_split_host_port("[2001:db8::1]:1", host, 32, &port), 0);
	ck_assert_str_eq(host, "2001:db8::1");
}
END_TEST

START_TEST(malformed_host_and_port_are_refused)
{
	static const char *const texts[] = {
		"",	  "host",   ":5",
		"host:",  "host:0", "host:65536",
		"host:x", "::1:5",  "[]:5",
		"[::1:5", "::1]:5", "a-host-that-is-longer-than-its-room.example.com:5",
	};
	char host[32];
	uint16_t port;

	for (unsigned i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		ck_assert_msg(addr_split_host_port(texts[i], host, sizeof(host), &port) == -EINVAL,
			      "'%s' was taken", texts[i]);
}
END_TEST

/* An address with its host bits, as interfaces have it. */
static struct prefix host_prefix(const char *address, unsigned len)
{
	struct prefix p;

	ck_assert_int_eq(prefix_parse(&p, address), 0);
	p.len = (uint8_t)len;
	return p;
}

START_TEST(next_host_stays_in_the_subnet_and_wraps)
{
	static const struct {
		const char *address;
		unsigned len;
		const char *next;
	} cases[] = {
		{"10.10.0.2", 24, "10.10.0.3/24"},
		{"10.10.0.254", 24, "10.10.0.1/24"}, /* not .255, not .0 */
		{"10.10.0.255", 16, "10.10.1.0/16"},
		{"10.255.255.254", 8, "10.0.0.1/8"},
		{"10.0.0.126", 25, "10.0.0.1/25"},
		{"10.0.0.5", 30, "10.0.0.6/30"},
		{"10.0.0.6", 30, "10.0.0.5/30"},
		{"10.0.0.4", 31, "10.0.0.5/31"},
		{"10.0.0.5", 31, "10.0.0.4/31"},
		{"10.0.0.5", 32, "10.0.0.5/32"},
		{"fd10::2", 64, "fd10::3/64"},
		{"fd10::ffff:ffff:ffff:ffff", 64, "fd10::1/64"},
		{"fd10::ffff", 112, "fd10::1/112"},
		{"fd10::1", 127, "fd10::/127"},
		{"fd10::1", 128, "fd10::1/128"},
	};
	char buf[PREFIX_TEXT_MAX];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct prefix p = host_prefix(cases[i].address, cases[i].len);

		prefix_next_host(&p);
		ck_assert_str_eq(prefix_format(&p, buf), cases[i].next);
	}
}
END_TEST

START_TEST(every_host_comes_once)
{
	struct prefix p = host_prefix("10.10.0.77", 24);
	const struct prefix first = p;
	unsigned n = 0;

	do {
		prefix_next_host(&p);
		n++;
		ck_assert(prefix_covers(&first, &p));
	} while (!prefix_is_address(&p, &first) && n < 1000);
	ck_assert_uint_eq(n, 254);
}
END_TEST

START_TEST(prefix_covers_what_is_in_it)
{
	static const struct {
		const char *address;
		unsigned len;
		const char *other;
		bool is_covered;
	} cases[] = {
		{"10.1.2.3", 8, "10.255.0.1", true}, {"10.1.2.3", 9, "10.128.0.1", false},
		{"10.1.2.3", 32, "10.1.2.3", true},  {"10.1.2.3", 32, "10.1.2.2", false},
		{"0.0.0.0", 0, "192.0.2.1", true},   {"0.0.0.0", 0, "::1", false},
		{"fd10::1", 64, "fd10::ffff", true}, {"fd10::1", 64, "fd10:0:0:1::1", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct prefix p = host_prefix(cases[i].address, cases[i].len);
		struct prefix other = host_prefix(cases[i].other, 1);

		ck_assert_int_eq(prefix_covers(&p, &other), cases[i].is_covered);
	}
}
END_TEST

START_TEST(prefix_loses_its_host_bits)
{
	ck_assert_str_eq(reformat_prefix("10.1.2.3/8"), "10.0.0.0/8");
	ck_assert_str_eq(reformat_prefix("10.255.255.255/9"), "10.128.0.0/9");
	ck_assert_str_eq(reformat_prefix("10.1.2.3/31"), "10.1.2.2/31");
	ck_assert_str_eq(reformat_prefix("10.1.2.3/0"), "0.0.0.0/0");
	ck_assert_str_eq(reformat_prefix("fd12:3456::1/20"), "fd12:3000::/20");
}
END_TEST

START_TEST(bare_prefix_is_one_host)
{
	ck_assert_str_eq(reformat_prefix("10.1.2.3"), "10.1.2.3/32");
	ck_assert_str_eq(reformat_prefix("fd00::1"), "fd00::1/128");
}
END_TEST

START_TEST(malformed_prefix_is_refused)
{
	static const char *const texts[] = {
		"",
		"/8",
		"10.0.0.0/",
		"10.0.0.0/33",
		"fd00::/129",
		"10.0.0.0/-1",
		"10.0.0.0/8/8",
		"10.0.0/8",
		"10.0.0.0/+8",
		"10.0.0.0 /8",
		"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa/1",
	};

	for (unsigned i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		ck_assert_msg(!strcmp(reformat_prefix(texts[i]), "refused"), "'%s' was taken",
			      texts[i]);
}
END_TEST

START_TEST(prefixes_differ_by_family_length_and_bits)
{
	static const char *const texts[] = {"0.0.0.0/0", "::/0", "10.0.0.0/8", "10.0.0.0/9",
					    "11.0.0.0/8"};
	struct prefix p[5];

	for (unsigned i = 0; i < 5; i++)
		ck_assert_int_eq(prefix_parse(&p[i], texts[i]), 0);
	for (unsigned i = 0; i < 5; i++)
		for (unsigned j = 0; j < 5; j++)
			ck_assert(prefix_equal(&p[i], &p[j]) == (i == j));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("addr");
	TCase *t = tcase_create("addr");

	tcase_add_test(t, address_and_port_are_parsed_and_written);
	tcase_add_test(t, bare_address_gets_the_default_port);
	tcase_add_test(t, zone_is_an_interface_name_or_a_number);
	tcase_add_test(t, malformed_address_is_refused);
	tcase_add_test(t, refusal_leaves_the_result_alone);
	tcase_add_test(t, unset_address_is_written_as_a_dash);
	tcase_add_test(t, addresses_differ_by_family_host_port_and_zone);
	tcase_add_test(t, port_can_be_read_and_set);
	tcase_add_test(t, mapped_address_is_unmapped_and_back);
	tcase_add_test(t, host_and_port_are_split);
	tcase_add_test(t, malformed_host_and_port_are_refused);
	tcase_add_test(t, next_host_stays_in_the_subnet_and_wraps);
	tcase_add_test(t, every_host_comes_once);
	tcase_add_test(t, prefix_covers_what_is_in_it);
	tcase_add_test(t, prefix_loses_its_host_bits);
	tcase_add_test(t, bare_prefix_is_one_host);
	tcase_add_test(t, malformed_prefix_is_refused);
	tcase_add_test(t, prefixes_differ_by_family_length_and_bits);
	suite_add_tcase(s, t);
	return s;
}
