/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/flowq.h"

#include <netinet/in.h>
#include <string.h>

#include "check_main.h"
#include "tun/vnet.h"
#include "util/pool.h"
#include "wire/ip.h"

#define CELLS 128
#define CELLS_MAX 96
#define CELL_BYTES 65536
#define MS NSEC_PER_MSEC

static struct pool *pool;
static struct flowq *q;

static void set_up(void)
{
	ck_assert_int_eq(pool_new(&pool, CELLS, CELL_BYTES), 0);
	ck_assert_int_eq(flowq_new(&q, pool, CELLS_MAX, CELL_BYTES, 42), 0);
}

static void tear_down(void)
{
	flowq_free(q);
	ck_assert_uint_eq(pool_available(pool), CELLS);
	pool_free(pool);
}

/* A UDP packet of flow number `flow`, carrying `number`; `tos` has its ECN bits. */
static size_t make_packet(uint8_t *packet, uint16_t flow, uint32_t number, size_t len, uint8_t tos)
{
	struct ipv4_header ip = {
		.version_ihl = 0x45,
		.tos = tos,
		.total_length = be16_make((uint16_t)len),
		.ttl = 64,
		.protocol = IPPROTO_UDP,
		.source = {10, 0, 0, 1},
		.destination = {10, 0, 0, 2},
	};
	struct udp_header udp = {.source_port = be16_make(flow), .destination_port = be16_make(53)};
	uint32_t sum = 0;

	memset(packet, 0, len);
	memcpy(packet, &ip, sizeof(ip));
	for (size_t i = 0; i < sizeof(ip); i += 2)
		sum += (uint32_t)packet[i] << 8 | packet[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	ip.checksum = be16_make((uint16_t) ~(sum + (sum >> 16)));
	memcpy(packet, &ip, sizeof(ip));
	memcpy(packet + sizeof(ip), &udp, sizeof(udp));
	memcpy(packet + sizeof(ip) + sizeof(udp), &number, sizeof(number));
	return len;
}

static bool push(uint16_t flow, uint32_t number, size_t len, uint8_t tos, nsec_t now)
{
	uint8_t packet[1500];

	return flowq_push(q, packet, make_packet(packet, flow, number, len, tos), now);
}

/* A read with a super-packet: `n` datagrams of 1000 bytes with the numbers from `first` on. */
static struct parcel *make_read(uint16_t flow, uint32_t first, uint32_t n)
{
	const size_t headers_len = sizeof(struct ipv4_header) + sizeof(struct udp_header);
	const size_t len = headers_len + n * 1000;
	const struct virtio_net_hdr hdr = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4,
		.gso_size = 1000,
		.csum_start = sizeof(struct ipv4_header),
		.csum_offset = offsetof(struct udp_header, checksum),
	};
	struct parcel *p = pool_take(pool);

	make_packet(p->data, flow, 0, len, 0);
	for (uint32_t i = 0; i < n; i++, first++)
		memcpy(p->data + headers_len + i * 1000, &first, sizeof(first));
	ck_assert_int_eq(split_begin(&p->split, &hdr, p->data, len), 0);
	return p;
}

static uint16_t flow_of(const uint8_t *packet)
{
	struct udp_header udp;

	memcpy(&udp, packet + sizeof(struct ipv4_header), sizeof(udp));
	return be16_get(udp.source_port);
}

static uint32_t number_of(const uint8_t *packet)
{
	uint32_t number;

	memcpy(&number, packet + sizeof(struct ipv4_header) + sizeof(struct udp_header),
	       sizeof(number));
	return number;
}

static bool has_good_checksum(const uint8_t *packet)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < sizeof(struct ipv4_header); i += 2)
		sum += (uint32_t)packet[i] << 8 | packet[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16) == 0xffff;
}

/* At the latest when the turn of another is over. */
static void assert_flow_is_soon(uint16_t flow)
{
	size_t len;

	for (int i = 0; i < 3; i++) {
		if (flow_of(flowq_pop(q, MS, &len)) == flow)
			return;
	}
	ck_abort_msg("flow %u waits", flow);
}

START_TEST(a_flow_keeps_its_order_and_its_bytes)
{
	uint8_t expected[1500];
	uint8_t *packet;
	size_t len;

	for (uint32_t i = 0; i < 500; i++)
		ck_assert(push(7, i, 40 + i * 2, 0, 0));
	for (uint32_t i = 0; i < 500; i++) {
		packet = flowq_pop(q, MS, &len);
		ck_assert_ptr_nonnull(packet);
		ck_assert_uint_eq(len, make_packet(expected, 7, i, 40 + i * 2, 0));
		ck_assert_mem_eq(packet, expected, len);
	}
	ck_assert_ptr_null(flowq_pop(q, MS, &len));
	ck_assert(flowq_is_empty(q));
}
END_TEST

