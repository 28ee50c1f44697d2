/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* A whole direction over simulated time. */
#include "check_main.h"

#include "oneway.h"
#include "packets.h"

#define PACKETS 4096
#define IP_BYTES 1000
#define MS NSEC_PER_MSEC

static struct oneway *way;
static struct settings settings;
static nsec_t now;

static struct {
	unsigned n;
	uint64_t bytes;
	nsec_t first, last;
	unsigned n_wrong; /* checksum */
} forward, back;

static void count(void *context, struct packet *const *packets, size_t n)
{
	bool is_back = context != NULL;

	for (size_t i = 0; i < n; i++) {
		const uint8_t *ip = packets[i]->frame + ETH_HLEN;
		size_t len = packet_ip_len(packets[i]);
		struct test_packet p = {.protocol = IPPROTO_UDP};

		if (is_back) {
			back.n++;
			continue;
		}
		forward.first = forward.n++ ? forward.first : now;
		forward.last = now;
		forward.bytes += len;
		if (packets[i]->vnet.flags == 0)
			forward.n_wrong +=
				slow_sum(slow_pseudo(&p, ip, len), ip + 20, len - 20) != 0xffff;
	}
}

static void setup(void)
{
	settings = (struct settings)SETTINGS_DEFAULT;
	memset(&forward, 0, sizeof(forward));
	memset(&back, 0, sizeof(back));
	now = NSEC_PER_SEC;
}

static void open_way(void)
{
	struct oneway_options o = {
		.settings = settings,
		.forward = {count, NULL},
		.back = {count, &back},
		.packets = PACKETS,
		.frame_max = 1514,
		.seed = 7,
	};

	ck_assert_int_eq(oneway_new(&way, &o), 0);
}

static void teardown(void)
{
	oneway_free(way);
	way = NULL;
}

static void set(void)
{
	oneway_set(way, now, &settings);
}

/* Lets time pass; everything happens at its moment. */
static void run_to(nsec_t time)
{
	while (oneway_next(way) <= time) {
		now = nsec_max(now, oneway_next(way));
		oneway_run(way, now);
	}
	now = time;
}

static size_t make_frame(uint8_t *frame, bool dont_fragment)
{
	struct test_packet p = {.protocol = IPPROTO_UDP,
				.dont_fragment = dont_fragment,
				.payload_len = IP_BYTES - 28};
	struct test_random r = {3};

	memset(frame, 2, ETH_HLEN);
	put16(frame + 12, ETH_P_IP);
	return ETH_HLEN + build_packet(&p, &r, frame + ETH_HLEN);
}

static void send_frames(unsigned n, nsec_t interval, bool dont_fragment)
{
	const struct virtio_net_hdr plain = {0};
	uint8_t frame[2000];
	size_t len = make_frame(frame, dont_fragment);

	for (unsigned i = 0; i < n; i++) {
		oneway_receive(way, now, &plain, frame, len);
		run_to(now + interval);
	}
}

static void send_arp(void)
{
	const struct virtio_net_hdr plain = {0};
	uint8_t frame[60] = {[12] = 0x08, [13] = 0x06};

	oneway_receive(way, now, &plain, frame, sizeof(frame));
}

static const struct oneway_counters *counters(void)
{
	return oneway_counters(way);
}

START_TEST(plain_wire_passes_at_once)
{
	open_way();
	send_frames(10, 0, true);
	ck_assert_uint_eq(forward.n, 10);
	ck_assert_int_eq(forward.last, NSEC_PER_SEC);
	ck_assert_uint_eq(counters()->bytes_out, 10 * IP_BYTES);
}
END_TEST

START_TEST(overload_leaves_at_the_rate)
{
	double seconds;

	settings.rate_bps = 10000000;
	open_way();
	send_frames(20000, 400 * NSEC_PER_USEC, true); /* twice the rate */
	seconds = (double)(forward.last - forward.first) / 1e9;
	ck_assert_double_eq_tol((double)(forward.bytes - IP_BYTES) * 8 / seconds, 1e7, 1e5);
	ck_assert_uint_gt(counters()->queue_drops, 0);
	ck_assert_uint_le(counters()->queue_peak_bytes, 125000 + IP_BYTES);
	ck_assert_uint_ge(counters()->queue_peak_bytes, 125000 - IP_BYTES);
}
END_TEST

