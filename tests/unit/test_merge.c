/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * What merge writes is recorded and judged field by field; in the random tests it is cut again
 * by split, and what comes out must be what went in.
 */
#include "check_main.h"

#include <errno.h>

#include "packets.h"
#include "tun/merge.h"
#include "tun/split.h"
#include "tun/vnet.h"

#define PACKETS_MAX 128
#define PACKET_ROOM 2048
#define WRITES_MAX 128

struct written {
	struct virtio_net_hdr hdr;
	size_t n_payloads;
	size_t len;
	const uint8_t *first_iov;
	const uint8_t *last_iov;
	uint8_t headers[100];
};

static struct test_random rng;
static struct merge merge;
static uint8_t packets[PACKETS_MAX][PACKET_ROOM];
static size_t lens[PACKETS_MAX];
static bool is_bad[PACKETS_MAX];
static struct written written[WRITES_MAX];
static size_t n_writes;
static int write_result;

static int record(void *ctx, const struct iovec *iov, int n)
{
	struct written *w = &written[n_writes++];
	int i;

	(void)ctx;
	ck_assert_uint_lt(n_writes, WRITES_MAX);
	ck_assert_uint_eq(iov[0].iov_len, sizeof(w->hdr));
	memcpy(&w->hdr, iov[0].iov_base, sizeof(w->hdr));
	memcpy(w->headers, iov[1].iov_base,
	       iov[1].iov_len < sizeof(w->headers) ? iov[1].iov_len : sizeof(w->headers));
	w->n_payloads = (size_t)n - 2;
	w->first_iov = iov[1].iov_base;
	w->last_iov = iov[n - 1].iov_base;
	w->len = 0;
	for (i = 1; i < n; i++)
		w->len += iov[i].iov_len;
	return write_result;
}

static void begin(void)
{
	rng.state = 0x2545f4914f6cdd1d;
	n_writes = 0;
	write_result = 0;
	merge_init(&merge, record, NULL, true, true);
}

static struct test_packet tcp(size_t payload_len)
{
	return (struct test_packet){
		.protocol = IPPROTO_TCP,
		.dont_fragment = true,
		.tos = 2,
		.id = 0xfffd,
		.source_port = 1000,
		.seq = 0xfffffb00,
		.flags = 0x10,
		.options_len = 12,
		.payload_len = payload_len,
	};
}

static struct test_packet udp(size_t payload_len)
{
	struct test_packet p = tcp(payload_len);

	p.protocol = IPPROTO_UDP;
	return p;
}

/* Builds the packet as number `i` and moves `p` to what would follow it. */
static void make(size_t i, struct test_packet *p)
{
	lens[i] = build_packet(p, &rng, packets[i]);
	is_bad[i] = false;
	p->seq += (uint32_t)p->payload_len;
	p->id++;
}

static void add(size_t i)
{
	merge_add(&merge, packets[i], lens[i]);
}

/* Two packets made by make(), of which the second was perhaps changed: are they joined? */
static size_t writes_of_pair(void)
{
	n_writes = 0;
	add(0);
	add(1);
	merge_flush(&merge);
	return n_writes;
}

START_TEST(single_packet_is_written_as_it_is)
{
	static const struct virtio_net_hdr plain;
	struct test_packet p = tcp(1000);

	make(0, &p);
	add(0);
	ck_assert_uint_eq(n_writes, 0);
	merge_flush(&merge);
	ck_assert_uint_eq(n_writes, 1);
	ck_assert_mem_eq(&written[0].hdr, &plain, sizeof(plain));
	ck_assert_ptr_eq(written[0].first_iov, packets[0]);
	ck_assert_uint_eq(written[0].len, lens[0]);
	ck_assert_uint_eq(merge.n_written, 1);
	merge_flush(&merge);
	ck_assert_uint_eq(n_writes, 1);
}
END_TEST

