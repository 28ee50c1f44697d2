/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/resend.h"

#include <string.h>

#include "check_main.h"
#include "wire/frame.h"
#include "wire/wg.h"

#define T0 (1000 * NSEC_PER_SEC)
#define CELLS 4
#define STRIDE 1000
#define SESSION 0xfffefdfc
#define NEXT_SESSION 5

static struct pool *cells, *bursts;
static struct resend resend;
static struct path paths[2];

static void setup(void)
{
	ck_assert_int_eq(pool_new(&cells, CELLS, STORE_CELL_BYTES), 0);
	ck_assert_int_eq(pool_new(&bursts, 4, sizeof(struct burst) + BURST_BYTES_MAX), 0);
	resend_init(&resend, cells);
	for (uint8_t i = 0; i < 2; i++) {
		paths[i].id = i + 1U;
		atomic_init(&paths[i].epoch, paths[i].id);
		paths[i].slot = i;
	}
}

static void teardown(void)
{
	resend_deinit(&resend);
	ck_assert_uint_eq(pool_available(cells), CELLS);
	ck_assert_uint_eq(pool_available(bursts), 4);
	pool_free(cells);
	pool_free(bursts);
}

/* A sealed burst of `n` datagrams, the last one shorter; each byte of content tells its counter. */
static struct burst *make_burst(uint32_t session, uint64_t first, uint32_t n)
{
	struct burst *b = burst_take(bursts);

	ck_assert_ptr_nonnull(b);
	b->stride = STRIDE;
	b->n = n;
	b->len = n * STRIDE - 100;
	for (uint32_t i = 0; i < n; i++) {
		const struct wg_data header = {
			.type = le32_make(MESSAGE_DATA),
			.receiver_index = le32_make(session),
			.counter = le64_make(first + i),
		};

		memset(burst_datagram(b, i), (int)(first + i), burst_datagram_len(b, i));
		memcpy(burst_datagram(b, i), &header, sizeof(header));
	}
	return b;
}

static void keep_at(unsigned path, uint32_t session, uint64_t first, uint32_t n, nsec_t at)
{
	struct burst *b = make_burst(session, first, n);

	resend_keep(&resend, &paths[path], b, at);
	burst_put(b);
}

static void keep(unsigned path, uint64_t first, uint32_t n)
{
	keep_at(path, SESSION, first, n, T0);
}

/* Takes out all that is to be sent again; its counters, in this order, are just those. */
static void check_again(uint32_t dead, const uint64_t *counters, size_t n)
{
	struct resend_item item;
	size_t got = 0;

	while (resend_next(&resend, dead, T0, &item)) {
		const struct store_run *run = &item.run;
		size_t len = run->n == 1 ? run->len : run->stride;
		struct wg_data header;

		ck_assert_uint_lt(got, n);
		memcpy(&header, run->data, sizeof(header));
		ck_assert_uint_eq(run->first, counters[got]);
		ck_assert_uint_eq(le64_get(header.counter), counters[got]);
		ck_assert_uint_eq(le32_get(header.receiver_index), run->session);
		for (size_t i = sizeof(header); i < len; i++)
			ck_assert_uint_eq(run->data[i], (uint8_t)counters[got]);
		/* One at a time, so that a run that is sent in parts is tried too. */
		resend_done(&resend, &item, 1, len, 1, T0);
		got++;
	}
	ck_assert_uint_eq(got, n);
}

#define ck_assert_again(dead, ...)                                                                 \
	do {                                                                                       \
		const uint64_t expected_[] = {__VA_ARGS__};                                        \
		check_again(dead, expected_, sizeof(expected_) / sizeof(expected_[0]));            \
	} while (0)
#define ck_assert_nothing(dead) check_again(dead, NULL, 0)

START_TEST(what_a_dead_path_took_along_is_sent_again_once)
{
	keep(0, 0, 3);
	keep(1, 3, 2);
	keep(0, 5, 2);
	ck_assert_nothing(0);
	ck_assert_again(1 << 0, 0, 1, 2, 5, 6);
	ck_assert_nothing(1 << 0);
	ck_assert_again(1 << 1, 3, 4);
	ck_assert_uint_eq(atomic_load(&resend.packets), 7);
}
END_TEST

