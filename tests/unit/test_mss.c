/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include <netinet/in.h>
#include <string.h>

#include "wire/ip.h"
#include "wire/mss.h"

static uint8_t packet[128];
static size_t len;

static uint32_t sum_of(uint32_t sum, const uint8_t *data, size_t n)
{
	for (size_t i = 0; i < n; i += 2)
		sum += (uint32_t)(data[i] << 8 | (i + 1 < n ? data[i + 1] : 0));
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static size_t ip_len(void)
{
	return packet[0] >> 4 == 4 ? (size_t)(packet[0] & 15) * 4 : 40;
}

/* Over pseudo-header and segment as they are: 0 if the checksum in it is right. */
static uint16_t checksum_of(void)
{
	size_t tcp_len = len - ip_len();
	uint32_t sum = IPPROTO_TCP + (uint32_t)tcp_len;

	sum = packet[0] >> 4 == 4 ? sum_of(sum, packet + 12, 8) : sum_of(sum, packet + 8, 32);
	return fold(sum_of(sum, packet + ip_len(), tcp_len));
}

static void make(int version, uint8_t flags, const char *options, size_t n_options)
{
	struct tcp_header *tcp;
	uint16_t checksum;
	size_t head = version == 4 ? 20 : 40;

	memset(packet, 0, sizeof(packet));
	len = head + 20 + n_options + 3;
	packet[0] = version == 4 ? 0x45 : 0x60;
	packet[version == 4 ? 9 : 6] = IPPROTO_TCP;
	for (size_t i = 0; i < 32; i++)
		packet[(version == 4 ? 12 : 8) + i % (version == 4 ? 8 : 32)] =
			(uint8_t)(i * 37 + 1);
	tcp = (struct tcp_header *)(packet + head);
	tcp->data_offset = (uint8_t)((20 + n_options) / 4 << 4);
	tcp->flags = flags;
	tcp->seq = be32_make(0x12345678);
	memcpy(tcp + 1, options, n_options);
	memcpy((uint8_t *)(tcp + 1) + n_options, "abc", 3);
	checksum = checksum_of();
	tcp->checksum = be16_make(checksum);
	ck_assert_uint_eq(checksum_of(), 0);
}

static unsigned word_at(size_t offset)
{
	return (unsigned)(packet[offset] << 8 | packet[offset + 1]);
}

START_TEST(syn_asks_for_no_more_than_fits)
{
	make(4, 0x02, "\x02\x04\x05\xb4", 4);
	mss_clamp(packet, len, 1420);
	ck_assert_uint_eq(word_at(42), 1380);
	ck_assert_uint_eq(checksum_of(), 0);
	make(6, 0x12, "\x02\x04\x05\xa0", 4);
	mss_clamp(packet, len, 1420);
	ck_assert_uint_eq(word_at(62), 1360);
	ck_assert_uint_eq(checksum_of(), 0);
}
END_TEST

START_TEST(checksum_is_right_for_every_mtu_and_place)
{
	for (uint32_t mtu = 100; mtu < 1500; mtu++) {
		make(4, 0x02, "\x01\x01\x02\x04\xff\xff\x00\x00", 8);
		mss_clamp(packet, len, mtu);
		ck_assert_uint_eq(word_at(44), mtu - 40);
		ck_assert_uint_eq(checksum_of(), 0);
		make(4, 0x02, "\x01\x02\x04\xff\xfe\x01\x01\x00", 8); /* at an odd offset */
		mss_clamp(packet, len, mtu);
		ck_assert_uint_eq(word_at(43), mtu - 40);
		ck_assert_uint_eq(checksum_of(), 0);
	}
}
END_TEST

static void is_left_alone(uint32_t mtu)
{
	uint8_t before[sizeof(packet)];

	memcpy(before, packet, sizeof(packet));
	mss_clamp(packet, len, mtu);
	ck_assert_mem_eq(packet, before, sizeof(packet));
}

START_TEST(others_are_left_alone)
{
	make(4, 0x02, "\x02\x04\x05\x64", 4);
	is_left_alone(1420); /* fits */
	make(4, 0x10, "\x02\x04\x05\xb4", 4);
	is_left_alone(1420); /* no SYN */
	make(4, 0x02, "\x01\x01\x01\x01", 4);
	is_left_alone(1420); /* none given */
	make(4, 0x02, "\x02\x04\x05\xb4", 4);
	packet[9] = IPPROTO_UDP;
	is_left_alone(1420);
	packet[9] = IPPROTO_TCP;
	packet[7] = 1;
	is_left_alone(1420); /* a later fragment */
	packet[7] = 0;
	is_left_alone(40); /* nothing fits */
}
END_TEST

START_TEST(malformed_ones_are_left_alone)
{
	make(4, 0x02, "\x03\x00\x02\x04", 4);
	is_left_alone(1420); /* an option without length */
	make(4, 0x02, "\x03\x09\x02\x04", 4);
	is_left_alone(1420); /* one beyond the end */
	make(4, 0x02, "\x01\x01\x01\x02", 4);
	is_left_alone(1420);
	make(4, 0x02, "\x02\x04\x05\xb4", 4);
	packet[32] = 0x40; /* a header that is too short */
	is_left_alone(1420);
	packet[32] = 0xf0; /* and one beyond the end */
	is_left_alone(1420);
}
END_TEST

START_TEST(packet_cut_anywhere_is_left_alone)
{
	make(4, 0x02, "\x02\x04\x05\xb4", 4);
	for (size_t whole = 44; len > 0; len--)
		if (len < whole)
			is_left_alone(1420);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("mss");
	TCase *t = tcase_create("mss");

	tcase_add_test(t, syn_asks_for_no_more_than_fits);
	tcase_add_test(t, checksum_is_right_for_every_mtu_and_place);
	tcase_add_test(t, others_are_left_alone);
	tcase_add_test(t, malformed_ones_are_left_alone);
	tcase_add_test(t, packet_cut_anywhere_is_left_alone);
	suite_add_tcase(s, t);
	return s;
}