START_TEST(tcp_run_becomes_one_ipv4_super_packet)
{
	struct test_packet p = tcp(1368), sum = p;
	const struct virtio_net_hdr *hdr = &written[0].hdr;
	const uint8_t *headers = written[0].headers;
	size_t i;

	for (i = 0; i < 4; i++) {
		p.payload_len = i == 3 ? 100 : 1368;
		p.flags = i == 3 ? 0x18 : 0x10;
		make(i, &p);
		add(i);
	}
	merge_flush(&merge);
	ck_assert_uint_eq(n_writes, 1);
	ck_assert_uint_eq(written[0].n_payloads, 4);
	ck_assert_uint_eq(written[0].len, 52 + 3 * 1368 + 100);
	ck_assert_ptr_eq(written[0].last_iov, packets[3] + 52);
	ck_assert_uint_eq(merge.n_written, 4);
	ck_assert_uint_eq(hdr->flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	ck_assert_uint_eq(hdr->gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	ck_assert_uint_eq(hdr->hdr_len, 52);
	ck_assert_uint_eq(hdr->gso_size, 1368);
	ck_assert_uint_eq(hdr->csum_start, 20);
	ck_assert_uint_eq(hdr->csum_offset, 16);
	ck_assert_uint_eq(get16(headers + 2), written[0].len);
	ck_assert_uint_eq(get16(headers + 4), 0xfffd);
	ck_assert_uint_eq(slow_sum(0, headers, 20), 0xffff);
	ck_assert_uint_eq(get32(headers + 24), sum.seq);
	ck_assert_uint_eq(headers[33], 0x18);
	ck_assert_uint_eq(get16(headers + 36), slow_pseudo(&sum, headers, written[0].len));
}
END_TEST

START_TEST(udp_run_becomes_one_ipv6_super_packet)
{
	struct test_packet p = udp(64), sum = p;
	const struct virtio_net_hdr *hdr = &written[0].hdr;
	const uint8_t *headers = written[0].headers;
	size_t i;

	p.is_v6 = sum.is_v6 = true;
	for (i = 0; i < 3; i++) {
		make(i, &p);
		add(i);
	}
	merge_flush(&merge);
	ck_assert_uint_eq(n_writes, 1);
	ck_assert_uint_eq(hdr->flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	ck_assert_uint_eq(hdr->gso_type, 5);
	ck_assert_uint_eq(hdr->hdr_len, 48);
	ck_assert_uint_eq(hdr->gso_size, 64);
	ck_assert_uint_eq(hdr->csum_start, 40);
	ck_assert_uint_eq(hdr->csum_offset, 6);
	ck_assert_uint_eq(get16(headers + 4), 8 + 3 * 64);
	ck_assert_uint_eq(get16(headers + 44), 8 + 3 * 64);
	ck_assert_uint_eq(get16(headers + 46), slow_pseudo(&sum, headers, written[0].len));
}
END_TEST

START_TEST(congestion_reduced_is_allowed_on_the_first_packet_only)
{
	struct test_packet p = tcp(500);

	p.flags = 0x90;
	make(0, &p);
	p.flags = 0x10;
	make(1, &p);
	ck_assert_uint_eq(writes_of_pair(), 1);
	ck_assert_uint_eq(written[0].hdr.gso_type,
			  VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN);
	ck_assert_uint_eq(written[0].headers[33], 0x90);
	p = tcp(500);
	make(0, &p);
	p.flags = 0x90;
	make(1, &p);
	ck_assert_uint_eq(writes_of_pair(), 2);
}
END_TEST

START_TEST(shorter_packet_ends_the_run)
{
	struct test_packet p = tcp(500);

	make(0, &p);
	p.payload_len = 499;
	make(1, &p);
	make(2, &p);
	add(0);
	add(1);
	add(2);
	merge_flush(&merge);
	ck_assert_uint_eq(n_writes, 2);
	ck_assert_uint_eq(written[0].n_payloads, 2);
}
END_TEST

START_TEST(longer_packet_begins_a_run)
{
	struct test_packet p = tcp(500);

	make(0, &p);
	p.payload_len = 501;
	make(1, &p);
	ck_assert_uint_eq(writes_of_pair(), 2);
}
END_TEST

START_TEST(push_ends_the_run)
{
	struct test_packet p = tcp(500);

	p.flags = 0x18;
	make(0, &p);
	p.flags = 0x10;
	make(1, &p);
	ck_assert_uint_eq(writes_of_pair(), 2);
}
END_TEST

/* Offset of a byte of a TCP/IPv4 packet with 12 bytes of options, and what is flipped in it. */
static const struct {
	size_t at;
	uint8_t flip;
} ipv4_differences[] = {
	{1, 1},	 {5, 1},  {6, 0x40}, {8, 1},	 {12, 1}, {19, 1},    {20, 1},	  {23, 1},
	{24, 1}, {27, 1}, {28, 1},   {31, 1},	 {32, 1}, {33, 0x40}, {34, 1},	  {35, 1},
	{38, 1}, {40, 1}, {51, 0xf}, {33, 0x01}, {33, 2}, {33, 4},    {33, 0x20}, {33, 0x10},
};

START_TEST(packet_that_differs_is_not_joined)
{
	struct test_packet p = tcp(500);

	make(0, &p);
	make(1, &p);
	ck_assert_uint_eq(writes_of_pair(), 1);
	packets[1][ipv4_differences[_i].at] ^= ipv4_differences[_i].flip;
	finish_packet(&p, packets[1], lens[1]);
	ck_assert_uint_eq(writes_of_pair(), 2);
	ck_assert_uint_eq(written[1].hdr.gso_type, VIRTIO_NET_HDR_GSO_NONE);
	ck_assert_ptr_eq(written[1].first_iov, packets[1]);
}
END_TEST

/* Likewise of a TCP/IPv6 packet. */
static const struct {
	size_t at;
	uint8_t flip;
} ipv6_differences[] = {{0, 1}, {1, 0x10}, {3, 1}, {7, 1}, {8, 1}, {23, 1}, {24, 1}, {39, 1}};

START_TEST(ipv6_packet_that_differs_is_not_joined)
{
	struct test_packet p = tcp(500);

	p.is_v6 = true;
	make(0, &p);
	make(1, &p);
	ck_assert_uint_eq(writes_of_pair(), 1);
	packets[1][ipv6_differences[_i].at] ^= ipv6_differences[_i].flip;
	finish_packet(&p, packets[1], lens[1]);
	ck_assert_uint_eq(writes_of_pair(), 2);
}
END_TEST

START_TEST(udp_ports_and_family_separate_flows)
{
	struct test_packet p = udp(500);

	make(0, &p);
	make(1, &p);
	ck_assert_uint_eq(writes_of_pair(), 1);
	p.source_port++;
	p.id = 0xfffe;
	make(1, &p);
	ck_assert_uint_eq(writes_of_pair(), 2);
	p = tcp(500);
	p.id = 0xfffe;
	make(1, &p);
	ck_assert_uint_eq(writes_of_pair(), 2);
	p = udp(500);
	p.is_v6 = true;
	make(1, &p);
	ck_assert_uint_eq(writes_of_pair(), 2);
	p = tcp(500);
	make(0, &p);
	p.protocol = IPPROTO_UDP;
	make(1, &p);
	ck_assert_uint_eq(writes_of_pair(), 2);
}
END_TEST

START_TEST(wrong_checksum_is_passed_on_unchanged)
{
	static const size_t at[] = {10, 36, 52, 551};
	struct test_packet p = tcp(500);
	uint8_t before[PACKET_ROOM];

	make(0, &p);
	make(1, &p);
	packets[1][at[_i]] ^= 0x20;
	memcpy(before, packets[1], lens[1]);
	ck_assert_uint_eq(writes_of_pair(), 2);
	ck_assert_uint_eq(written[1].hdr.flags, 0);
	ck_assert_ptr_eq(written[1].first_iov, packets[1]);
	ck_assert_mem_eq(packets[1], before, lens[1]);
}
END_TEST

/* The checksum moves into the payload: the sum is as good, but the field says "none". */
static void drop_udp_checksum(uint8_t *packet)
{
	uint32_t sum = (uint32_t)get16(packet + 26) + get16(packet + 28);

	put16(packet + 28, (sum & 0xffff) + (sum >> 16));
	put16(packet + 26, 0);
}

START_TEST(udp_without_checksum_is_not_joined)
{
	struct test_packet p = udp(500);

	make(0, &p);
	make(1, &p);
	drop_udp_checksum(packets[1]);
	ck_assert_uint_eq(writes_of_pair(), 2);
	drop_udp_checksum(packets[0]);
	ck_assert_uint_eq(writes_of_pair(), 2);
}
END_TEST

START_TEST(udp_length_other_than_the_packets_is_not_joined)
{
	struct test_packet p = udp(500);
	size_t i;

	for (i = 0; i < 2; i++) {
		make(i, &p);
		/* One more here and one less there leave the sum as it is. */
		put16(packets[i] + 28, 500);
		finish_packet(&p, packets[i], lens[i]);
		put16(packets[i] + 24, 507);
		put16(packets[i] + 28, 501);
	}
	ck_assert_uint_eq(writes_of_pair(), 2);
}
END_TEST

START_TEST(tcp_header_shorter_than_its_minimum_is_not_joined)
{
	struct test_packet p = tcp(500);
	size_t i;

	for (i = 0; i < 2; i++) {
		make(i, &p);
		packets[i][32] = 0x40;
		finish_packet(&p, packets[i], lens[i]);
	}
	ck_assert_uint_eq(writes_of_pair(), 2);
}
END_TEST

START_TEST(packets_without_payload_are_not_joined)
{
	struct test_packet p = tcp(0);

	make(0, &p);
	make(1, &p);
	ck_assert_uint_eq(writes_of_pair(), 2);
	p = udp(0);
	make(0, &p);
	make(1, &p);
	ck_assert_uint_eq(writes_of_pair(), 2);
}
END_TEST

START_TEST(ipv4_options_fragments_and_ipv6_extensions_are_not_joined)
{
	struct test_packet p = tcp(500);

	p.is_v6 = true;
	p.extension_len = 8;
	make(0, &p);
	make(1, &p);
	ck_assert_uint_eq(writes_of_pair(), 2);
	p = udp(500);
	p.dont_fragment = false;
	make(0, &p);
	make(1, &p);
	ck_assert_uint_eq(writes_of_pair(), 1);
	packets[0][6] = packets[1][6] = 0x20; /* more fragments */
	finish_packet(&p, packets[0], lens[0]);
	finish_packet(&p, packets[1], lens[1]);
	ck_assert_uint_eq(writes_of_pair(), 2);
	packets[0][6] = packets[1][6] = 0;
	packets[0][0] = packets[1][0] = 0x46;
	finish_packet(&p, packets[0], lens[0]);
	finish_packet(&p, packets[1], lens[1]);
	ck_assert_uint_eq(writes_of_pair(), 2);
}
END_TEST

START_TEST(identifications_all_zero_are_joined_where_they_mean_nothing)
{
	struct test_packet p = udp(500);
	size_t i;

	p.id = 0;
	for (i = 0; i < 3; i++) {
		make(i, &p);
		p.id = 0;
	}
	ck_assert_uint_eq(writes_of_pair(), 1);
	n_writes = 0;
	add(0);
	add(1);
	add(2);
	merge_flush(&merge);
	ck_assert_uint_eq(n_writes, 1);
	p.dont_fragment = false;
	make(0, &p);
	p.id = 0;
	make(1, &p);
	ck_assert_uint_eq(writes_of_pair(), 2);
}
END_TEST

START_TEST(super_packet_stays_below_64_kilobytes)
{
	struct test_packet p = tcp(1448);
	size_t i;

	for (i = 0; i < 60; i++) {
		make(i, &p);
		add(i);
	}
	merge_flush(&merge);
	ck_assert_uint_eq(n_writes, 2);
	ck_assert_uint_eq(written[0].n_payloads, (65535 - 52) / 1448);
	ck_assert_uint_eq(merge.n_written, 60);
}
END_TEST

START_TEST(super_packet_has_at_most_64_segments)
{
	struct test_packet p = udp(64);
	size_t i;

	for (i = 0; i < 100; i++) {
		make(i, &p);
		add(i);
	}
	merge_flush(&merge);
	ck_assert_uint_eq(n_writes, 2);
	ck_assert_uint_eq(written[0].n_payloads, MERGE_SEGMENTS_MAX);
	ck_assert_uint_eq(written[1].n_payloads, 100 - MERGE_SEGMENTS_MAX);
}
END_TEST

START_TEST(nothing_is_joined_for_an_interface_that_cannot)
{
	struct test_packet p = tcp(500);

	merge_init(&merge, record, NULL, false, true);
	make(0, &p);
	make(1, &p);
	ck_assert_uint_eq(writes_of_pair(), 2);
	p = udp(500);
	make(0, &p);
	make(1, &p);
	ck_assert_uint_eq(writes_of_pair(), 1);
	merge_init(&merge, record, NULL, true, false);
	ck_assert_uint_eq(writes_of_pair(), 2);
}
END_TEST

START_TEST(refused_packets_are_counted)
{
	struct test_packet p = tcp(500);

	make(0, &p);
	make(1, &p);
	write_result = -EIO;
	ck_assert_uint_eq(writes_of_pair(), 1);
	ck_assert_uint_eq(merge.n_refused, 2);
	ck_assert_uint_eq(merge.n_written, 0);
	packets[0][36] ^= 1;
	add(0);
	ck_assert_uint_eq(merge.n_refused, 3);
}
END_TEST

/* A kernel that knows no super-packets, though it said so. */
static int refuse_runs(void *ctx, const struct iovec *iov, int n)
{
	const struct virtio_net_hdr *hdr = iov[0].iov_base;
	int r = record(ctx, iov, n);

	return hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE ? r : -EINVAL;
}

START_TEST(packets_of_a_refused_run_are_written_one_by_one)
{
	struct test_packet p = tcp(500);

	merge_init(&merge, refuse_runs, NULL, true, true);
	make(0, &p);
	make(1, &p);
	ck_assert_uint_eq(writes_of_pair(), 3);
	for (int i = 0; i < 2; i++) {
		ck_assert_ptr_eq(written[1 + i].first_iov, packets[i]);
		ck_assert_uint_eq(written[1 + i].len, lens[i]);
	}
	ck_assert_uint_eq(merge.n_refused, 0);
	ck_assert_uint_eq(merge.n_written, 2);
	ck_assert_uint_eq(merge.n_runs_refused, 1);
}
END_TEST

START_TEST(too_many_refused_runs_and_none_of_that_kind_are_made)
{
	struct test_packet p = tcp(500);

	merge_init(&merge, refuse_runs, NULL, true, true);
	make(0, &p);
	make(1, &p);
	for (int i = 1; i < MERGE_REFUSALS_MAX; i++)
		ck_assert_uint_eq(writes_of_pair(), 3);
	merge.write = record; /* one that is taken in between, and they count anew */
	ck_assert_uint_eq(writes_of_pair(), 1);
	merge.write = refuse_runs;
	for (int i = 0; i < MERGE_REFUSALS_MAX; i++)
		ck_assert_uint_eq(writes_of_pair(), 3);
	ck_assert(!merge.can_tcp && merge.can_udp);
	ck_assert_uint_eq(writes_of_pair(), 2);
	ck_assert_uint_eq(merge.n_refused, 0);
}
END_TEST

static size_t n_expected;
static size_t n_joined;

/* Cuts what merge wrote, and compares with the next of packets[]. */
static int cut_and_compare(void *ctx, const struct iovec *iov, int n)
{
	static uint8_t whole[TEST_PACKET_MAX];
	struct virtio_net_hdr hdr;
	struct split split;
	uint8_t *segment;
	size_t len = 0, segment_len;
	int i;

	(void)ctx;
	memcpy(&hdr, iov[0].iov_base, sizeof(hdr));
	for (i = 1; i < n; i++) {
		memcpy(whole + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	if (hdr.gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		ck_assert_uint_eq(len, lens[n_expected]);
		ck_assert_mem_eq(whole, packets[n_expected], len);
		n_expected++;
		return 0;
	}
	ck_assert_int_eq(split_begin(&split, &hdr, whole, len), 0);
	while ((segment = split_next(&split, &segment_len)) != NULL) {
		ck_assert(!is_bad[n_expected]);
		ck_assert_uint_eq(segment_len, lens[n_expected]);
		ck_assert_mem_eq(segment, packets[n_expected], segment_len);
		n_expected++;
		n_joined++;
	}
	return 0;
}

#define FLOWS 4

static void random_flow(struct test_packet *flow)
{
	*flow = tcp(1 + random_below(&rng, 1400));
	flow->is_v6 = random_below(&rng, 2);
	flow->protocol = random_below(&rng, 3) ? IPPROTO_TCP : IPPROTO_UDP;
	flow->dont_fragment = random_below(&rng, 2);
	flow->id = (uint16_t)random_below(&rng, 0x10000);
	flow->seq = random_below(&rng, UINT32_MAX);
	flow->tos = (uint8_t)random_below(&rng, 256);
	flow->options_len = random_below(&rng, 11) * 4;
	flow->extension_len = random_below(&rng, 8) ? 0 : 8;
}

/* Something sound that the packets before it do not have, checksums and all. */
static void make_different(const struct test_packet *p, size_t i)
{
	uint8_t *packet = packets[i];
	uint8_t *transport = packet + transport_offset(p);
	bool is_tcp = p->protocol == IPPROTO_TCP;

	switch (random_below(&rng, 8)) {
	case 0: /* TTL or hop limit */
		packet[p->is_v6 ? 7 : 8]--;
		break;
	case 1: /* marked by a router: CE */
		packet[1] |= p->is_v6 ? 0x30 : 3;
		break;
	case 2: /* a fragment, or another flow label */
		packet[p->is_v6 ? 3 : 6 + random_below(&rng, 2)] |= 0x20;
		break;
	case 3: /* window; or port */
		transport[is_tcp ? 15 : 1] ^= 1;
		break;
	case 4: /* acknowledged; or port */
		transport[is_tcp ? 11 : 3] ^= 1;
		break;
	case 5: /* the last byte of TCP's options */
		if (is_tcp && p->options_len)
			transport[19 + p->options_len] = 0;
		break;
	case 6: /* reserved bits of TCP; the urgent pointer */
		if (is_tcp)
			transport[random_below(&rng, 2) ? 12 : 19] |= 1;
		break;
	case 7: /* an address */
		packet[p->is_v6 ? 23 : 15] ^= 1;
		break;
	}
	finish_packet(p, packet, lens[i]);
}

/* UDP without a checksum, which IPv4 allows. */
static void remove_checksum(const struct test_packet *p, size_t i)
{
	if (p->protocol == IPPROTO_UDP && !p->is_v6)
		put16(packets[i] + checksum_offset(p), 0);
}

/* IPv4 with an option (record route, and its padding), which is no header of 20 bytes any more. */
static void insert_option(const struct test_packet *p, size_t i)
{
	uint8_t *packet = packets[i];

	if (p->is_v6)
		return;
	memmove(packet + 24, packet + 20, lens[i] - 20);
	memcpy(packet + 20, "\x07\x03\x04", 4);
	lens[i] += 4;
	packet[0] = 0x46;
	put16(packet + 2, (uint32_t)lens[i]);
	put16(packet + 10, 0);
	put16(packet + 10, (uint16_t)~slow_sum(0, packet, 24));
}

/* The next packet of a flow, now and then with something that must not be joined. */
static void make_random(size_t i, struct test_packet *flow)
{
	struct test_packet p = *flow;
	size_t at;

	p.flags = random_below(&rng, 20) ? 0x10 : (uint8_t)random_below(&rng, 256);
	if (random_below(&rng, 10) == 0)
		p.payload_len = random_below(&rng, (uint32_t)p.payload_len + 3);
	if (random_below(&rng, 20) == 0)
		p.seq += random_below(&rng, 3);
	if (random_below(&rng, 20) == 0)
		p.id = (uint16_t)(p.id + random_below(&rng, 3));
	if (p.id == 0 && p.dont_fragment)
		p.id = 1; /* zeros have a test of their own */
	make(i, &p);
	flow->seq = p.seq;
	flow->id = p.id;
	switch (random_below(&rng, 24)) {
	case 0:
	case 1:
		make_different(&p, i);
		return;
	case 2:
		remove_checksum(&p, i);
		return;
	case 3:
		insert_option(&p, i);
		return;
	case 4: /* damaged */
		break;
	default:
		return;
	}
	/* IPv6 has no checksum over its first bytes. */
	at = 8 + random_below(&rng, (uint32_t)lens[i] - 8);
	packets[i][at] ^= (uint8_t)(1 << random_below(&rng, 8));
	is_bad[i] = true;
}

START_TEST(random_streams_come_out_as_they_went_in)
{
	struct test_packet flows[FLOWS];
	size_t round, i, flow = 0, total = 0;

	n_joined = 0;
	merge_init(&merge, cut_and_compare, NULL, true, true);
	for (round = 0; round < 300; round++) {
		for (i = 0; i < FLOWS; i++)
			random_flow(&flows[i]);
		for (i = 0; i < PACKETS_MAX; i++) {
			if (random_below(&rng, 8) == 0)
				flow = random_below(&rng, FLOWS);
			make_random(i, &flows[flow]);
		}
		n_expected = 0;
		for (i = 0; i < PACKETS_MAX; i++)
			add(i);
		merge_flush(&merge);
		ck_assert_uint_eq(n_expected, PACKETS_MAX);
		total += PACKETS_MAX;
		ck_assert_uint_eq(merge.n_written, total);
	}
	/* The streams were such that there is something to join. */
	ck_assert_uint_gt(n_joined, total / 3);
}
END_TEST

static uint8_t super[TEST_PACKET_MAX];
static uint8_t cut[TEST_PACKET_MAX];
static size_t super_len;
static struct virtio_net_hdr super_hdr;
static size_t n_supers;

static int compare_super(void *ctx, const struct iovec *iov, int n)
{
	size_t at = 0;

	(void)ctx;
	ck_assert_mem_eq(iov[0].iov_base, &super_hdr, sizeof(super_hdr));
	for (int i = 1; i < n; i++) {
		ck_assert_uint_le(at + iov[i].iov_len, super_len);
		ck_assert_mem_eq(iov[i].iov_base, super + at, iov[i].iov_len);
		at += iov[i].iov_len;
	}
	ck_assert_uint_eq(at, super_len);
	n_supers++;
	return 0;
}

/* A super-packet of 2 to 64 segments, as the kernel makes them, in `super`. */
static void random_super(void)
{
	size_t size = 1 + random_below(&rng, 980);
	size_t n = 2 + random_below(&rng, 63);
	struct test_packet p;

	random_flow(&p);
	p.extension_len = 0;
	p.flags = (uint8_t)(0x10 | random_below(&rng, 2) << 3 | random_below(&rng, 4) << 6);
	if (p.id == 0)
		p.id = 1;
	p.payload_len = (n - 1) * size + 1 + random_below(&rng, (uint32_t)size);
	super_len = build_packet(&p, &rng, super);
	put16(super + checksum_offset(&p), slow_pseudo(&p, super, super_len));
	super_hdr = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = p.protocol == IPPROTO_UDP ? VIRTIO_NET_HDR_GSO_UDP_L4
			    : p.is_v6		      ? VIRTIO_NET_HDR_GSO_TCPV6
						      : VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = (uint16_t)test_headers_len(&p),
		.gso_size = (uint16_t)size,
		.csum_start = (uint16_t)transport_offset(&p),
		.csum_offset = (uint16_t)(checksum_offset(&p) - transport_offset(&p)),
	};
	if (p.protocol == IPPROTO_TCP && p.flags & 0x80)
		super_hdr.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
}

/* The other way round: what the kernel gives us in one piece, the peer's kernel gets in one. */
START_TEST(super_packets_are_put_together_again)
{
	struct split split;
	uint8_t *segment;
	size_t len;

	for (size_t round = 1; round <= 3000; round++) {
		random_super();
		memcpy(cut, super, super_len);
		merge_init(&merge, compare_super, NULL, true, true);
		ck_assert_int_eq(split_begin(&split, &super_hdr, cut, super_len), 0);
		for (size_t i = 0; (segment = split_next(&split, &len)); i++) {
			memcpy(packets[i], segment, len);
			merge_add(&merge, packets[i], len);
		}
		merge_flush(&merge);
		ck_assert_uint_eq(n_supers, round);
	}
}
END_TEST

/* Headers are damaged and their checksums put right, so that the damage gets past those. */
START_TEST(damaged_packets_are_passed_on)
{
	struct test_packet p = tcp(100);
	size_t i, k, total = 0;
	uint8_t *exact[8];

	merge_init(&merge, cut_and_compare, NULL, true, true);
	for (i = 0; i < 20000; i++) {
		p.is_v6 = random_below(&rng, 2);
		p.protocol = random_below(&rng, 2) ? IPPROTO_TCP : IPPROTO_UDP;
		p.payload_len = random_below(&rng, 40);
		n_expected = 0;
		for (k = 0; k < 8; k++) {
			make(k, &p);
			if (random_below(&rng, 2))
				packets[k][random_below(&rng, (uint32_t)test_headers_len(&p))] =
					(uint8_t)random_below(&rng, 256);
			if (random_below(&rng, 2))
				finish_packet(&p, packets[k], lens[k]);
			if (random_below(&rng, 10) == 0)
				lens[k] = 1 + random_below(&rng, (uint32_t)lens[k]);
			exact[k] = malloc(lens[k]);
			memcpy(exact[k], packets[k], lens[k]);
			merge_add(&merge, exact[k], lens[k]);
		}
		merge_flush(&merge);
		for (k = 0; k < 8; k++)
			free(exact[k]);
		total += 8;
		ck_assert_uint_eq(n_expected, 8);
	}
	ck_assert_uint_eq(merge.n_written, total);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("merge");
	TCase *tc = tcase_create("merge");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, begin, NULL);
	tcase_add_test(tc, single_packet_is_written_as_it_is);
	tcase_add_test(tc, tcp_run_becomes_one_ipv4_super_packet);
	tcase_add_test(tc, udp_run_becomes_one_ipv6_super_packet);
	tcase_add_test(tc, congestion_reduced_is_allowed_on_the_first_packet_only);
	tcase_add_test(tc, shorter_packet_ends_the_run);
	tcase_add_test(tc, longer_packet_begins_a_run);
	tcase_add_test(tc, push_ends_the_run);
	tcase_add_loop_test(tc, packet_that_differs_is_not_joined, 0,
			    (int)(sizeof(ipv4_differences) / sizeof(ipv4_differences[0])));
	tcase_add_loop_test(tc, ipv6_packet_that_differs_is_not_joined, 0,
			    (int)(sizeof(ipv6_differences) / sizeof(ipv6_differences[0])));
	tcase_add_test(tc, udp_ports_and_family_separate_flows);
	tcase_add_loop_test(tc, wrong_checksum_is_passed_on_unchanged, 0, 4);
	tcase_add_test(tc, udp_without_checksum_is_not_joined);
	tcase_add_test(tc, udp_length_other_than_the_packets_is_not_joined);
	tcase_add_test(tc, tcp_header_shorter_than_its_minimum_is_not_joined);
	tcase_add_test(tc, packets_without_payload_are_not_joined);
	tcase_add_test(tc, ipv4_options_fragments_and_ipv6_extensions_are_not_joined);
	tcase_add_test(tc, identifications_all_zero_are_joined_where_they_mean_nothing);
	tcase_add_test(tc, super_packet_stays_below_64_kilobytes);
	tcase_add_test(tc, super_packet_has_at_most_64_segments);
	tcase_add_test(tc, nothing_is_joined_for_an_interface_that_cannot);
	tcase_add_test(tc, refused_packets_are_counted);
	tcase_add_test(tc, packets_of_a_refused_run_are_written_one_by_one);
	tcase_add_test(tc, too_many_refused_runs_and_none_of_that_kind_are_made);
	tcase_add_test(tc, random_streams_come_out_as_they_went_in);
	tcase_add_test(tc, super_packets_are_put_together_again);
	tcase_add_test(tc, damaged_packets_are_passed_on);
	suite_add_tcase(suite, tc);
	return suite;
}