START_TEST(delay_adds_to_the_time_of_service)
{
	settings.rate_bps = 8000000; /* 1 ms a packet */
	settings.delay = 20 * MS;
	open_way();
	send_frames(3, 0, true);
	run_to(now + NSEC_PER_SEC);
	ck_assert_int_eq(forward.first, NSEC_PER_SEC + 21 * MS);
	ck_assert_int_eq(forward.last, NSEC_PER_SEC + 23 * MS);
}
END_TEST

START_TEST(random_loss_is_of_the_share_asked_for)
{
	settings.loss = 0.03;
	open_way();
	send_frames(100000, 1, true);
	ck_assert_double_eq_tol((double)counters()->lost, 3000, 200);
	ck_assert_uint_eq(forward.n, 100000 - counters()->lost);
}
END_TEST

START_TEST(lost_packets_take_their_share_of_the_rate)
{
	settings.rate_bps = 8000000;
	settings.loss = 0.5;
	open_way();
	send_frames(4000, 500 * NSEC_PER_USEC, true);
	ck_assert_double_eq_tol((double)forward.n, 1000, 100);
}
END_TEST

START_TEST(bursts_are_of_the_share_and_length_asked_for)
{
	double n_bursts, share = 0.01 / (0.01 + 0.25);
	uint64_t lost = 0, last = 0;
	unsigned bursts = 0;
	bool was_lost = false;

	settings.burst_enter = 0.01;
	open_way();
	for (unsigned i = 0; i < 200000; i++) {
		send_frames(1, 1, true);
		lost = counters()->lost_in_bursts;
		bursts += lost > last && !was_lost;
		was_lost = lost > last;
		last = lost;
	}
	n_bursts = bursts;
	ck_assert_double_eq_tol((double)lost / 200000, share, share / 10);
	ck_assert_double_eq_tol((double)lost / n_bursts, 4, 0.4);
	ck_assert_uint_eq(counters()->lost, 0);
}
END_TEST

START_TEST(duplicates_follow_their_originals)
{
	settings.duplicate = 0.1;
	open_way();
	send_frames(10000, 1, true);
	ck_assert_double_eq_tol((double)counters()->duplicated, 1000, 150);
	ck_assert_uint_eq(forward.n, 10000 + counters()->duplicated);
}
END_TEST

START_TEST(corruption_breaks_the_checksum_and_no_other)
{
	settings.corrupt = 0.1;
	open_way();
	send_frames(5000, 1, true);
	ck_assert_uint_eq(forward.n, 5000);
	ck_assert_uint_eq(forward.n_wrong, counters()->corrupted);
	ck_assert_double_eq_tol((double)counters()->corrupted, 500, 100);
}
END_TEST

START_TEST(too_big_is_refused_with_an_answer)
{
	settings.mtu = IP_BYTES - 1;
	open_way();
	send_frames(3, 1, true);
	ck_assert_uint_eq(forward.n, 0);
	ck_assert_uint_eq(back.n, 3);
	ck_assert_uint_eq(counters()->icmp_sent, 3);
	settings.mtu_icmp = false;
	set();
	send_frames(3, 1, true);
	ck_assert_uint_eq(back.n, 3);
	ck_assert_uint_eq(counters()->mtu_drops, 6);
	settings.mtu = IP_BYTES;
	set();
	send_frames(3, 1, true);
	ck_assert_uint_eq(forward.n, 3);
}
END_TEST

START_TEST(too_big_without_df_is_fragmented)
{
	settings.mtu = 600;
	open_way();
	send_frames(3, 1, false);
	ck_assert_uint_eq(forward.n, 6);
	ck_assert_uint_eq(counters()->fragments, 6);
	ck_assert_uint_eq(forward.bytes, 3 * (IP_BYTES + 20));
}
END_TEST

START_TEST(blackout_takes_what_comes_and_what_is_under_way)
{
	settings.delay = 10 * MS;
	open_way();
	send_frames(5, 0, true);
	settings.blackout = true;
	set();
	send_frames(5, 0, true);
	run_to(now + 20 * MS);
	ck_assert_uint_eq(forward.n, 0);
	ck_assert_uint_eq(counters()->blackout_drops, 10);
	settings.blackout = false;
	set();
	send_frames(5, 0, true);
	run_to(now + 20 * MS);
	ck_assert_uint_eq(forward.n, 5);
}
END_TEST

