/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include <arpa/inet.h>

#include "packet.h"
#include "packets.h"
#include "tun/vnet.h"

#define FRAME_MAX (ETH_HLEN + TEST_PACKET_MAX)
#define SEGMENT 1400
#define MAC_SOURCE "\2\0\0\0\0\1"
#define MAC_DESTINATION "\2\0\0\0\0\2"

static struct test_random dice;
static uint8_t whole[FRAME_MAX], expected[FRAME_MAX];
static _Alignas(struct packet) uint8_t cell[sizeof(struct packet) + FRAME_MAX];
static _Alignas(struct packet) uint8_t other_cell[sizeof(struct packet) + FRAME_MAX];
static struct packet *const packet = (struct packet *)cell;
static struct packet *const other = (struct packet *)other_cell;

static void setup(void)
{
	dice = (struct test_random){1};
}

static size_t build_frame(const struct test_packet *p, uint8_t *frame)
{
	memcpy(frame, MAC_DESTINATION, ETH_ALEN);
	memcpy(frame + ETH_ALEN, MAC_SOURCE, ETH_ALEN);
	put16(frame + 2 * ETH_ALEN, p->is_v6 ? ETH_P_IPV6 : ETH_P_IP);
	return ETH_HLEN + build_packet(p, &dice, frame + ETH_HLEN);
}

/* As a sender leaves it that has its checksum finished by hardware. */
static struct virtio_net_hdr unfinish(const struct test_packet *p, uint8_t *frame, size_t len)
{
	put16(frame + ETH_HLEN + checksum_offset(p),
	      slow_pseudo(p, frame + ETH_HLEN, len - ETH_HLEN));
	return (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = (uint16_t)(ETH_HLEN + transport_offset(p)),
		.csum_offset = (uint16_t)(checksum_offset(p) - transport_offset(p)),
	};
}

static void load_packet(const struct test_packet *p)
{
	packet->vnet = (struct virtio_net_hdr){0};
	packet->len = (uint32_t)build_frame(p, packet->frame);
}

