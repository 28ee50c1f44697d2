/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include <errno.h>

#include "schedule.h"

#define SEC NSEC_PER_SEC

static struct schedule schedule;

static void teardown(void)
{
	schedule_deinit(&schedule);
}

static int read_text(char *text, unsigned *ret_line)
{
	FILE *file = fmemopen(text, strlen(text), "r");
	int r = schedule_read(&schedule, file, ret_line);

	fclose(file);
	return r;
}

static void due_is(nsec_t now, const char *word)
{
	const char *line = schedule_due(&schedule, now);

	ck_assert_ptr_nonnull(line);
	ck_assert_msg(strstr(line, word), "'%s' is not in '%s'", word, line);
}

START_TEST(empty_schedule_has_nothing_due)
{
	schedule_start(&schedule, 0);
	ck_assert_int_eq(schedule_next(&schedule), NSEC_NEVER);
	ck_assert_ptr_null(schedule_due(&schedule, SEC));
}
END_TEST

START_TEST(lines_are_due_once_each_at_their_times)
{
	char text[] = "# comment\n\n1s rate=1mbit # slow\n1500ms rate=2mbit delay=1ms\n";
	unsigned line;

	ck_assert_int_eq(read_text(text, &line), 0);
	schedule_start(&schedule, 10 * SEC);
	ck_assert_int_eq(schedule_next(&schedule), 11 * SEC);
	ck_assert_ptr_null(schedule_due(&schedule, 11 * SEC - 1));
	due_is(11 * SEC, "rate=1mbit");
	ck_assert_ptr_null(schedule_due(&schedule, 11 * SEC));
	due_is(12 * SEC, "rate=2mbit");
	ck_assert_int_eq(schedule_next(&schedule), NSEC_NEVER);
}
END_TEST

START_TEST(missed_lines_are_due_in_order)
{
	ck_assert_int_eq(schedule_add(&schedule, "1s loss=1%"), 0);
	ck_assert_int_eq(schedule_add(&schedule, "2s loss=2%"), 0);
	schedule_start(&schedule, 0);
	due_is(SEC * 5, "loss=1%");
	due_is(SEC * 5, "loss=2%");
	ck_assert_ptr_null(schedule_due(&schedule, SEC * 5));
}
END_TEST

START_TEST(repeat_begins_again_without_drifting)
{
	ck_assert_int_eq(schedule_add(&schedule, "4s rate=20mbit"), 0);
	ck_assert_int_eq(schedule_add(&schedule, "8s rate=100mbit"), 0);
	ck_assert_int_eq(schedule_add(&schedule, "repeat 8s"), 0);
	schedule_start(&schedule, SEC);
	for (nsec_t turn = 0; turn < 5; turn++) {
		nsec_t start = SEC + turn * 8 * SEC;

		ck_assert_int_eq(schedule_next(&schedule), start + 4 * SEC);
		due_is(start + 4 * SEC + 12345, "20mbit");
		due_is(start + 8 * SEC + 12345, "100mbit");
	}
}
END_TEST

START_TEST(start_begins_anew)
{
	ck_assert_int_eq(schedule_add(&schedule, "1s loss=1%"), 0);
	schedule_start(&schedule, 0);
	due_is(SEC, "loss=1%");
	schedule_start(&schedule, 5 * SEC);
	ck_assert_int_eq(schedule_next(&schedule), 6 * SEC);
}
END_TEST

START_TEST(wrong_lines_are_refused)
{
	static const char *const bad[] = {
		"loss=1%",   "1s speed=2", "x loss=1%",	   "1s loss=x",	 "repeat",
		"repeat 0s", "repeat 1s",  "repeat 8s 9s", "2s loss=1%",
	};

	ck_assert_int_eq(schedule_add(&schedule, "3s loss=1%"), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(schedule_add(&schedule, bad[i]) < 0, "%s", bad[i]);
	ck_assert_uint_eq(schedule.used, 1);
	ck_assert_int_eq(schedule.repeat, 0);
}
END_TEST

START_TEST(nothing_comes_after_the_repeat)
{
	ck_assert_int_eq(schedule_add(&schedule, "repeat 2s"), 0);
	ck_assert_int_eq(schedule_add(&schedule, "3s loss=1%"), -EINVAL);
}
END_TEST

START_TEST(wrong_line_of_a_file_is_numbered)
{
	char text[] = "1s loss=1%\n# fine\n2s lost=1%\n3s loss=2%\n";
	unsigned line;

	ck_assert_int_eq(read_text(text, &line), -ENOENT);
	ck_assert_uint_eq(line, 3);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("schedule");
	TCase *t = tcase_create("schedule");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, empty_schedule_has_nothing_due);
	tcase_add_test(t, lines_are_due_once_each_at_their_times);
	tcase_add_test(t, missed_lines_are_due_in_order);
	tcase_add_test(t, repeat_begins_again_without_drifting);
	tcase_add_test(t, start_begins_anew);
	tcase_add_test(t, wrong_lines_are_refused);
	tcase_add_test(t, nothing_comes_after_the_repeat);
	tcase_add_test(t, wrong_line_of_a_file_is_numbered);
	suite_add_tcase(s, t);
	return s;
}