START_TEST(what_was_reported_is_not)
{
	keep(0, 0, 3);
	keep(0, 3, 3);
	resend_reported(&resend, &paths[0], SESSION, 3);
	ck_assert_again(1 << 0, 4, 5);
	keep(0, 6, 2);
	resend_reported(&resend, &paths[0], SESSION, 7);
	ck_assert_uint_eq(resend.outstanding, 0);
	ck_assert_nothing(1 << 0);
}
END_TEST

START_TEST(an_old_report_does_not_bring_back_what_was_sent_again)
{
	keep(0, 0, 6);
	ck_assert_again(1 << 0, 0, 1, 2, 3, 4, 5);
	resend_reported(&resend, &paths[0], SESSION, 2);
	keep(0, 6, 1);
	ck_assert_again(1 << 0, 6);
}
END_TEST

START_TEST(a_new_session_is_behind_the_old_one)
{
	keep(0, 100, 2);
	resend_reported(&resend, &paths[0], SESSION, 100);
	keep_at(0, NEXT_SESSION, 0, 2, T0);
	ck_assert_again(1 << 0, 101, 0, 1);
}
END_TEST

START_TEST(a_path_in_the_slot_of_another_begins_anew)
{
	struct path successor = {.id = 9, .slot = 0};
	struct burst *b = make_burst(SESSION, 3, 1);

	keep(0, 0, 3);
	resend_keep(&resend, &successor, b, T0);
	burst_put(b);
	resend_reported(&resend, &paths[0], SESSION, 3);
	ck_assert_again(1 << 0, 3);
}
END_TEST

START_TEST(what_the_peer_asks_for_is_sent_again)
{
	keep(0, 0, 4);
	keep(1, 4, 4);
	resend_reported(&resend, &paths[0], SESSION, 3);
	resend_reported(&resend, &paths[1], SESSION, 7);
	ck_assert(resend_want(&resend, SESSION, 2, 4));
	ck_assert(resend_want(&resend, SESSION, 7, 1));
	ck_assert_again(0, 2, 3, 4, 5, 7);
	ck_assert(!resend_is_wanted(&resend));
	ck_assert_uint_eq(atomic_load(&resend.refused), 0);
}
END_TEST

START_TEST(what_is_sent_again_anyway_need_not_be_asked_for)
{
	struct resend_item item;

	keep(0, 0, 4);
	keep(1, 4, 2);
	keep(0, 6, 2);
	ck_assert(resend_want(&resend, SESSION, 1, 6));
	ck_assert_again(1 << 0, 4, 5, 0, 1, 2, 3, 6, 7);
	/* What has been, may be asked for. */
	keep(0, 8, 3);
	ck_assert(resend_next(&resend, 1 << 0, T0, &item));
	resend_done(&resend, &item, 1, STRIDE, 1, T0);
	ck_assert(resend_want(&resend, SESSION, 7, 4));
	ck_assert_again(1 << 0, 7, 8, 9, 10);
	ck_assert_uint_eq(atomic_load(&resend.refused), 0);
}
END_TEST

/* Its first report tells the peer, too, what is missing; if it was only slow, nothing is. */
START_TEST(what_a_path_that_is_back_has_lost_is_sent_again_when_asked_for)
{
	struct resend_item item;

	keep(0, 0, 6);
	ck_assert(resend_next(&resend, 1 << 0, T0, &item));
	resend_done(&resend, &item, 2, 2 * STRIDE, 1, T0);
	resend_reported(&resend, &paths[0], SESSION, 9);
	ck_assert_nothing(1 << 0);
	ck_assert(resend_want(&resend, SESSION, 2, 4));
	ck_assert_again(0, 2, 3, 4, 5);
	ck_assert_uint_eq(atomic_load(&resend.refused), 0);
}
END_TEST

/* Of four packets that went over slot 0, the two in the middle: asked for, and sent again. */
static void send_two_again(uint8_t slot, nsec_t until)
{
	struct resend_item item;

	keep(0, 0, 4);
	ck_assert(resend_want(&resend, SESSION, 1, 2));
	ck_assert(resend_next(&resend, 0, T0, &item));
	ck_assert_uint_eq(item.run.n, 2);
	resend_done(&resend, &item, 2, 2 * STRIDE, slot, until);
}