static void pieces_are_those_of_the_book(const struct test_packet *p, uint8_t gso_type)
{
	size_t len = build_frame(p, whole), index = 0;
	struct virtio_net_hdr vnet = unfinish(p, whole, len);
	struct cut cut;

	vnet.gso_type = gso_type;
	vnet.gso_size = SEGMENT;
	ck_assert_int_eq(cut_begin(&cut, &vnet, whole, len), 0);
	for (; !cut.is_done; index++) {
		size_t want = slow_segment(p, whole + ETH_HLEN, SEGMENT, index, expected);

		cut_next(&cut, packet);
		ck_assert_uint_eq(packet->vnet.gso_type, VIRTIO_NET_HDR_GSO_NONE);
		ck_assert(packet->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
		ck_assert_uint_le(packet->len, ETH_HLEN + test_headers_len(p) + SEGMENT);
		packet_finish_checksum(packet);
		ck_assert_uint_eq(packet->len, ETH_HLEN + want);
		ck_assert_mem_eq(packet->frame, whole, ETH_HLEN);
		ck_assert_mem_eq(packet->frame + ETH_HLEN, expected, want);
	}
	ck_assert_uint_eq(index, (p->payload_len + SEGMENT - 1) / SEGMENT);
}

START_TEST(tcp_super_frame_is_cut)
{
	struct test_packet p = {.protocol = IPPROTO_TCP,
				.id = 65530,
				.seq = 0xfffff000,
				.flags = 0x80 | 0x10 | 0x08 | 0x01,
				.dont_fragment = true};

	for (p.payload_len = 1; p.payload_len < 60000; p.payload_len += 2799) {
		pieces_are_those_of_the_book(&p, VIRTIO_NET_HDR_GSO_TCPV4);
		pieces_are_those_of_the_book(&p, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN);
	}
	p.is_v6 = true;
	p.options_len = 12;
	pieces_are_those_of_the_book(&p, VIRTIO_NET_HDR_GSO_TCPV6);
}
END_TEST

START_TEST(udp_super_frame_is_cut)
{
	struct test_packet p = {.protocol = IPPROTO_UDP, .payload_len = 45 * SEGMENT};

	pieces_are_those_of_the_book(&p, VIRTIO_NET_HDR_GSO_UDP_L4);
	p.is_v6 = true;
	p.payload_len -= 77;
	pieces_are_those_of_the_book(&p, VIRTIO_NET_HDR_GSO_UDP_L4);
}
END_TEST

START_TEST(plain_frame_is_its_own_only_piece)
{
	struct test_packet p = {.protocol = IPPROTO_UDP, .payload_len = 500};
	struct virtio_net_hdr vnet = {.flags = VIRTIO_NET_HDR_F_DATA_VALID};
	size_t len = build_frame(&p, whole);
	struct cut cut;

	ck_assert_int_eq(cut_begin(&cut, &vnet, whole, len), 0);
	ck_assert_uint_eq(cut_frame_max(&cut), len);
	cut_next(&cut, packet);
	ck_assert(cut.is_done);
	ck_assert_uint_eq(packet->len, len);
	ck_assert_uint_eq(packet->vnet.flags, 0);
	ck_assert_mem_eq(packet->frame, whole, len);
}
END_TEST

START_TEST(malformed_super_frames_are_refused)
{
	struct test_packet p = {.protocol = IPPROTO_TCP, .payload_len = 3000};
	size_t len = build_frame(&p, whole);
	struct virtio_net_hdr good = unfinish(&p, whole, len), bad;
	struct cut cut;

	good.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	good.gso_size = SEGMENT;
	ck_assert_int_eq(cut_begin(&cut, &good, whole, len), 0);
	for (size_t cut_len = 0; cut_len < ETH_HLEN + test_headers_len(&p); cut_len++)
		ck_assert_int_lt(cut_begin(&cut, &good, whole, cut_len), 0);
	bad = good;
	bad.gso_size = 0;
	ck_assert_int_lt(cut_begin(&cut, &bad, whole, len), 0);
	bad = good;
	bad.flags = 0;
	ck_assert_int_lt(cut_begin(&cut, &bad, whole, len), 0);
	bad = good;
	bad.gso_type = VIRTIO_NET_HDR_GSO_UDP;
	ck_assert_int_lt(cut_begin(&cut, &bad, whole, len), 0);
	bad = good;
	bad.csum_start = (uint16_t)(len - 1);
	ck_assert_int_lt(cut_begin(&cut, &bad, whole, len), 0);
	bad = good;
	bad.csum_offset = 19; /* its second byte is payload */
	ck_assert_int_lt(cut_begin(&cut, &bad, whole, len), 0);
	whole[ETH_HLEN + 20 + 12] = 0x10; /* a TCP header of 4 bytes */
	ck_assert_int_lt(cut_begin(&cut, &good, whole, len), 0);
	whole[ETH_HLEN + 20 + 12] = 0x50;
	bad = good;
	bad.csum_start = 2;
	ck_assert_int_lt(cut_begin(&cut, &bad, whole, len), 0);
}
END_TEST

START_TEST(unfinished_checksum_is_finished_before_padding)
{
	struct test_packet p = {.protocol = IPPROTO_UDP, .payload_len = 1};
	size_t len = build_frame(&p, expected);

	memcpy(packet->frame, expected, len);
	packet->vnet = unfinish(&p, packet->frame, len);
	memset(packet->frame + len, 0x55, 60 - len);
	packet->len = 60;
	packet_finish_checksum(packet);
	ck_assert_mem_eq(packet->frame, expected, len);
	ck_assert_uint_eq(packet->vnet.flags, 0);
}
END_TEST

START_TEST(flipped_bit_is_one_behind_the_ip_header)
{
	struct test_packet p = {.protocol = IPPROTO_TCP, .payload_len = 100};
	size_t len = build_frame(&p, expected);

	for (uint64_t random = 0; random < 5000; random++) {
		unsigned n_bits = 0;

		memcpy(packet->frame, expected, len);
		packet->len = (uint32_t)len;
		packet->vnet = unfinish(&p, packet->frame, len);
		packet_flip_bit(packet, random);
		ck_assert_mem_eq(packet->frame, expected, ETH_HLEN + 20);
		for (size_t i = 0; i < len; i++)
			n_bits += (unsigned)__builtin_popcount(packet->frame[i] ^ expected[i]);
		ck_assert_uint_eq(n_bits, 1);
		ck_assert_uint_eq(packet->vnet.flags, 0);
	}
}
END_TEST

START_TEST(fragments_make_up_the_packet)
{
	struct test_packet p = {.protocol = IPPROTO_UDP, .payload_len = 3991, .id = 77};
	size_t at = 0, sum = 0;

	load_packet(&p);
	ck_assert(packet_may_fragment(packet));
	while (packet_fragment(packet, 1003, &at, other)) {
		const uint8_t *ip = other->frame + ETH_HLEN;
		size_t len = packet_ip_len(other) - 20;

		ck_assert_uint_le(packet_ip_len(other), 1003);
		ck_assert_uint_eq(get16(ip + 2), packet_ip_len(other));
		ck_assert_uint_eq(get16(ip + 4), 77);
		ck_assert_uint_eq((get16(ip + 6) & 0x1fffu) * 8, sum);
		ck_assert_int_eq(get16(ip + 6) >> 13, at < packet_ip_len(packet) - 20);
		ck_assert_uint_eq(slow_sum(0, ip, 20), 0xffff);
		ck_assert_mem_eq(ip + 20, packet->frame + ETH_HLEN + 20 + sum, len);
		sum += len;
	}
	ck_assert_uint_eq(sum, packet_ip_len(packet) - 20);
}
END_TEST

START_TEST(only_ipv4_without_df_may_be_fragmented)
{
	struct test_packet p = {.protocol = IPPROTO_UDP, .payload_len = 100, .dont_fragment = true};

	load_packet(&p);
	ck_assert(!packet_may_fragment(packet));
	p = (struct test_packet){.is_v6 = true, .protocol = IPPROTO_UDP, .payload_len = 100};
	load_packet(&p);
	ck_assert(!packet_may_fragment(packet));
}
END_TEST

START_TEST(length_that_leaves_no_payload_is_not_fragmented)
{
	struct test_packet p = {.protocol = IPPROTO_UDP, .payload_len = 1400};

	load_packet(&p);
	put16(packet->frame + ETH_HLEN + 2, 21);
	ck_assert(packet_may_fragment(packet));
	for (uint32_t len = 0; len <= 20; len++) {
		put16(packet->frame + ETH_HLEN + 2, len);
		ck_assert(!packet_may_fragment(packet));
	}
}
END_TEST

START_TEST(fragmentation_needed_tells_the_mtu_and_quotes)
{
	struct test_packet p = {
		.protocol = IPPROTO_UDP, .payload_len = 1400, .dont_fragment = true};
	const uint8_t *ip = other->frame + ETH_HLEN, *icmp = ip + 20;

	load_packet(&p);
	ck_assert(packet_too_big(packet, 1300, other));
	ck_assert_mem_eq(other->frame, MAC_SOURCE, ETH_ALEN);
	ck_assert_mem_eq(other->frame + ETH_ALEN, MAC_DESTINATION, ETH_ALEN);
	ck_assert_uint_eq(get16(ip + 2), packet_ip_len(other));
	ck_assert_uint_eq(packet_ip_len(other), 576);
	ck_assert_uint_eq(slow_sum(0, ip, 20), 0xffff);
	ck_assert_mem_eq(ip + 12, packet->frame + ETH_HLEN + 16, 4);
	ck_assert_mem_eq(ip + 16, packet->frame + ETH_HLEN + 12, 4);
	ck_assert_int_eq(icmp[0], 3);
	ck_assert_int_eq(icmp[1], 4);
	ck_assert_uint_eq(get16(icmp + 6), 1300);
	ck_assert_uint_eq(slow_sum(0, icmp, 556), 0xffff);
	ck_assert_mem_eq(icmp + 8, packet->frame + ETH_HLEN, 548);
}
END_TEST

START_TEST(packet_too_big_tells_the_mtu_and_quotes)
{
	struct test_packet p = {.is_v6 = true, .protocol = IPPROTO_TCP, .payload_len = 1400};
	const uint8_t *ip = other->frame + ETH_HLEN, *icmp = ip + 40;
	uint32_t pseudo;

	load_packet(&p);
	ck_assert(packet_too_big(packet, 1300, other));
	ck_assert_uint_eq(packet_ip_len(other), 1280);
	ck_assert_uint_eq(get16(ip + 4), 1240);
	ck_assert_mem_eq(ip + 24, packet->frame + ETH_HLEN + 8, 16);
	ck_assert_int_eq(icmp[0], 2);
	ck_assert_uint_eq(get32(icmp + 4), 1300);
	pseudo = slow_sum(1240 + IPPROTO_ICMPV6, ip + 8, 32);
	ck_assert_uint_eq(slow_sum(pseudo, icmp, 1240), 0xffff);
	ck_assert_mem_eq(icmp + 8, packet->frame + ETH_HLEN, 1232);
}
END_TEST

START_TEST(errors_and_groups_get_no_error)
{
	struct test_packet p = {
		.protocol = IPPROTO_UDP, .payload_len = 1400, .dont_fragment = true};

	load_packet(&p);
	packet->frame[ETH_HLEN + 9] = IPPROTO_ICMP;
	packet->frame[ETH_HLEN + 20] = 3;
	ck_assert(!packet_too_big(packet, 1300, other));
	packet->frame[ETH_HLEN + 20] = 8;
	ck_assert(packet_too_big(packet, 1300, other));
	packet->frame[0] |= 1;
	ck_assert(!packet_too_big(packet, 1300, other));
	load_packet(&p);
	put16(packet->frame + ETH_HLEN + 6, 0x4001);
	ck_assert(!packet_too_big(packet, 1300, other));
}
END_TEST

START_TEST(neighbour_traffic_is_told_apart)
{
	struct test_packet p = {.is_v6 = true, .protocol = IPPROTO_UDP, .payload_len = 100};
	size_t len = build_frame(&p, whole);

	ck_assert(frame_is_far(whole, len));
	whole[ETH_HLEN + 6] = IPPROTO_ICMPV6;
	whole[ETH_HLEN + 7] = 255;
	whole[ETH_HLEN + 40] = 128; /* echo request */
	ck_assert(frame_is_far(whole, len));
	for (uint8_t type = 133; type <= 137; type++) {
		whole[ETH_HLEN + 40] = type;
		ck_assert(!frame_is_far(whole, len));
	}
	whole[ETH_HLEN + 7] = 64; /* from afar: no discovery */
	ck_assert(frame_is_far(whole, len));
	put16(whole + 12, ETH_P_ARP);
	ck_assert(!frame_is_far(whole, len));
	ck_assert(!frame_is_far(whole, 5));
}
END_TEST

START_TEST(local_groups_are_of_the_neighbours)
{
	struct test_packet p = {.protocol = IPPROTO_UDP, .payload_len = 100};
	size_t len = build_frame(&p, whole);

	put32(whole + ETH_HLEN + 16, 0xe00000fb); /* 224.0.0.251 */
	ck_assert(!frame_is_far(whole, len));
	put32(whole + ETH_HLEN + 16, 0xe0000101); /* 224.0.1.1 */
	ck_assert(frame_is_far(whole, len));
	p.is_v6 = true;
	len = build_frame(&p, whole);
	put16(whole + ETH_HLEN + 24, 0xff02);
	ck_assert(!frame_is_far(whole, len));
	put16(whole + ETH_HLEN + 24, 0xff05);
	ck_assert(frame_is_far(whole, len));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("packet");
	TCase *t = tcase_create("packet");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, tcp_super_frame_is_cut);
	tcase_add_test(t, udp_super_frame_is_cut);
	tcase_add_test(t, plain_frame_is_its_own_only_piece);
	tcase_add_test(t, malformed_super_frames_are_refused);
	tcase_add_test(t, unfinished_checksum_is_finished_before_padding);
	tcase_add_test(t, flipped_bit_is_one_behind_the_ip_header);
	tcase_add_test(t, fragments_make_up_the_packet);
	tcase_add_test(t, length_that_leaves_no_payload_is_not_fragmented);
	tcase_add_test(t, only_ipv4_without_df_may_be_fragmented);
	tcase_add_test(t, fragmentation_needed_tells_the_mtu_and_quotes);
	tcase_add_test(t, packet_too_big_tells_the_mtu_and_quotes);
	tcase_add_test(t, errors_and_groups_get_no_error);
	tcase_add_test(t, neighbour_traffic_is_told_apart);
	tcase_add_test(t, local_groups_are_of_the_neighbours);
	suite_add_tcase(s, t);
	return s;
}
