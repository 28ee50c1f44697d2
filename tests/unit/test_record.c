/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include <string.h>

#include "util/record.h"

static struct record r;

static void begin(void)
{
	record_init(&r, "path_down");
}

static void expect_line(const char *expected)
{
	char line[1024];

	ck_assert_uint_eq(record_write(&r, line, sizeof(line)), strlen(expected));
	ck_assert_str_eq(line, expected);
}

START_TEST(fields_come_back_in_their_order)
{
	struct record_field f;
	size_t pos = 0;

	record_add(&r, "link", "lte/5g");
	record_number(&r, "rtt_ms", "%.1f", 12.5);
	ck_assert(record_next(&r, &pos, &f));
	ck_assert_str_eq(f.key, "link");
	ck_assert_str_eq(f.value, "lte/5g");
	ck_assert(!f.is_number);
	ck_assert(record_next(&r, &pos, &f));
	ck_assert_str_eq(f.key, "rtt_ms");
	ck_assert_str_eq(f.value, "12.5");
	ck_assert(f.is_number);
	ck_assert(!record_next(&r, &pos, &f));
	ck_assert_str_eq(record_find(&r, "rtt_ms"), "12.5");
	ck_assert_ptr_null(record_find(&r, "state"));
}
END_TEST

START_TEST(line_can_be_split_at_blanks)
{
	record_add(&r, "link", "wifi");
	record_add(&r, "reason", "no answer");
	record_add(&r, "name", "");
	record_add(&r, "odd", "a\"b\\c\n\x1b=");
	expect_line("link=wifi reason=\"no answer\" name=\"\" odd=\"a\\\"b\\\\c?"
		    "?=\"");
}
END_TEST

START_TEST(line_is_cut_where_there_is_no_room)
{
	char line[8];

	record_add(&r, "link", "wifi");
	ck_assert_uint_eq(record_write(&r, line, sizeof(line)), 7);
	ck_assert_str_eq(line, "link=wi");
}
END_TEST

START_TEST(field_without_room_is_left_out_whole)
{
	char value[2 * RECORD_VALUE_MAX];

	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (int i = 0; i < 100; i++)
		record_add(&r, "key", value);
	ck_assert_uint_eq(strlen(record_find(&r, "key")), RECORD_VALUE_MAX);
	record_add(&r, "last", "1");
	ck_assert_str_eq(record_find(&r, "last"), "1");
	for (int i = 0; i < 100; i++)
		record_add(&r, "k", "v");
	record_add(&r, "none", "1");
	ck_assert_ptr_null(record_find(&r, "none"));
	ck_assert_uint_le(r.len, sizeof(r.text));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("record");
	TCase *c = tcase_create("record");

	tcase_add_checked_fixture(c, begin, NULL);
	tcase_add_test(c, fields_come_back_in_their_order);
	tcase_add_test(c, line_can_be_split_at_blanks);
	tcase_add_test(c, line_is_cut_where_there_is_no_room);
	tcase_add_test(c, field_without_room_is_left_out_whole);
	suite_add_tcase(suite, c);
	return suite;
}
