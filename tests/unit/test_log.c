/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Standard error as a file, and the journal as a socket of our own. */
#include "check_main.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "util/journal.h"
#include "util/log.h"

static char directory[64];
static int real_stderr;
static int file;

static time_t seconds_later;

/* In the place of the C library's: time passes when we say so. */
int clock_gettime(clockid_t id, struct timespec *ret)
{
	int r = (int)syscall(SYS_clock_gettime, id, ret);

	ret->tv_sec += seconds_later;
	return r;
}

static void capture(void)
{
	strcpy(directory, "/tmp/test_log.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	fflush(stderr);
	real_stderr = dup(STDERR_FILENO);
	file = open(directory, O_TMPFILE | O_RDWR, 0600);
	ck_assert_int_ge(file, 0);
	dup2(file, STDERR_FILENO);
}

static void release(void)
{
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(file);
	ck_assert_int_eq(rmdir(directory), 0);
}

static const char *captured(void)
{
	static char text[64 * 1024];
	ssize_t n = pread(file, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static unsigned count(const char *text, const char *needle)
{
	unsigned n = 0;

	for (; (text = strstr(text, needle)); text += strlen(needle))
		n++;
	return n;
}

START_TEST(record_becomes_a_line_of_fields)
{
	struct record r;

	log_init(LOG_SINK_STDERR, LOG_INFO);
	record_init(&r, "path_down");
	record_add(&r, "link", "wifi");
	record_number(&r, "rtt_ms", "%.1f", 12.5);
	record_add(&r, "reason", "no answer");
	log_record(LOG_NOTICE, "path is down", &r);
	ck_assert_ptr_nonnull(strstr(
		captured(), " notice: path is down: link=wifi rtt_ms=12.5 reason=\"no answer\"\n"));
}
END_TEST

START_TEST(service_manager_gets_priorities)
{
	setenv("JOURNAL_STREAM", "1:1", 1);
	log_init(LOG_SINK_STDERR, LOG_INFO);
	log_error("gone");
	unsetenv("JOURNAL_STREAM");
	log_init(LOG_SINK_STDERR, LOG_INFO);
	ck_assert_str_eq(captured(), "<3>error: gone\n");
}
END_TEST

START_TEST(level_can_be_changed)
{
	log_init(LOG_SINK_STDERR, LOG_INFO);
	log_debug("hidden");
	log_set_level(LOG_DEBUG);
	log_debug("shown");
	log_set_level(LOG_ERR);
	log_warn("hidden");
	log_set_level(LOG_INFO);
	ck_assert_uint_eq(count(captured(), "hidden"), 0);
	ck_assert_uint_eq(count(captured(), "shown"), 1);
}
END_TEST

START_TEST(place_that_logs_without_end_is_rationed_and_others_are_not)
{
	log_init(LOG_SINK_STDERR, LOG_DEBUG);
	for (int i = 0; i < 3 * LOG_RATION; i++)
		log_info("noise %d", i);
	log_info("another voice");
	for (int i = 0; i < 2 * LOG_RATION; i++)
		log_debug("detail %d", i);
	ck_assert_uint_eq(count(captured(), "noise"), LOG_RATION);
	ck_assert_uint_eq(count(captured(), "another voice"), 1);
	ck_assert_uint_eq(count(captured(), "detail"), 2 * LOG_RATION);
}
END_TEST

START_TEST(what_was_suppressed_is_counted)
{
	log_init(LOG_SINK_STDERR, LOG_INFO);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < LOG_RATION + 7; i++)
			log_info("echo %d", i);
		seconds_later += LOG_RATION_TIME / NSEC_PER_SEC;
	}
	ck_assert_uint_eq(count(captured(), "echo"), 2 * LOG_RATION);
	ck_assert_uint_eq(count(captured(), "info: 7 messages like the next one were suppressed\n"),
			  1);
	seconds_later = 0;
}
END_TEST

START_TEST(journal_gets_fields_of_their_own)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char entry[1024];
	struct record r;
	ssize_t n;
	int fd;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/journal", directory);
	ck_assert_int_eq(bind(journal, (struct sockaddr *)&address, sizeof(address)), 0);
	fd = journal_open(address.sun_path);
	ck_assert_int_ge(fd, 0);
	record_init(&r, "path_up");
	record_add(&r, "link", "wifi\nPRIORITY=0");
	record_number(&r, "rtt_ms", "%d", 7);
	journal_send(fd, LOG_NOTICE, "path is up", &r);
	n = recv(journal, entry, sizeof(entry) - 1, MSG_DONTWAIT);
	ck_assert_int_gt(n, 0);
	entry[n] = '\0';
	ck_assert_str_eq(entry, "MESSAGE=path is up\nPRIORITY=5\nSYSLOG_IDENTIFIER=vtrunkd\n"
				"EVENT=path_up\nLINK=wifi PRIORITY=0\nRTT_MS=7\n");
	close(fd);
	close(journal);
	unlink(address.sun_path);
}
END_TEST

START_TEST(journal_is_spoken_to_only_where_it_reads)
{
	char stream[64];
	struct stat st;

	ck_assert(!journal_reads(STDERR_FILENO));
	ck_assert_int_eq(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	ck_assert(journal_reads(STDERR_FILENO));
	setenv("JOURNAL_STREAM", "nonsense", 1);
	ck_assert(!journal_reads(STDERR_FILENO));
	unsetenv("JOURNAL_STREAM");
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("log");
	TCase *c = tcase_create("log");

	tcase_add_checked_fixture(c, capture, release);
	tcase_add_test(c, record_becomes_a_line_of_fields);
	tcase_add_test(c, service_manager_gets_priorities);
	tcase_add_test(c, level_can_be_changed);
	tcase_add_test(c, place_that_logs_without_end_is_rationed_and_others_are_not);
	tcase_add_test(c, what_was_suppressed_is_counted);
	tcase_add_test(c, journal_gets_fields_of_their_own);
	tcase_add_test(c, journal_is_spoken_to_only_where_it_reads);
	suite_add_tcase(suite, c);
	return suite;
}
