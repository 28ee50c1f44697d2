/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "wire/inner.h"

#define V4_LEN 28
#define V6_LEN 48

static uint8_t v4[V4_LEN + 16];
static uint8_t v6[V6_LEN + 16];
static struct inner inner;

static void make_packets(void)
{
	memset(v4, 0, sizeof(v4));
	memset(v6, 0, sizeof(v6));
	v4[0] = 0x45;
	v4[3] = V4_LEN;
	v6[0] = 0x60;
	v6[5] = V6_LEN - 40;
	memset(&inner, 0xee, sizeof(inner));
}

START_TEST(ipv4_addresses_and_length_are_found)
{
	ck_assert_int_eq(inner_parse(&inner, v4, V4_LEN), 0);
	ck_assert_uint_eq(inner.family, AF_INET);
	ck_assert_uint_eq(inner.len, V4_LEN);
	ck_assert_ptr_eq(inner.source, v4 + 12);
	ck_assert_ptr_eq(inner.destination, v4 + 16);
}
END_TEST

START_TEST(ipv6_addresses_and_length_are_found)
{
	ck_assert_int_eq(inner_parse(&inner, v6, V6_LEN), 0);
	ck_assert_uint_eq(inner.family, AF_INET6);
	ck_assert_uint_eq(inner.len, V6_LEN);
	ck_assert_ptr_eq(inner.source, v6 + 8);
	ck_assert_ptr_eq(inner.destination, v6 + 24);
}
END_TEST

START_TEST(padding_is_not_part_of_the_length)
{
	ck_assert_int_eq(inner_parse(&inner, v4, V4_LEN + 15), 0);
	ck_assert_uint_eq(inner.len, V4_LEN);
	ck_assert_int_eq(inner_parse(&inner, v6, V6_LEN + 15), 0);
	ck_assert_uint_eq(inner.len, V6_LEN);
}
END_TEST

START_TEST(bare_header_is_a_packet)
{
	v4[3] = 20;
	v6[5] = 0;
	ck_assert_int_eq(inner_parse(&inner, v4, 20), 0);
	ck_assert_uint_eq(inner.len, 20);
	ck_assert_int_eq(inner_parse(&inner, v6, 40), 0);
	ck_assert_uint_eq(inner.len, 40);
}
END_TEST

START_TEST(packet_cut_anywhere_is_refused)
{
	size_t len;

	for (len = 0; len < V4_LEN; len++)
		ck_assert_int_eq(inner_parse(&inner, v4, len), -EINVAL);
	for (len = 0; len < V6_LEN; len++)
		ck_assert_int_eq(inner_parse(&inner, v6, len), -EINVAL);
}
END_TEST

START_TEST(ipv4_header_shorter_than_its_minimum_is_refused)
{
	v4[0] = 0x44;
	ck_assert_int_eq(inner_parse(&inner, v4, V4_LEN), -EINVAL);
}
END_TEST

START_TEST(ipv4_options_beyond_the_total_length_are_refused)
{
	v4[0] = 0x47;
	ck_assert_int_eq(inner_parse(&inner, v4, V4_LEN), 0);
	v4[0] = 0x48;
	ck_assert_int_eq(inner_parse(&inner, v4, V4_LEN + 16), -EINVAL);
}
END_TEST

START_TEST(other_versions_are_refused)
{
	uint8_t version;

	for (version = 0; version < 16; version++) {
		v6[0] = (uint8_t)(version << 4 | 5);
		if (version != 4 && version != 6)
			ck_assert_int_eq(inner_parse(&inner, v6, V6_LEN), -EINVAL);
	}
}
END_TEST

START_TEST(result_is_untouched_on_failure)
{
	struct inner before = inner;

	v4[3] = V4_LEN + 1;
	ck_assert_int_eq(inner_parse(&inner, v4, V4_LEN), -EINVAL);
	ck_assert_mem_eq(&inner, &before, sizeof(inner));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("inner");
	TCase *tc = tcase_create("inner");

	tcase_add_checked_fixture(tc, make_packets, NULL);
	tcase_add_test(tc, ipv4_addresses_and_length_are_found);
	tcase_add_test(tc, ipv6_addresses_and_length_are_found);
	tcase_add_test(tc, padding_is_not_part_of_the_length);
	tcase_add_test(tc, bare_header_is_a_packet);
	tcase_add_test(tc, packet_cut_anywhere_is_refused);
	tcase_add_test(tc, ipv4_header_shorter_than_its_minimum_is_refused);
	tcase_add_test(tc, ipv4_options_beyond_the_total_length_are_refused);
	tcase_add_test(tc, other_versions_are_refused);
	tcase_add_test(tc, result_is_untouched_on_failure);
	suite_add_tcase(suite, tc);
	return suite;
}
