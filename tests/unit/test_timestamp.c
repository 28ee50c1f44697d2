/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/stamp_file.h"
#include "peers/timestamp.h"

#define WALL (1700000000 * NSEC_PER_SEC)

static char directory[] = "/tmp/vtrunkd-timestamp-XXXXXX";
static char path[sizeof(directory) + 16];

static void setup(void)
{
	strcpy(directory + sizeof(directory) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/stamp", directory);
}

static void teardown(void)
{
	unlink(path);
	ck_assert_int_eq(rmdir(directory), 0); /* so nothing temporary is left either */
}

static void write_text(const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static long long read_number(void)
{
	FILE *f = fopen(path, "r");
	long long value;
	char newline;

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%lld%c", &value, &newline), 2);
	ck_assert_int_eq(newline, '\n');
	fclose(f);
	return value;
}

static int store(void *ctx, nsec_t reserved)
{
	return stamp_file_store(ctx, reserved);
}

/* As a daemon does that keeps its time in `file`. */
static int begin(struct timestamp *t, const char *file, nsec_t wall)
{
	nsec_t saved = 0;
	int r = stamp_file_load(file, &saved);

	return r < 0 ? r : timestamp_init(t, saved, store, (void *)file, wall);
}

/* Takes the stamp after the last one and says whether it is later. */
static bool grows(struct timestamp *t, nsec_t wall, uint8_t last[NOISE_TIMESTAMP_LEN])
{
	uint8_t next[NOISE_TIMESTAMP_LEN];
	bool is_later;

	timestamp_next(t, wall, next);
	is_later = memcmp(next, last, sizeof(next)) > 0;
	memcpy(last, next, sizeof(next));
	return is_later;
}

START_TEST(stamps_grow_while_the_clock_stands_or_goes_back)
{
	uint8_t last[NOISE_TIMESTAMP_LEN] = {0};
	struct timestamp t;

	ck_assert_int_eq(timestamp_init(&t, 0, NULL, NULL, WALL), 0);
	for (unsigned i = 0; i < 200; i++)
		ck_assert(grows(&t, WALL, last));
	ck_assert(grows(&t, WALL - 3600 * NSEC_PER_SEC, last));
	ck_assert(grows(&t, WALL + 3600 * NSEC_PER_SEC, last));
}
END_TEST

START_TEST(stamp_is_the_time_of_day_when_the_clock_is_right)
{
	uint8_t stamp[NOISE_TIMESTAMP_LEN], expected[NOISE_TIMESTAMP_LEN];
	struct timestamp t;

	ck_assert_int_eq(begin(&t, path, WALL), 0);
	timestamp_next(&t, WALL + NSEC_PER_SEC, stamp);
	noise_timestamp(expected, WALL + NSEC_PER_SEC);
	ck_assert_mem_eq(stamp, expected, sizeof(stamp));
}
END_TEST

START_TEST(stamps_grow_over_a_restart_into_the_past)
{
	uint8_t last[NOISE_TIMESTAMP_LEN] = {0};
	struct timestamp t;

	for (unsigned start = 0; start < 3; start++) {
		/* each boot an hour earlier than the one before */
		nsec_t wall = WALL - start * 3600 * NSEC_PER_SEC;

		ck_assert_int_eq(begin(&t, path, wall), 0);
		for (unsigned i = 0; i < 10; i++)
			ck_assert(grows(&t, wall + i * 100 * NSEC_PER_SEC, last));
	}
}
END_TEST

START_TEST(file_is_ahead_of_all_stamps_and_written_seldom)
{
	uint8_t stamp[NOISE_TIMESTAMP_LEN];
	struct timestamp t;
	unsigned n_writes = 0;
	long long before;
	struct stat st;

	ck_assert_int_eq(begin(&t, path, WALL), 0);
	before = read_number();
	ck_assert_int_eq(before, WALL + TIMESTAMP_RESERVE);
	for (nsec_t wall = WALL; wall < WALL + 2 * TIMESTAMP_RESERVE; wall += NSEC_PER_SEC) {
		timestamp_next(&t, wall, stamp);
		n_writes += read_number() != before;
		before = read_number();
		ck_assert_int_gt(before, wall);
	}
	ck_assert_uint_eq(n_writes, 1);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
}
END_TEST

START_TEST(file_never_goes_back)
{
	struct timestamp t;
	long long before = 0;

	for (unsigned start = 0; start < 3; start++) {
		ck_assert_int_eq(begin(&t, path, WALL - start * 3600 * NSEC_PER_SEC), 0);
		/* no stamp was asked for */
		ck_assert_int_ge(read_number(), before);
		before = read_number();
	}
}
END_TEST

static const char *const damaged[] = {
	"",
	"\n",
	"x\n",
	"12",
	"12 \n",
	"-5\n",
	"12\n13\n",
	"99999999999999999999\n",
	"9223372036854775807\n",
};

START_TEST(damaged_file_is_replaced)
{
	struct timestamp t;

	write_text(damaged[_i]);
	ck_assert_int_eq(begin(&t, path, WALL), 0);
	ck_assert_int_eq(read_number(), WALL + TIMESTAMP_RESERVE);
}
END_TEST

START_TEST(directory_that_cannot_be_written_is_told_and_stamps_go_on)
{
	uint8_t last[NOISE_TIMESTAMP_LEN] = {0};
	struct timestamp t;

	ck_assert_int_eq(begin(&t, "/nonexistent/stamp", WALL), -ENOENT);
	ck_assert(grows(&t, WALL, last));
	ck_assert(grows(&t, WALL, last));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("timestamp");
	TCase *t = tcase_create("timestamp");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, stamps_grow_while_the_clock_stands_or_goes_back);
	tcase_add_test(t, stamp_is_the_time_of_day_when_the_clock_is_right);
	tcase_add_test(t, stamps_grow_over_a_restart_into_the_past);
	tcase_add_test(t, file_is_ahead_of_all_stamps_and_written_seldom);
	tcase_add_test(t, file_never_goes_back);
	tcase_add_loop_test(t, damaged_file_is_replaced, 0, sizeof(damaged) / sizeof(damaged[0]));
	tcase_add_test(t, directory_that_cannot_be_written_is_told_and_stamps_go_on);
	suite_add_tcase(s, t);
	return s;
}
