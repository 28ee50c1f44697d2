/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include <errno.h>

#include "packets.h"
#include "tun/split.h"
#include "tun/vnet.h"
#include "wire/inner.h"

static struct test_random rng;
static struct split split;
static uint8_t whole[TEST_PACKET_MAX];
static uint8_t buffer[TEST_PACKET_MAX];
static uint8_t wanted[TEST_PACKET_MAX];

static void seed(void)
{
	rng.state = 0x9e3779b97f4a7c15;
}

static struct test_packet tcp4(size_t payload_len)
{
	return (struct test_packet){
		.protocol = IPPROTO_TCP,
		.dont_fragment = true,
		.id = 500,
		.source_port = 1000,
		.seq = 0xfffffc00, /* wraps within the packet */
		.flags = 0x10,
		.options_len = 12,
		.payload_len = payload_len,
	};
}

static uint8_t gso_type_of(const struct test_packet *p)
{
	if (p->protocol == IPPROTO_UDP)
		return VIRTIO_NET_HDR_GSO_UDP_L4;
	return p->is_v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
}

/* The packet as the kernel would hand it over: checksum field with the pseudo-header only. */
static size_t make_super(const struct test_packet *p, size_t gso_size, struct virtio_net_hdr *hdr)
{
	size_t len = build_packet(p, &rng, whole);

	put16(whole + checksum_offset(p), slow_pseudo(p, whole, len));
	memcpy(buffer, whole, len);
	*hdr = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = gso_type_of(p),
		.hdr_len = (uint16_t)test_headers_len(p),
		.gso_size = (uint16_t)gso_size,
		.csum_start = (uint16_t)transport_offset(p),
		.csum_offset = p->protocol == IPPROTO_TCP ? 16 : 6,
	};
	return len;
}

/* Cuts the super-packet and compares each segment; overwrites it then, as a sealer may. */
static void check_against_reference(const struct test_packet *p, size_t gso_size, uint8_t extra)
{
	struct virtio_net_hdr hdr;
	size_t len = make_super(p, gso_size, &hdr), n, segment_len, wanted_len, left;
	uint8_t *segment;

	hdr.gso_type |= extra;
	ck_assert_int_eq(split_begin(&split, &hdr, buffer, len), 0);
	left = split_bytes_left(&split);
	for (n = 0; (segment = split_next(&split, &segment_len)) != NULL; n++) {
		wanted_len = slow_segment(p, whole, gso_size, n, wanted);
		ck_assert_uint_eq(segment_len, wanted_len);
		ck_assert_mem_eq(segment, wanted, wanted_len);
		ck_assert_uint_le(segment_len, split_segment_len(&split));
		left -= segment_len;
		ck_assert_uint_eq(split_bytes_left(&split), left);
		memset(segment, 0xa5, segment_len);
	}
	ck_assert_uint_gt(n, 0);
	ck_assert_uint_eq(slow_segment(p, whole, gso_size, n, wanted), 0);
}

START_TEST(complete_packet_passes_as_it_is)
{
	struct test_packet p = tcp4(1000);
	struct virtio_net_hdr hdr = {0};
	size_t len = build_packet(&p, &rng, buffer), segment_len;

	memcpy(wanted, buffer, len);
	ck_assert_int_eq(split_begin(&split, &hdr, buffer, len), 0);
	ck_assert_uint_eq(split_segment_len(&split), len);
	ck_assert_ptr_eq(split_next(&split, &segment_len), buffer);
	ck_assert_uint_eq(segment_len, len);
	ck_assert_mem_eq(buffer, wanted, len);
	ck_assert_ptr_null(split_next(&split, &segment_len));
}
END_TEST

START_TEST(partial_checksum_of_a_single_packet_is_completed)
{
	struct virtio_net_hdr hdr;
	size_t len, segment_len, i;

	for (i = 0; i < 8; i++) {
		struct test_packet p = tcp4(900 + i);

		p.is_v6 = i & 1;
		p.protocol = i & 2 ? IPPROTO_UDP : IPPROTO_TCP;
		len = make_super(&p, 0, &hdr);
		hdr.gso_type = VIRTIO_NET_HDR_GSO_NONE;
		finish_packet(&p, whole, len);
		ck_assert_int_eq(split_begin(&split, &hdr, buffer, len), 0);
		ck_assert_ptr_eq(split_next(&split, &segment_len), buffer);
		ck_assert_uint_eq(segment_len, len);
		ck_assert_mem_eq(buffer, whole, len);
	}
}
END_TEST