START_TEST(a_new_flow_does_not_wait_behind_a_full_one)
{
	size_t len;

	for (uint32_t i = 0; i < 1000; i++)
		ck_assert(push(1, i, 1400, 0, 0));
	for (int i = 0; i < 10; i++)
		ck_assert_uint_eq(flow_of(flowq_pop(q, MS, &len)), 1);
	ck_assert(push(2, 0, 80, 0, MS));
	assert_flow_is_soon(2);
}
END_TEST

/* Whatever their hashes are. */
START_TEST(no_new_flow_waits_behind_one_of_four_full_ones)
{
	size_t len;

	for (uint32_t i = 0; i < 500; i++)
		for (uint16_t bulk = 1; bulk <= 4; bulk++)
			ck_assert(push(bulk, i, 1400, 0, 0));
	for (uint16_t flow = 1000; flow < 1100; flow++) {
		for (int i = 0; i < 14; i++) /* all have a turn */
			ck_assert_ptr_nonnull(flowq_pop(q, MS, &len));
		ck_assert(push(flow, 0, 80, 0, MS));
		assert_flow_is_soon(flow);
	}
}
END_TEST

/* More than there are queues for. */
START_TEST(many_flows_keep_their_order)
{
	uint32_t n_pushed[1000] = {0};
	uint32_t n_popped[1000] = {0};
	uint32_t n_waiting = 0;
	const uint8_t *packet;
	size_t len;

	for (uint32_t i = 0; i < 20000 || n_waiting; i++) {
		uint16_t flow = (uint16_t)(i * 7919 % 1000);

		if (i < 20000 && push(flow, n_pushed[flow], 1000, 0, 0)) {
			n_pushed[flow]++;
			n_waiting++;
		}
		if (n_waiting < 300 && i < 20000)
			continue;
		packet = flowq_pop(q, 0, &len);
		ck_assert_uint_eq(number_of(packet), n_popped[flow_of(packet)]++);
		n_waiting--;
	}
	ck_assert_mem_eq(n_pushed, n_popped, sizeof(n_pushed));
}
END_TEST

START_TEST(full_flows_share_by_bytes)
{
	size_t bytes[3] = {0};
	size_t len;

	for (uint32_t i = 0; i < 400; i++)
		ck_assert(push(1, i, 1400, 0, 0));
	for (uint32_t i = 0; i < 4000; i++)
		ck_assert(push(2, i, 140, 0, 0));
	for (int i = 0; i < 1500; i++) {
		const uint8_t *packet = flowq_pop(q, MS, &len);

		bytes[flow_of(packet)] += len;
	}
	ck_assert_uint_lt(bytes[1], bytes[2] * 12 / 10);
	ck_assert_uint_lt(bytes[2], bytes[1] * 12 / 10);
}
END_TEST

/* A queue that stays too long for an interval loses packets, faster and faster. */
START_TEST(a_standing_queue_is_cut)
{
	uint32_t number = 0;
	uint64_t dropped = 0;
	nsec_t now = 0;
	size_t len;

	for (; number < 100; number++)
		ck_assert(push(1, number, 1400, 0, now));
	for (; now < 2 * NSEC_PER_SEC; now += MS) {
		ck_assert(push(1, number++, 1400, 0, now));
		ck_assert_ptr_nonnull(flowq_pop(q, now, &len));
		if (now == 100 * MS)
			ck_assert_uint_eq(flowq_take_stats(q).dropped, 0);
		dropped += flowq_take_stats(q).dropped;
	}
	ck_assert_uint_gt(dropped, 20);
	ck_assert_uint_lt(dropped, 101);
}
END_TEST

START_TEST(a_short_queue_loses_nothing)
{
	size_t len;

	for (uint32_t i = 0; i < 3000; i++) {
		ck_assert(push(1, i, 1400, 0, i * MS));
		ck_assert_uint_eq(number_of(flowq_pop(q, i * MS + 5 * MS, &len)), i);
	}
	ck_assert_uint_eq(flowq_take_stats(q).dropped, 0);
}
END_TEST

