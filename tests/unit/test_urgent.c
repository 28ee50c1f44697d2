/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/urgent.h"

#include "check_main.h"
#include "packets.h"

#define T0 (1000 * NSEC_PER_SEC)
/* A share of 1 MB a second is 50 bytes a millisecond. */
#define RATE 1e6

static struct urgent *urgent;
static struct sparse flows[SPARSE_FLOWS];
static nsec_t now;
static uint8_t packet[1500];

static void setup(void)
{
	now = T0;
	memset(flows, 0, sizeof(flows));
	ck_assert_int_eq(urgent_new(&urgent, now), 0);
}

static void teardown(void)
{
	urgent_free(urgent);
}

/* One of a UDP flow that is told by its source port. */
static bool is_urgent(uint16_t port, size_t len)
{
	memset(packet, 0, sizeof(packet));
	packet[0] = 0x45;
	put16(packet + 2, (uint32_t)len);
	packet[9] = IPPROTO_UDP;
	put16(packet + 20, port);
	put16(packet + 22, 2000);
	return urgent_is(flows, packet, len, now);
}

static bool copy(uint64_t bytes)
{
	bool may_copy = urgent_may_copy(urgent, 1, bytes, RATE, now);

	if (may_copy)
		urgent_copied(urgent, 1, bytes);
	return may_copy;
}

START_TEST(small_packets_now_and_then_are_urgent)
{
	for (int i = 0; i < 100; i++) {
		ck_assert(is_urgent(1000, 200));
		now += 20 * NSEC_PER_MSEC;
	}
}
END_TEST

START_TEST(flow_with_large_packets_is_not_until_it_has_paused)
{
	ck_assert(!is_urgent(1000, 1400));
	ck_assert(!is_urgent(1000, 60));
	now += SPARSE_AGE + 1;
	ck_assert(is_urgent(1000, 60));
}
END_TEST

START_TEST(flow_of_many_small_packets_is_not)
{
	for (int i = 0; i < SPARSE_PACKETS; i++)
		ck_assert(is_urgent(1000, 60));
	ck_assert(!is_urgent(1000, 60));
	ck_assert(is_urgent(1001, 60));
}
END_TEST

START_TEST(names_are_whatever_their_size)
{
	for (int i = 0; i < 100; i++) {
		ck_assert(is_urgent(53, 1200));
		now += 10 * NSEC_PER_MSEC;
	}
}
END_TEST

/* Urgent packets wait for no pace, so that a flood of them would starve all others. */
START_TEST(flood_is_not_urgent_whatever_it_says)
{
	unsigned n = 0;

	for (int i = 0; i < 10000; i++) {
		n += is_urgent(53, 1200);
		now += NSEC_PER_MSEC / 10;
	}
	ck_assert_uint_le(n, 11 * URGENT_FLOW_BYTES / 1200);
}
END_TEST

START_TEST(copies_take_no_more_than_their_share)
{
	uint64_t bytes = 0;

	for (int i = 0; i < 10000; i++) {
		bytes += copy(500) ? 500 : 0;
		now += NSEC_PER_MSEC;
	}
	ck_assert_uint_le(bytes, URGENT_CREDIT_MAX + (uint64_t)(10 * RATE) / URGENT_SHARE);
	ck_assert_uint_ge(bytes, (uint64_t)(10 * RATE) / URGENT_SHARE * 99 / 100);
	ck_assert_uint_eq(atomic_load(&urgent->bytes), bytes);
	ck_assert_uint_eq(atomic_load(&urgent->packets) + atomic_load(&urgent->refused), 10000);
}
END_TEST

START_TEST(share_that_was_not_used_is_not_saved_up)
{
	now += 3600 * NSEC_PER_SEC;
	ck_assert(copy(URGENT_CREDIT_MAX));
	ck_assert(!copy(500));
}
END_TEST

/* Less than a byte at a time adds up. */
START_TEST(share_is_earned_however_often_it_is_asked_for)
{
	ck_assert(copy(URGENT_CREDIT_MAX));
	for (int i = 0; i < 10000; i++) {
		now += NSEC_PER_MSEC / 1000;
		urgent_may_copy(urgent, 1, URGENT_CREDIT_MAX, RATE, now);
	}
	ck_assert_uint_ge(urgent->credit, 450);
	ck_assert_uint_le(urgent->credit, 500);
}
END_TEST

/* However their hashes fall. */
START_TEST(bulk_of_others_makes_no_flow_bulk)
{
	for (uint16_t call = 1; call <= 200; call++) {
		for (uint16_t i = 0; i < 4; i++)
			is_urgent((uint16_t)(5000 + 4 * call + i), 1400);
		ck_assert(is_urgent(call, 200));
		for (uint16_t i = 0; i < 4; i++)
			ck_assert(!is_urgent((uint16_t)(5000 + 4 * call + i), 100));
		ck_assert(is_urgent(call, 200));
		now += NSEC_PER_SEC;
	}
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("urgent");
	TCase *t = tcase_create("urgent");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, bulk_of_others_makes_no_flow_bulk);
	tcase_add_test(t, small_packets_now_and_then_are_urgent);
	tcase_add_test(t, flow_with_large_packets_is_not_until_it_has_paused);
	tcase_add_test(t, flow_of_many_small_packets_is_not);
	tcase_add_test(t, names_are_whatever_their_size);
	tcase_add_test(t, flood_is_not_urgent_whatever_it_says);
	tcase_add_test(t, copies_take_no_more_than_their_share);
	tcase_add_test(t, share_that_was_not_used_is_not_saved_up);
	tcase_add_test(t, share_is_earned_however_often_it_is_asked_for);
	suite_add_tcase(s, t);
	return s;
}
