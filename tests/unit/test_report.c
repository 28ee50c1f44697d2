/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/report.h"

#include "check_main.h"

#define MS NSEC_PER_MSEC
#define SLOT 3
#define SESSION 7

START_TEST(nothing_new_is_not_reported)
{
	const struct reporter r = {0};

	ck_assert_int_eq(reporter_deadline(&r), NSEC_NEVER);
}
END_TEST

/* What makes it come needs the CPU first, and what comes meanwhile is told with it. */
START_TEST(a_packet_is_reported_a_little_later)
{
	struct reporter r = {0};

	reporter_note(&r, SLOT, SESSION, 1, 100, 50 * MS);
	ck_assert_int_eq(reporter_deadline(&r), 50 * MS + REPORT_DELAY);
	reporter_note(&r, SLOT, SESSION, 2, 100, 51 * MS);
	ck_assert_int_eq(reporter_deadline(&r), 50 * MS + REPORT_DELAY);
}
END_TEST

START_TEST(the_next_report_keeps_its_distance)
{
	struct reporter r = {.next = 100 * MS};

	reporter_note(&r, SLOT, SESSION, 1, 100, 96 * MS);
	ck_assert_int_eq(reporter_deadline(&r), 100 * MS);
}
END_TEST

START_TEST(many_bytes_are_reported_at_once)
{
	struct reporter r = {.next = 100 * MS};

	for (uint64_t i = 1; i <= REPORT_BYTES / (32 << 10); i++) {
		ck_assert_int_eq(reporter_deadline(&r), i == 1 ? NSEC_NEVER : 100 * MS);
		reporter_note(&r, SLOT, SESSION, i, 32 << 10, 96 * MS);
	}
	ck_assert_int_le(reporter_deadline(&r), 96 * MS);
}
END_TEST

/* Of a path that is found dead the others tell soon; but not with each report of a fast one. */
START_TEST(all_paths_are_taken_now_and_then)
{
	struct reporter r = {0};
	unsigned n_slow = 0;
	unsigned n_fast = 0;
	nsec_t now = 50 * MS;

	ck_assert(reporter_takes_all(&r, now));
	for (unsigned i = 0; i < 10 * REPORT_TURNS; i++)
		n_slow += reporter_takes_all(&r, now += REPORT_INTERVAL);
	ck_assert_uint_eq(n_slow, 10);
	for (nsec_t end = now + 10 * REPORT_INTERVAL; now < end;)
		n_fast += reporter_takes_all(&r, now += REPORT_INTERVAL / 20);
	ck_assert_uint_eq(n_fast, 10);
}
END_TEST

/* Sparse data has no more of its reports copied than other. */
START_TEST(few_reports_take_all_paths_however_rare_they_are)
{
	struct reporter r = {0};
	unsigned n = 0;

	for (nsec_t i = 0; i < 10 * REPORT_TURNS; i++)
		n += reporter_takes_all(&r, i * NSEC_PER_SEC);
	ck_assert_uint_eq(n, 10);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("report");
	TCase *t = tcase_create("when");

	tcase_add_test(t, nothing_new_is_not_reported);
	tcase_add_test(t, a_packet_is_reported_a_little_later);
	tcase_add_test(t, the_next_report_keeps_its_distance);
	tcase_add_test(t, many_bytes_are_reported_at_once);
	tcase_add_test(t, all_paths_are_taken_now_and_then);
	tcase_add_test(t, few_reports_take_all_paths_however_rare_they_are);
	suite_add_tcase(s, t);
	return s;
}
