/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include <stdio.h>
#include <string.h>

#include "util/memory.h"

/* Of this process, in KB. */
static long resident_of_files(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[256];
	long kb = -1;

	ck_assert_ptr_nonnull(status);
	while (fgets(line, sizeof(line), status))
		sscanf(line, "RssFile: %ld", &kb);
	fclose(status);
	return kb;
}

/* The value is what the program was built with, and what it has written stays. */
START_TEST(trimmed_program_is_smaller_and_runs_on)
{
	static const char constant[] = "what the file has";
	static char written[4096];
	long before = resident_of_files();

	memset(written, 7, sizeof(written));
	memory_trim();
	ck_assert_int_lt(resident_of_files(), before);
	ck_assert_str_eq(constant, "what the file has");
	for (size_t i = 0; i < sizeof(written); i++)
		ck_assert_int_eq(written[i], 7);
	memory_trim();
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("memory");
	TCase *t = tcase_create("memory");

	tcase_add_test(t, trimmed_program_is_smaller_and_runs_on);
	suite_add_tcase(s, t);
	return s;
}