START_TEST(udp_checksum_zero_leaves_as_all_ones)
{
	struct test_packet p = tcp4(4);
	struct virtio_net_hdr hdr;
	size_t len, segment_len;

	p.protocol = IPPROTO_UDP;
	len = make_super(&p, 2, &hdr);
	hdr.gso_type = VIRTIO_NET_HDR_GSO_NONE;
	memset(buffer + 28, 0, 4);
	finish_packet(&p, buffer, len);
	/* The checksum of the rest as payload makes the sum all ones, its inverse zero. */
	put16(buffer + 28, get16(buffer + 26));
	put16(buffer + 26, slow_pseudo(&p, buffer, len));
	ck_assert_int_eq(split_begin(&split, &hdr, buffer, len), 0);
	ck_assert_ptr_nonnull(split_next(&split, &segment_len));
	ck_assert_uint_eq(get16(buffer + 26), 0xffff);
}
END_TEST

START_TEST(padding_behind_the_packet_is_cut_off)
{
	struct test_packet p = tcp4(2000);
	struct virtio_net_hdr hdr;
	size_t len = make_super(&p, 1000, &hdr), segment_len;

	ck_assert_int_eq(split_begin(&split, &hdr, buffer, len + 100), 0);
	ck_assert_ptr_nonnull(split_next(&split, &segment_len));
	ck_assert_ptr_nonnull(split_next(&split, &segment_len));
	ck_assert_uint_eq(segment_len, 52 + 1000);
	ck_assert_ptr_null(split_next(&split, &segment_len));
}
END_TEST

START_TEST(largest_super_packet_is_cut)
{
	struct test_packet p = tcp4(65535 - 52);

	check_against_reference(&p, 1368, 0);
	p.is_v6 = true;
	p.payload_len = 65535 - 32;
	check_against_reference(&p, 1348, 0);
}
END_TEST

START_TEST(super_packet_of_one_segment_is_allowed)
{
	struct test_packet p = tcp4(700);

	check_against_reference(&p, 1368, 0);
	check_against_reference(&p, 700, 0);
}
END_TEST

START_TEST(cwr_stays_on_the_first_segment_only)
{
	struct test_packet p = tcp4(3000);
	struct virtio_net_hdr hdr;
	size_t len, segment_len;

	p.flags = 0x90;
	len = make_super(&p, 1000, &hdr);
	hdr.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	ck_assert_int_eq(split_begin(&split, &hdr, buffer, len), 0);
	ck_assert_uint_eq(split_next(&split, &segment_len)[33], 0x90);
	ck_assert_uint_eq(split_next(&split, &segment_len)[33], 0x10);
	ck_assert_uint_eq(split_next(&split, &segment_len)[33], 0x10);
	ck_assert_ptr_null(split_next(&split, &segment_len));
}
END_TEST

START_TEST(push_and_fin_stay_on_the_last_segment_only)
{
	struct test_packet p = tcp4(2500);
	struct virtio_net_hdr hdr;
	size_t len, segment_len;

	p.flags = 0x19;
	len = make_super(&p, 1000, &hdr);
	ck_assert_int_eq(split_begin(&split, &hdr, buffer, len), 0);
	ck_assert_uint_eq(split_next(&split, &segment_len)[33], 0x10);
	ck_assert_uint_eq(split_next(&split, &segment_len)[33], 0x10);
	ck_assert_uint_eq(split_next(&split, &segment_len)[33], 0x19);
	ck_assert_uint_eq(segment_len, 52 + 500);
}
END_TEST

START_TEST(identification_counts_and_wraps)
{
	struct test_packet p = tcp4(3000);
	struct virtio_net_hdr hdr;
	size_t len, segment_len;

	p.id = 0xfffe;
	len = make_super(&p, 1000, &hdr);
	ck_assert_int_eq(split_begin(&split, &hdr, buffer, len), 0);
	ck_assert_uint_eq(get16(split_next(&split, &segment_len) + 4), 0xfffe);
	ck_assert_uint_eq(get16(split_next(&split, &segment_len) + 4), 0xffff);
	ck_assert_uint_eq(get16(split_next(&split, &segment_len) + 4), 0);
}
END_TEST

START_TEST(ipv6_extension_headers_are_in_every_segment)
{
	struct test_packet p = tcp4(5000);

	p.is_v6 = true;
	p.extension_len = 8;
	check_against_reference(&p, 1201, 0);
	p.protocol = IPPROTO_UDP;
	check_against_reference(&p, 1201, 0);
}
END_TEST

