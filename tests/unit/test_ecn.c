/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include <string.h>

#include "wire/ecn.h"

#define V4_LEN 20

static uint8_t packet[40];

static uint16_t header_sum(void)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < V4_LEN; i += 2)
		sum += (uint32_t)(packet[i] << 8 | packet[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* A header of that version, traffic class `dscp` and `ecn`; all else is noise of `seed`. */
static void make(int version, uint8_t dscp, uint8_t ecn, unsigned seed)
{
	uint16_t sum;

	for (size_t i = 0; i < sizeof(packet); i++)
		packet[i] = (uint8_t)((i + 1) * (seed * 29 + 7));
	if (version == 6) {
		packet[0] = (uint8_t)(0x60 | dscp >> 2);
		packet[1] = (uint8_t)(dscp << 6 | ecn << 4 | (packet[1] & 15));
		return;
	}
	packet[0] = 0x45;
	packet[1] = (uint8_t)(dscp << 2 | ecn);
	memset(packet + 10, 0, 2);
	sum = (uint16_t)~header_sum();
	packet[10] = (uint8_t)(sum >> 8);
	packet[11] = (uint8_t)sum;
}

/* That it is as make() makes it, and its checksum right. */
static void check_is(int version, uint8_t dscp, uint8_t ecn, unsigned seed)
{
	uint8_t found[sizeof(packet)];

	memcpy(found, packet, sizeof(found));
	if (version == 4)
		ck_assert_uint_eq(header_sum(), 0xffff);
	make(version, dscp, ecn, seed);
	if (version == 4)
		memcpy(found + 10, packet + 10, 2); /* 0 has two forms */
	ck_assert_mem_eq(found, packet, sizeof(found));
}

static const int versions[] = {4, 6};

START_TEST(codepoint_is_found_whatever_stands_beside_it)
{
	for (uint8_t dscp = 0; dscp < 64; dscp++) {
		for (uint8_t ecn = 0; ecn < 4; ecn++) {
			make(versions[_i], dscp, ecn, dscp);
			ck_assert_uint_eq(ecn_of(packet), ecn);
		}
	}
}
END_TEST

START_TEST(capable_packet_is_marked_and_its_checksum_right)
{
	for (unsigned seed = 0; seed < 1000; seed++) {
		uint8_t dscp = seed % 64;

		for (uint8_t ecn = ECN_ECT_1; ecn <= ECN_CE; ecn++) {
			make(versions[_i], dscp, ecn, seed);
			ck_assert(ecn_mark(packet));
			check_is(versions[_i], dscp, ECN_CE, seed);
		}
		make(versions[_i], dscp, ECN_NOT_ECT, seed);
		ck_assert(!ecn_mark(packet));
		check_is(versions[_i], dscp, ECN_NOT_ECT, seed);
	}
}
END_TEST

#define DROP 4

/* RFC 6040, figure 4: by the inner one, then by the outer one. */
static const uint8_t arriving[4][4] = {
	[ECN_NOT_ECT] = {[ECN_NOT_ECT] = ECN_NOT_ECT,
			 [ECN_ECT_0] = ECN_NOT_ECT,
			 [ECN_ECT_1] = ECN_NOT_ECT,
			 [ECN_CE] = DROP},
	[ECN_ECT_0] = {[ECN_NOT_ECT] = ECN_ECT_0,
		       [ECN_ECT_0] = ECN_ECT_0,
		       [ECN_ECT_1] = ECN_ECT_1,
		       [ECN_CE] = ECN_CE},
	[ECN_ECT_1] = {[ECN_NOT_ECT] = ECN_ECT_1,
		       [ECN_ECT_0] = ECN_ECT_1,
		       [ECN_ECT_1] = ECN_ECT_1,
		       [ECN_CE] = ECN_CE},
	[ECN_CE] = {[ECN_NOT_ECT] = ECN_CE,
		    [ECN_ECT_0] = ECN_CE,
		    [ECN_ECT_1] = ECN_CE,
		    [ECN_CE] = ECN_CE},
};

START_TEST(marks_of_the_way_are_handed_on)
{
	for (uint8_t inner = 0; inner < 4; inner++) {
		for (uint8_t outer = 0; outer < 4; outer++) {
			uint8_t expected = arriving[inner][outer];

			make(versions[_i], 46, inner, 3);
			ck_assert_int_eq(ecn_arrive(packet, outer), expected != DROP);
			check_is(versions[_i], 46, expected == DROP ? inner : expected, 3);
		}
	}
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("ecn");
	TCase *t = tcase_create("ecn");

	tcase_add_loop_test(t, codepoint_is_found_whatever_stands_beside_it, 0, 2);
	tcase_add_loop_test(t, capable_packet_is_marked_and_its_checksum_right, 0, 2);
	tcase_add_loop_test(t, marks_of_the_way_are_handed_on, 0, 2);
	suite_add_tcase(s, t);
	return s;
}
