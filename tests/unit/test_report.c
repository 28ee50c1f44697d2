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

static Suite *make_suite(void)
{
	Suite *s = suite_create("report");
	TCase *t = tcase_create("when");

	tcase_add_test(t, nothing_new_is_not_reported);
	tcase_add_test(t, a_packet_is_reported_a_little_later);
	tcase_add_test(t, the_next_report_keeps_its_distance);
	tcase_add_test(t, many_bytes_are_reported_at_once);
	suite_add_tcase(s, t);
	return s;
}