/* Over long paths a sender that backs off needs more in the queue. */
START_TEST(a_queue_of_a_round_trip_loses_nothing)
{
	size_t len;

	flowq_set_timing(q, 40 * MS, false);
	for (uint32_t i = 0; i < 3000; i++) {
		ck_assert(push(1, i, 1400, 0, i * MS));
		if (i >= 38)
			ck_assert_uint_eq(number_of(flowq_pop(q, i * MS, &len)), i - 38);
	}
	ck_assert_uint_eq(flowq_take_stats(q).dropped, 0);
	flowq_set_timing(q, 20 * MS, false);
	for (uint32_t i = 3000; i < 4000; i++) {
		ck_assert(push(1, i, 1400, 0, i * MS));
		flowq_pop(q, i * MS, &len);
	}
	ck_assert_uint_gt(flowq_take_stats(q).dropped, 0);
}
END_TEST

/* Four milliseconds are a long queue where all paths are fast, and not elsewhere. */
START_TEST(a_fast_path_has_short_queues)
{
	size_t len;

	for (uint32_t i = 0; i < 1000; i++) {
		flowq_set_timing(q, MS / 10, i >= 500);
		ck_assert(push(1, i, 1400, 0, i * MS));
		if (i >= 4)
			flowq_pop(q, i * MS, &len);
		if (i == 499)
			ck_assert_uint_eq(flowq_take_stats(q).dropped, 0);
	}
	ck_assert_uint_gt(flowq_take_stats(q).dropped, 0);
}
END_TEST

/* So that the receiver can join them. */
START_TEST(a_turn_is_a_burst_of_full_packets)
{
	uint16_t flow = 0;
	size_t len;

	flowq_set_turn(q, 65507, 1420);
	for (uint32_t i = 0; i < 90; i++) {
		ck_assert(push(1, i, 1420, 0, 0));
		ck_assert(push(2, i, 1420, 0, 0));
	}
	for (unsigned turn = 0; turn < 4; turn++) {
		for (unsigned i = 0; i < 45; i++) {
			uint16_t of = flow_of(flowq_pop(q, 0, &len));

			ck_assert(i == 0 ? of != flow : of == flow);
			ck_assert(flowq_is_turn_over(q) == (i == 44));
			flow = of;
		}
	}
	ck_assert(flowq_is_empty(q));
}
END_TEST

START_TEST(packets_that_can_be_marked_are_not_dropped)
{
	uint32_t number = 0;
	uint32_t expected = 0;
	uint64_t marked = 0;
	size_t len;

	for (; number < 100; number++)
		ck_assert(push(1, number, 1400, 2 /* ECT(0) */, 0));
	for (nsec_t now = 0; now < 2 * NSEC_PER_SEC; now += MS) {
		const uint8_t *packet;

		ck_assert(push(1, number++, 1400, 2, now));
		packet = flowq_pop(q, now, &len);
		ck_assert_uint_eq(number_of(packet), expected++);
		ck_assert(has_good_checksum(packet));
		marked += (packet[1] & 3) == 3;
	}
	ck_assert_uint_gt(marked, 20);
	ck_assert_uint_eq(flowq_take_stats(q).marked, marked);
}
END_TEST

START_TEST(what_waits_too_long_is_dropped)
{
	size_t len;

	ck_assert(push(1, 1, 100, 0, 0));
	ck_assert(push(2, 2, 100, 0, 9 * NSEC_PER_SEC));
	flowq_expire(q, 11 * NSEC_PER_SEC, 10 * NSEC_PER_SEC);
	ck_assert_uint_eq(flowq_take_stats(q).dropped, 1);
	ck_assert_uint_eq(number_of(flowq_pop(q, 11 * NSEC_PER_SEC, &len)), 2);
	ck_assert(flowq_is_empty(q));
}
END_TEST

START_TEST(super_packets_are_cut_in_their_turn)
{
	uint32_t number = 0;
	uint8_t *packet;
	size_t len;

	ck_assert(push(1, number++, 100, 0, 0));
	ck_assert(flowq_push_whole(q, make_read(1, number, 60), 0));
	number += 60;
	ck_assert(push(1, number++, 100, 0, 0));
	ck_assert(push(1, number++, 200, 0, 0));
	ck_assert(flowq_push_whole(q, make_read(1, number, 3), 0));
	number += 3;
	for (uint32_t i = 0; i < number; i++) {
		packet = flowq_pop(q, MS, &len);
		ck_assert_uint_eq(number_of(packet), i);
		ck_assert(has_good_checksum(packet));
		memset(packet, 0xa5, len); /* as a sealer may */
	}
	ck_assert_ptr_null(flowq_pop(q, MS, &len));
	ck_assert(flowq_is_empty(q));
}
END_TEST