/* It comes, if only later than the peer thinks. */
START_TEST(what_may_be_on_its_way_is_not_sent_again)
{
	struct resend_item item;

	send_two_again(1, T0 + 10);
	ck_assert(resend_want(&resend, SESSION, 0, 4));
	ck_assert_again(0, 0, 3);
	ck_assert(resend_want(&resend, SESSION, 2, 2));
	ck_assert_nothing(0);
	ck_assert(resend_want(&resend, SESSION, 2, 2));
	ck_assert(resend_next(&resend, 0, T0 + 10, &item));
	ck_assert_uint_eq(item.run.first, 2);
	ck_assert_uint_eq(atomic_load(&resend.refused), 0);
}
END_TEST

/* Before anybody knew that the path is dead. */
START_TEST(what_was_asked_for_is_not_sent_again_for_its_dead_path)
{
	send_two_again(1, T0);
	ck_assert_again(1 << 0, 0, 3);
	ck_assert_uint_eq(resend.outstanding, 0);
}
END_TEST

/* ... unless that went over the very path, or another one that is dead now. */
START_TEST(what_was_asked_for_and_went_over_a_dead_path_is_sent_again)
{
	send_two_again(0, T0 + 10);
	ck_assert_again(1 << 0, 0, 1, 2, 3);
}
END_TEST

START_TEST(what_is_not_there_is_refused)
{
	keep(0, 10, 2);
	ck_assert(resend_want(&resend, SESSION, 8, 6));
	ck_assert(resend_want(&resend, NEXT_SESSION, 10, 1));
	ck_assert(resend_want(&resend, SESSION, UINT64_MAX - 1, 1));
	ck_assert(!resend_want(&resend, SESSION, UINT64_MAX - 1, 3));
	ck_assert_again(0, 10, 11);
	ck_assert_uint_eq(atomic_load(&resend.refused), 2 + 2 + 1 + 1 + 3);
}
END_TEST

/* Who asks for much that is gone gets few packets for it. */
START_TEST(what_is_refused_is_told_in_few_packets)
{
	uint8_t buf[FRAME_PACKET_MAX];
	size_t offset = 0;
	struct frame f;
	size_t len;

	for (uint64_t i = 0; i < 40; i++)
		ck_assert(resend_want(&resend, i < 2 ? NEXT_SESSION : SESSION, 2 * i, 1));
	ck_assert_nothing(0);
	len = resend_write_gone(&resend, SESSION, buf, sizeof(buf));
	for (uint64_t i = 39; i > 7; i--) {
		ck_assert_int_eq(frame_read(buf, len, &offset, &f), 1);
		ck_assert_int_eq(f.type, FRAME_APART);
		ck_assert_uint_eq(f.apart.counter, 2 * i);
		ck_assert_uint_eq(f.apart.n, 1);
	}
	ck_assert_uint_eq(offset, sizeof(buf));
	ck_assert_uint_eq(resend_write_gone(&resend, SESSION, buf, sizeof(buf)), 6 * 16);
	ck_assert_uint_eq(resend_write_gone(&resend, SESSION, buf, sizeof(buf)), 0);
}
END_TEST

START_TEST(a_peer_cannot_ask_for_all_over_and_over)
{
	struct resend_item item;
	uint64_t bytes = 0;

	for (uint64_t i = 0; i < 60; i += 30)
		keep(0, i, 30);
	for (unsigned i = 0; i < 100; i++) {
		resend_want(&resend, SESSION, 0, 60);
		while (resend_next(&resend, 0, T0, &item)) {
			bytes += item.run.len;
			resend_done(&resend, &item, item.run.n, item.run.len, 1, T0);
		}
	}
	ck_assert_uint_le(bytes, RESEND_CREDIT_MAX + BURST_BYTES_MAX);
	ck_assert_uint_ge(bytes, RESEND_CREDIT_MAX - BURST_BYTES_MAX);
	for (unsigned i = 0; i < RESEND_WANTED; i++)
		ck_assert(resend_want(&resend, SESSION, 0, 1));
	ck_assert(!resend_want(&resend, SESSION, 0, 1));
}
END_TEST

START_TEST(the_oldest_is_forgotten_when_the_memory_is_used_up)
{
	/* Each cell has room for 32 of these. */
	for (uint64_t i = 0; i < 200; i += 10)
		keep(0, i, 10);
	ck_assert(resend_want(&resend, SESSION, 0, 1));
	ck_assert(resend_want(&resend, SESSION, 199, 1));
	ck_assert_again(0, 199);
	ck_assert_uint_eq(pool_available(cells), 0);
}
END_TEST

