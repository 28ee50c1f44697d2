/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include <errno.h>
#include <netinet/in.h>
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

/* Of a header that make_packets() made: a protocol with its ports and, for TCP, flags. */
static void put_transport(uint8_t protocol, uint16_t port, uint8_t flags)
{
	v4[9] = v6[6] = protocol;
	v4[3] = 40;
	v6[5] = 20;
	v4[22] = v6[42] = (uint8_t)(port >> 8);
	v4[23] = v6[43] = (uint8_t)port;
	v4[33] = v6[53] = flags;
}

static bool both_are_urgent(void)
{
	bool is_urgent = inner_is_urgent(v4, 40);

	ck_assert_int_eq(is_urgent, inner_is_urgent(v6, 60));
	return is_urgent;
}

START_TEST(names_and_the_first_packets_of_a_connection_are_urgent)
{
	put_transport(IPPROTO_UDP, 53, 0);
	ck_assert(both_are_urgent());
	put_transport(IPPROTO_UDP, 5353, 0);
	ck_assert(!both_are_urgent());
	put_transport(IPPROTO_TCP, 443, 0x02);
	ck_assert(both_are_urgent());
	put_transport(IPPROTO_TCP, 443, 0x12);
	ck_assert(both_are_urgent());
	put_transport(IPPROTO_TCP, 53, 0x10);
	ck_assert(!both_are_urgent());
}
END_TEST

static bool both_are_bare_acks(uint8_t words, uint8_t flags)
{
	bool is_bare;

	put_transport(IPPROTO_TCP, 443, flags);
	v4[32] = v6[52] = (uint8_t)(words << 4);
	is_bare = inner_is_bare_ack(v4, 40);
	ck_assert_int_eq(is_bare, inner_is_bare_ack(v6, 60));
	return is_bare;
}

START_TEST(bare_ack_has_no_data_and_no_other_flag)
{
	ck_assert(both_are_bare_acks(5, 0x10));
	ck_assert(both_are_bare_acks(5, 0x50));
	ck_assert(!both_are_bare_acks(5, 0x11));
	ck_assert(!both_are_bare_acks(5, 0x12));
	ck_assert(!both_are_bare_acks(5, 0x14));
	ck_assert(!both_are_bare_acks(5, 0x18));
	/* Beyond the packet, and with data. */
	ck_assert(!both_are_bare_acks(8, 0x10));
	v4[3] = 41;
	v4[32] = 0x50;
	ck_assert(!inner_is_bare_ack(v4, 41));
	put_transport(IPPROTO_UDP, 53, 0x10);
	ck_assert(!inner_is_bare_ack(v4, 40));
}
END_TEST

START_TEST(fragment_has_no_ports_to_be_urgent_by)
{
	put_transport(IPPROTO_UDP, 53, 0);
	v4[7] = 1;
	ck_assert(!inner_is_urgent(v4, 40));
}
END_TEST

START_TEST(marked_packets_are_urgent)
{
	static const struct {
		uint8_t dscp;
		bool is_urgent;
	} cases[] = {{0, false}, {8, false}, {34, false}, {39, false},
		     {40, true}, {46, true}, {48, true}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint8_t tos = (uint8_t)(cases[i].dscp << 2 | 3);

		v4[1] = tos;
		v6[0] = (uint8_t)(0x60 | tos >> 4);
		v6[1] = (uint8_t)(tos << 4);
		v4[3] = 40;
		v6[5] = 20;
		ck_assert_int_eq(both_are_urgent(), cases[i].is_urgent);
	}
}
END_TEST

static struct inner_key key;

/* A packet over IPv6 with these bytes behind its header, of which the first is `type`'s. */
static const struct inner_key *key_behind(uint8_t type, const uint8_t *bytes, size_t len)
{
	memset(v6 + 40, 0, sizeof(v6) - 40);
	memcpy(v6 + 40, bytes, len);
	v6[5] = (uint8_t)len;
	v6[6] = type;
	inner_read_key(&key, v6, 40 + len);
	return &key;
}