START_TEST(neighbour_traffic_passes_whatever_the_settings)
{
	settings = (struct settings){.rate_bps = 1,
				     .queue_bytes = 1,
				     .delay = NSEC_PER_SEC,
				     .loss = 1,
				     .corrupt = 1,
				     .duplicate = 1,
				     .mtu = 1,
				     .blackout = true};
	open_way();
	send_arp();
	ck_assert_uint_eq(forward.n, 1);
	ck_assert_uint_eq(counters()->neighbour, 1);
	ck_assert_uint_eq(counters()->packets_in, 0);
}
END_TEST

START_TEST(queue_keeps_its_bytes_when_the_rate_falls)
{
	settings.rate_bps = 80000000; /* 0.1 ms a packet */
	open_way();
	send_frames(101, 0, true);
	run_to(now + 5 * MS); /* 50 sent, one half served */
	settings.rate_bps = 8000000;
	set();
	ck_assert_uint_eq(oneway_queued_bytes(way), 51 * IP_BYTES);
	run_to(now + 51 * MS);
	ck_assert_uint_eq(forward.n, 101);
	ck_assert_int_eq(forward.last, NSEC_PER_SEC + 5 * MS + 51 * MS);
}
END_TEST

START_TEST(memory_is_bounded_and_comes_back)
{
	settings.delay = NSEC_PER_SEC;
	open_way();
	send_frames(PACKETS + 10, 0, true);
	ck_assert_uint_eq(counters()->memory_drops, 10);
	run_to(now + NSEC_PER_SEC);
	ck_assert_uint_eq(forward.n, PACKETS);
	send_frames(PACKETS, 0, true);
	ck_assert_uint_eq(counters()->memory_drops, 10);
}
END_TEST

START_TEST(same_seed_takes_the_same_decisions)
{
	unsigned first;

	settings.loss = 0.1;
	settings.duplicate = 0.1;
	open_way();
	send_frames(1000, 1, true);
	first = forward.n;
	teardown();
	forward.n = 0;
	open_way();
	send_frames(1000, 1, true);
	ck_assert_uint_eq(forward.n, first);
}
END_TEST

START_TEST(every_packet_is_accounted_for)
{
	const struct oneway_counters *c;

	settings = (struct settings){.rate_bps = 16000000,
				     .queue_ns = 10 * MS,
				     .delay = 5 * MS,
				     .jitter = 3 * MS,
				     .reorder = 0.02,
				     .reorder_by = MS,
				     .loss = 0.02,
				     .burst_enter = 0.01,
				     .burst_leave = 0.3,
				     .burst_loss = 0.9,
				     .duplicate = 0.05,
				     .corrupt = 0.05};
	open_way();
	send_frames(20000, 450 * NSEC_PER_USEC, true);
	run_to(now + NSEC_PER_SEC);
	c = counters();
	ck_assert_uint_eq(c->packets_in, 20000);
	ck_assert_uint_eq(c->packets_out, forward.n);
	ck_assert_uint_eq(c->packets_in + c->duplicated,
			  c->packets_out + c->lost + c->lost_in_bursts + c->queue_drops);
	ck_assert_uint_eq(oneway_queued_bytes(way), 0);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("oneway");
	TCase *t = tcase_create("oneway");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, plain_wire_passes_at_once);
	tcase_add_test(t, overload_leaves_at_the_rate);
	tcase_add_test(t, delay_adds_to_the_time_of_service);
	tcase_add_test(t, random_loss_is_of_the_share_asked_for);
	tcase_add_test(t, lost_packets_take_their_share_of_the_rate);
	tcase_add_test(t, bursts_are_of_the_share_and_length_asked_for);
	tcase_add_test(t, duplicates_follow_their_originals);
	tcase_add_test(t, corruption_breaks_the_checksum_and_no_other);
	tcase_add_test(t, too_big_is_refused_with_an_answer);
	tcase_add_test(t, too_big_without_df_is_fragmented);
	tcase_add_test(t, blackout_takes_what_comes_and_what_is_under_way);
	tcase_add_test(t, neighbour_traffic_passes_whatever_the_settings);
	tcase_add_test(t, queue_keeps_its_bytes_when_the_rate_falls);
	tcase_add_test(t, memory_is_bounded_and_comes_back);
	tcase_add_test(t, same_seed_takes_the_same_decisions);
	tcase_add_test(t, every_packet_is_accounted_for);
	suite_add_tcase(s, t);
	return s;
}