START_TEST(a_new_flow_does_not_wait_behind_a_super_packet)
{
	size_t len;

	ck_assert(flowq_push_whole(q, make_read(1, 0, 60), 0));
	ck_assert_uint_eq(flow_of(flowq_pop(q, MS, &len)), 1);
	ck_assert(push(2, 0, 80, 0, MS));
	assert_flow_is_soon(2);
}
END_TEST

/* Some of it may have left before the path was full. */
START_TEST(the_rest_of_a_super_packet_is_queued)
{
	struct parcel *p = make_read(3, 0, 5);
	size_t len;

	split_next(&p->split, &len);
	split_next(&p->split, &len);
	ck_assert(flowq_push_whole(q, p, 0));
	for (uint32_t i = 2; i < 5; i++)
		ck_assert_uint_eq(number_of(flowq_pop(q, 0, &len)), i);
	ck_assert(flowq_is_empty(q));
}
END_TEST

START_TEST(super_packets_expire_and_are_freed)
{
	ck_assert(flowq_push_whole(q, make_read(3, 0, 5), 0));
	ck_assert(flowq_push_whole(q, make_read(4, 0, 7), 9 * NSEC_PER_SEC));
	flowq_expire(q, 11 * NSEC_PER_SEC, 10 * NSEC_PER_SEC);
	ck_assert_uint_eq(flowq_take_stats(q).dropped, 5);
	ck_assert(!flowq_is_empty(q));
}
END_TEST

START_TEST(memory_is_bounded_for_super_packets)
{
	struct parcel *p;
	size_t n = 0;

	while (flowq_push_whole(q, p = make_read((uint16_t)n, 0, 60), 0))
		n++;
	pool_give(pool, p);
	ck_assert(flowq_is_full(q));
	ck_assert_uint_le(n * 60000, FLOWQ_BYTES_MAX);
	ck_assert_uint_ge(pool_available(pool), CELLS - CELLS_MAX);
}
END_TEST

/* Reads that are short, each of a flow of its own, take cells and few bytes. */
START_TEST(full_of_cells_is_full)
{
	size_t n = 0;

	while (!flowq_is_full(q)) {
		ck_assert(flowq_push_whole(q, make_read((uint16_t)n, 0, 2), 0));
		n++;
	}
	ck_assert_uint_lt(n, CELLS_MAX);
	ck_assert(flowq_push_whole(q, make_read((uint16_t)n, 0, 2), 0));
}
END_TEST

START_TEST(memory_is_bounded)
{
	size_t n = 0;
	size_t len;

	while (push((uint16_t)n, 0, 1400, 0, 0))
		n++;
	ck_assert_uint_le(n * 1400, FLOWQ_BYTES_MAX + 1400);
	ck_assert_uint_ge(pool_available(pool), CELLS - CELLS_MAX);
	while (flowq_pop(q, 0, &len))
		n--;
	ck_assert_uint_eq(n, 0);
	ck_assert(push(1, 1, 1400, 0, 0));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("flowq");
	TCase *t = tcase_create("flow queues");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_flow_keeps_its_order_and_its_bytes);
	tcase_add_test(t, a_new_flow_does_not_wait_behind_a_full_one);
	tcase_add_test(t, no_new_flow_waits_behind_one_of_four_full_ones);
	tcase_add_test(t, many_flows_keep_their_order);
	tcase_add_test(t, full_flows_share_by_bytes);
	tcase_add_test(t, a_standing_queue_is_cut);
	tcase_add_test(t, a_short_queue_loses_nothing);
	tcase_add_test(t, a_queue_of_a_round_trip_loses_nothing);
	tcase_add_test(t, a_fast_path_has_short_queues);
	tcase_add_test(t, a_turn_is_a_burst_of_full_packets);
	tcase_add_test(t, packets_that_can_be_marked_are_not_dropped);
	tcase_add_test(t, what_waits_too_long_is_dropped);
	tcase_add_test(t, full_of_cells_is_full);
	tcase_add_test(t, memory_is_bounded);
	tcase_add_test(t, super_packets_are_cut_in_their_turn);
	tcase_add_test(t, a_new_flow_does_not_wait_behind_a_super_packet);
	tcase_add_test(t, the_rest_of_a_super_packet_is_queued);
	tcase_add_test(t, super_packets_expire_and_are_freed);
	tcase_add_test(t, memory_is_bounded_for_super_packets);
	suite_add_tcase(s, t);
	return s;
}