static void must_have_ports(uint8_t protocol, uint16_t source, uint16_t destination)
{
	ck_assert_uint_eq(key.protocol, protocol);
	ck_assert(key.has_ports);
	ck_assert_uint_eq(key.source_port, source);
	ck_assert_uint_eq(key.destination_port, destination);
}

START_TEST(key_has_the_ports_of_both_families)
{
	put_transport(IPPROTO_TCP, 443, 0);
	v4[20] = v6[40] = 0x12;
	v4[1] = 46 << 2;
	inner_read_key(&key, v4, 40);
	must_have_ports(IPPROTO_TCP, 0x1200, 443);
	ck_assert_uint_eq(key.dscp, 46);
	ck_assert_ptr_eq(key.inner.source, v4 + 12);
	inner_read_key(&key, v6, 60);
	must_have_ports(IPPROTO_TCP, 0x1200, 443);
	v4[9] = IPPROTO_ESP;
	inner_read_key(&key, v4, 40);
	ck_assert_uint_eq(key.protocol, IPPROTO_ESP);
	ck_assert(!key.has_ports);
}
END_TEST

START_TEST(extension_headers_are_passed_over)
{
	static const uint8_t udp[] = {IPPROTO_UDP, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 0, 8, 0, 0};
	static const uint8_t two[] = {IPPROTO_AH, 0, 0, 0, 0, 0, 0, 0, IPPROTO_UDP, 1, 0, 0,
				      0,	  0, 0, 0, 0, 0, 0, 0, 1,	    2, 3, 4};
	static const uint8_t too_long[] = {IPPROTO_UDP, 9, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4};

	key_behind(IPPROTO_DSTOPTS, udp, sizeof(udp));
	must_have_ports(IPPROTO_UDP, 0x102, 0x304);
	key_behind(IPPROTO_HOPOPTS, two, sizeof(two));
	must_have_ports(IPPROTO_UDP, 0x102, 0x304);
	ck_assert(!key_behind(IPPROTO_HOPOPTS, too_long, sizeof(too_long))->has_ports);
	ck_assert(!key_behind(IPPROTO_HOPOPTS, udp, 4)->has_ports);
}
END_TEST

/* All fragments of a packet look alike, or they would take different paths. */
START_TEST(no_fragment_has_ports)
{
	uint8_t fragment[] = {IPPROTO_UDP, 0, 0, 0, 0, 0, 0, 9, 1, 2, 3, 4, 0, 8, 0, 0};

	put_transport(IPPROTO_UDP, 5060, 0);
	for (unsigned i = 0; i < 3; i++) {
		static const uint8_t offsets[3][2] = {{0x20, 0}, {0x20, 9}, {0, 9}};

		memcpy(v4 + 6, offsets[i], 2);
		inner_read_key(&key, v4, 40);
		ck_assert_uint_eq(key.protocol, IPPROTO_UDP);
		ck_assert(!key.has_ports);
		fragment[2] = i == 0 ? 0 : 1;
		fragment[3] = i < 2;
		key_behind(IPPROTO_FRAGMENT, fragment, sizeof(fragment));
		ck_assert_uint_eq(key.protocol, IPPROTO_UDP);
		ck_assert(!key.has_ports);
	}
	fragment[2] = fragment[3] = 0; /* RFC 6946: the only one */
	key_behind(IPPROTO_FRAGMENT, fragment, sizeof(fragment));
	must_have_ports(IPPROTO_UDP, 0x102, 0x304);
	v4[6] = 0x40; /* not to be fragmented */
	v4[7] = 0;
	inner_read_key(&key, v4, 40);
	ck_assert(key.has_ports);
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
	tcase_add_test(tc, names_and_the_first_packets_of_a_connection_are_urgent);
	tcase_add_test(tc, bare_ack_has_no_data_and_no_other_flag);
	tcase_add_test(tc, fragment_has_no_ports_to_be_urgent_by);
	tcase_add_test(tc, marked_packets_are_urgent);
	tcase_add_test(tc, key_has_the_ports_of_both_families);
	tcase_add_test(tc, extension_headers_are_passed_over);
	tcase_add_test(tc, no_fragment_has_ports);
	suite_add_tcase(suite, tc);
	return suite;
}