START_TEST(random_super_packets_are_cut_as_the_reference_does)
{
	int i;

	for (i = 0; i < 3000; i++) {
		struct test_packet p = tcp4(1 + random_below(&rng, i % 50 ? 6000 : 60000));

		p.is_v6 = random_below(&rng, 2);
		p.protocol = random_below(&rng, 3) ? IPPROTO_TCP : IPPROTO_UDP;
		p.id = (uint16_t)random_below(&rng, 0x10000);
		p.seq = random_below(&rng, UINT32_MAX);
		p.flags = (uint8_t)random_below(&rng, 256);
		p.tos = (uint8_t)random_below(&rng, 256);
		p.options_len = random_below(&rng, 11) * 4;
		p.extension_len = random_below(&rng, 4) ? 0 : 8;
		/* Down to segments smaller than their headers. */
		check_against_reference(&p, 1 + random_below(&rng, i % 7 ? 1448 : 40),
					random_below(&rng, 2) ? VIRTIO_NET_HDR_GSO_ECN : 0);
	}
}
END_TEST

enum malformation {
	NO_CSUM,
	NO_SIZE,
	TYPE_UFO,
	TYPE_OF_OTHER_FAMILY,
	TYPE_OF_OTHER_PROTOCOL,
	START_IN_IP_HEADER,
	START_BEHIND_IP_HEADER,
	START_BEYOND_PACKET,
	OTHER_CSUM_OFFSET,
	TCP_HEADER_TOO_SHORT,
	TCP_HEADER_BEYOND_PACKET,
	NO_PAYLOAD,
	NO_IP,
	MALFORMATIONS,
};

static size_t make_malformed(enum malformation what, struct virtio_net_hdr *hdr)
{
	struct test_packet p = tcp4(what == TCP_HEADER_BEYOND_PACKET ? 4 : 3000);
	size_t len;

	p.payload_len = what == NO_PAYLOAD ? 0 : p.payload_len;
	len = make_super(&p, 1000, hdr);
	switch (what) {
	case NO_CSUM:
		hdr->flags = 0;
		break;
	case NO_SIZE:
		hdr->gso_size = 0;
		break;
	case TYPE_UFO:
		hdr->gso_type = VIRTIO_NET_HDR_GSO_UDP;
		break;
	case TYPE_OF_OTHER_FAMILY:
		hdr->gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
		break;
	case TYPE_OF_OTHER_PROTOCOL:
		hdr->gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
		hdr->csum_offset = 6;
		break;
	case START_IN_IP_HEADER:
		hdr->csum_start = 16;
		break;
	case START_BEHIND_IP_HEADER:
		hdr->csum_start = 24;
		break;
	case START_BEYOND_PACKET:
		hdr->csum_start = UINT16_MAX;
		break;
	case OTHER_CSUM_OFFSET:
		hdr->csum_offset = 6;
		break;
	case TCP_HEADER_TOO_SHORT:
		buffer[32] = 0x40;
		break;
	case TCP_HEADER_BEYOND_PACKET:
		buffer[32] = 0xf0;
		break;
	case NO_IP:
		buffer[0] = 0x15;
		break;
	default:
		break;
	}
	return len;
}

START_TEST(malformed_super_packet_is_refused)
{
	struct virtio_net_hdr hdr;
	size_t len = make_malformed((enum malformation)_i, &hdr);

	ck_assert_int_eq(split_begin(&split, &hdr, buffer, len), -EINVAL);
}
END_TEST

START_TEST(partial_checksum_beyond_the_packet_is_refused)
{
	struct test_packet p = tcp4(100);
	struct virtio_net_hdr hdr;
	size_t len = make_super(&p, 0, &hdr);

	hdr.gso_type = VIRTIO_NET_HDR_GSO_NONE;
	hdr.csum_start = (uint16_t)(len - 17);
	ck_assert_int_eq(split_begin(&split, &hdr, buffer, len), -EINVAL);
	hdr.csum_start = (uint16_t)(len - 18);
	ck_assert_int_eq(split_begin(&split, &hdr, buffer, len), 0);
	hdr.csum_offset = UINT16_MAX;
	ck_assert_int_eq(split_begin(&split, &hdr, buffer, len), -EINVAL);
}
END_TEST