/* Two paths, of which one's packets are given late, and a new session: in any cell. */
START_TEST(what_is_asked_for_is_found_wherever_it_lies)
{
	for (uint64_t i = 0; i < 40; i += 4) {
		keep(0, i + 2, 2);
		keep(1, i > 10 ? i - 10 : 100 + i, 1);
	}
	for (uint64_t i = 0; i < 40; i += 4)
		keep_at(0, NEXT_SESSION, i, 2, T0);
	for (uint64_t i = 20; i < 40; i += 4) {
		ck_assert(resend_want(&resend, SESSION, i + 3, 1));
		ck_assert(resend_want(&resend, NEXT_SESSION, i, 1));
		ck_assert_again(0, i + 3, i);
	}
	ck_assert_uint_eq(atomic_load(&resend.refused), 0);
}
END_TEST

/* What was reported last lies in a cell before one with lower counters. */
START_TEST(what_is_reported_is_found_before_lower_counters)
{
	keep(0, 50, 30);
	resend_reported(&resend, &paths[0], SESSION, 60);
	keep(1, 0, 30);
	keep(0, 80, 2);
	keep_at(0, NEXT_SESSION, 5, 1, T0);
	ck_assert_again(1 << 0, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77,
			78, 79, 80, 81, 5);
}
END_TEST

START_TEST(what_is_old_is_forgotten)
{
	keep_at(0, SESSION, 0, 30, T0);
	keep_at(0, SESSION, 30, 30, T0 + STORE_AGE / 2);
	ck_assert_int_eq(store_deadline(&resend.store), T0 + STORE_AGE / 2 + STORE_AGE);
	store_expire(&resend.store, T0 + STORE_AGE);
	ck_assert_uint_lt(pool_available(cells), CELLS);
	store_expire(&resend.store, T0 + 2 * STORE_AGE);
	ck_assert_uint_eq(pool_available(cells), CELLS);
	ck_assert_int_eq(store_deadline(&resend.store), NSEC_NEVER);
	ck_assert_nothing(1 << 0);
	ck_assert_uint_eq(resend.outstanding, 0);
}
END_TEST

START_TEST(without_memory_nothing_is_kept)
{
	struct resend none;
	struct resend_item item;
	struct burst *b = make_burst(SESSION, 0, 1);

	resend_init(&none, NULL);
	resend_keep(&none, &paths[0], b, T0);
	burst_put(b);
	ck_assert(!resend_next(&none, 1 << 0, T0, &item));
	resend_deinit(&none);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("resend");
	TCase *t = tcase_create("resend");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_a_dead_path_took_along_is_sent_again_once);
	tcase_add_test(t, what_was_reported_is_not);
	tcase_add_test(t, an_old_report_does_not_bring_back_what_was_sent_again);
	tcase_add_test(t, a_new_session_is_behind_the_old_one);
	tcase_add_test(t, a_path_in_the_slot_of_another_begins_anew);
	tcase_add_test(t, what_the_peer_asks_for_is_sent_again);
	tcase_add_test(t, what_is_sent_again_anyway_need_not_be_asked_for);
	tcase_add_test(t, what_a_path_that_is_back_has_lost_is_sent_again_when_asked_for);
	tcase_add_test(t, what_may_be_on_its_way_is_not_sent_again);
	tcase_add_test(t, what_was_asked_for_is_not_sent_again_for_its_dead_path);
	tcase_add_test(t, what_was_asked_for_and_went_over_a_dead_path_is_sent_again);
	tcase_add_test(t, what_is_not_there_is_refused);
	tcase_add_test(t, what_is_refused_is_told_in_few_packets);
	tcase_add_test(t, a_peer_cannot_ask_for_all_over_and_over);
	tcase_add_test(t, the_oldest_is_forgotten_when_the_memory_is_used_up);
	tcase_add_test(t, what_is_asked_for_is_found_wherever_it_lies);
	tcase_add_test(t, what_is_reported_is_found_before_lower_counters);
	tcase_add_test(t, what_is_old_is_forgotten);
	tcase_add_test(t, without_memory_nothing_is_kept);
	suite_add_tcase(s, t);
	return s;
}