/* It would change the IP header after it has been looked at. */
START_TEST(partial_checksum_within_the_ip_header_is_refused)
{
	struct virtio_net_hdr hdr;

	for (int i = 0; i < 2; i++) {
		struct test_packet p = tcp4(100);
		size_t len, header_len = i ? 40 : 20;

		p.is_v6 = i;
		len = make_super(&p, 0, &hdr);
		hdr.gso_type = VIRTIO_NET_HDR_GSO_NONE;
		hdr.csum_offset = 0;
		for (hdr.csum_start = 0; hdr.csum_start < header_len; hdr.csum_start++)
			ck_assert_int_eq(split_begin(&split, &hdr, buffer, len), -EINVAL);
		ck_assert_mem_eq(buffer, whole, len);
		ck_assert_int_eq(split_begin(&split, &hdr, buffer, len), 0);
	}
}
END_TEST

START_TEST(headers_longer_than_the_limit_are_refused)
{
	struct test_packet p = tcp4(3000);
	struct virtio_net_hdr hdr;
	size_t len;

	p.is_v6 = true;
	p.extension_len = 8;
	len = make_super(&p, 1000, &hdr);
	hdr.csum_start = SPLIT_HEADERS_MAX - 20;
	buffer[hdr.csum_start + 12] = 0x50;
	ck_assert_int_eq(split_begin(&split, &hdr, buffer, len), 0);
	hdr.csum_start++;
	buffer[hdr.csum_start + 12] = 0x50;
	ck_assert_int_eq(split_begin(&split, &hdr, buffer, len), -EINVAL);
}
END_TEST

static void damage(struct virtio_net_hdr *hdr, uint8_t *packet, size_t len)
{
	uint8_t *header = (uint8_t *)hdr;
	uint32_t i, n = random_below(&rng, 4);

	for (i = 0; i < n; i++) {
		if (random_below(&rng, 2))
			header[random_below(&rng, sizeof(*hdr))] = (uint8_t)random_below(&rng, 256);
		else
			packet[random_below(&rng, len < 80 ? (uint32_t)len : 80)] =
				(uint8_t)random_below(&rng, 256);
	}
}

/* Whatever comes: refused, or cut into well-formed packets that hold the payload once. */
START_TEST(damaged_input_never_leaves_the_buffer)
{
	int i;

	for (i = 0; i < 50000; i++) {
		struct test_packet p = tcp4(1 + random_below(&rng, 400));
		size_t len, cut, sum = 0, segment_len;
		struct virtio_net_hdr hdr;
		struct inner inner;
		uint8_t *exact, *segment;

		p.is_v6 = random_below(&rng, 2);
		p.protocol = random_below(&rng, 2) ? IPPROTO_TCP : IPPROTO_UDP;
		len = make_super(&p, 1 + random_below(&rng, 200), &hdr);
		cut = random_below(&rng, 5) ? len : 1 + random_below(&rng, (uint32_t)len);
		exact = malloc(cut);
		memcpy(exact, buffer, cut);
		damage(&hdr, exact, cut);
		if (split_begin(&split, &hdr, exact, cut) == 0) {
			while ((segment = split_next(&split, &segment_len)) != NULL) {
				ck_assert(segment >= exact);
				ck_assert(segment + segment_len <= exact + cut);
				ck_assert_int_eq(inner_parse(&inner, segment, segment_len), 0);
				sum += segment_len - split.headers_len;
			}
			ck_assert_uint_eq(sum, split.len - split.headers_len);
		}
		free(exact);
	}
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("split");
	TCase *tc = tcase_create("split");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, seed, NULL);
	tcase_add_test(tc, complete_packet_passes_as_it_is);
	tcase_add_test(tc, partial_checksum_of_a_single_packet_is_completed);
	tcase_add_test(tc, udp_checksum_zero_leaves_as_all_ones);
	tcase_add_test(tc, padding_behind_the_packet_is_cut_off);
	tcase_add_test(tc, largest_super_packet_is_cut);
	tcase_add_test(tc, super_packet_of_one_segment_is_allowed);
	tcase_add_test(tc, cwr_stays_on_the_first_segment_only);
	tcase_add_test(tc, push_and_fin_stay_on_the_last_segment_only);
	tcase_add_test(tc, identification_counts_and_wraps);
	tcase_add_test(tc, ipv6_extension_headers_are_in_every_segment);
	tcase_add_test(tc, random_super_packets_are_cut_as_the_reference_does);
	tcase_add_loop_test(tc, malformed_super_packet_is_refused, 0, MALFORMATIONS);
	tcase_add_test(tc, partial_checksum_beyond_the_packet_is_refused);
	tcase_add_test(tc, partial_checksum_within_the_ip_header_is_refused);
	tcase_add_test(tc, headers_longer_than_the_limit_are_refused);
	tcase_add_test(tc, damaged_input_never_leaves_the_buffer);
	suite_add_tcase(suite, tc);
	return suite;
}
