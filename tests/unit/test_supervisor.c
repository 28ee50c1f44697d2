/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* When a crashed engine is started again, and what is told of its life. */
#include "check_main.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "supervisor/backoff.h"
#include "supervisor/lifecycle.h"

#define SIGNALLED(number) (number)
#define EXITED(code) ((code) << 8)

START_TEST(crashes_in_a_row_wait_ever_longer_and_are_given_up)
{
	struct backoff b = {.limit = 9};
	nsec_t before = 0;
	nsec_t delay;

	for (unsigned i = 0; i < 9; i++) {
		ck_assert(backoff_crashed(&b, NSEC_PER_SEC, &delay));
		ck_assert_int_eq(delay,
				 i == 0 ? BACKOFF_FIRST : nsec_min(2 * before, BACKOFF_MOST));
		before = delay;
	}
	ck_assert_int_eq(before, BACKOFF_MOST);
	ck_assert(!backoff_crashed(&b, NSEC_PER_SEC, &delay));
}
END_TEST

START_TEST(an_engine_that_was_well_begins_anew)
{
	struct backoff b = {.limit = 1};
	nsec_t delay;

	ck_assert(backoff_crashed(&b, 0, &delay));
	ck_assert(backoff_crashed(&b, BACKOFF_FORGET, &delay));
	ck_assert_int_eq(delay, BACKOFF_FIRST);
	ck_assert(!backoff_crashed(&b, BACKOFF_FORGET - 1, &delay));
}
END_TEST

static int ends[2];

static struct lifecycle opened(enum lifecycle_format format)
{
	struct lifecycle l;

	ck_assert_int_eq(pipe(ends), 0);
	ck_assert_int_eq(lifecycle_init(&l, ends[1], format), 0);
	ck_assert_uint_eq(strlen(l.instance), INSTANCE_ID_LEN);
	strcpy(l.instance, "0123456789abcdef");
	return l;
}

/* What was told, with the time taken out. */
static void check_told(struct lifecycle *l, const char *want)
{
	char text[2048] = "";
	char without[2048] = "";
	char *time;
	char *at = text;

	lifecycle_deinit(l);
	ck_assert_int_gt(read(ends[0], text, sizeof(text) - 1), 0);
	close(ends[0]);
	while ((time = strstr(at, "time"))) {
		strncat(without, at, (size_t)(time - at));
		at = time + strcspn(time, ", ");
	}
	strcat(without, at);
	ck_assert_str_eq(without, want);
}

START_TEST(events_are_lines_of_json)
{
	static const struct lifecycle_exit crash = {.engine = 7,
						    .status = SIGNALLED(11),
						    .cause = "killed by SIGSEGV",
						    .crashes = 1,
						    .limit = 5,
						    .restart_in = 100 * NSEC_PER_MSEC};
	static const struct lifecycle_exit end = {.engine = 8,
						  .status = EXITED(1),
						  .cause = "ended with status 1",
						  .restart_in = NSEC_NEVER};
	struct lifecycle l = opened(LIFECYCLE_JSON);
	struct record r;

	lifecycle_spawned(&l, 7);
	lifecycle_setup_finished(&l, 7);
	record_init(&r, "path_down");
	record_add(&r, "link", "a \"b\" \\ \xff");
	record_number(&r, "rtt_ms", "%.1f", 4.5);
	record_number(&r, "downs", "%s", "1,\"x\":2");
	lifecycle_tell(&l, &r);
	lifecycle_exited(&l, &crash);
	lifecycle_exited(&l, &end);
	check_told(&l,
		   "{\"event\":\"spawned\",\"instance\":\"0123456789abcdef\",\",\"pid\":7}\n"
		   "{\"event\":\"setup_finished\",\"instance\":\"0123456789abcdef\",\",\"pid\":7}\n"
		   "{\"event\":\"path_down\",\"instance\":\"0123456789abcdef\",\","
		   "\"link\":\"a \\\"b\\\" \\\\ ?\",\"rtt_ms\":4.5,"
		   "\"downs\":\"1,\\\"x\\\":2\"}\n"
		   "{\"event\":\"exited\",\"instance\":\"0123456789abcdef\",\",\"pid\":7,"
		   "\"signal\":11,\"cause\":\"killed by SIGSEGV\",\"crashes\":1,"
		   "\"restart_limit\":5,\"restart_ms\":100}\n"
		   "{\"event\":\"exited\",\"instance\":\"0123456789abcdef\",\",\"pid\":8,"
		   "\"code\":1,\"cause\":\"ended with status 1\"}\n");
}
END_TEST

START_TEST(events_are_lines_of_text)
{
	static const struct lifecycle_exit end = {.engine = 7,
						  .status = EXITED(0),
						  .cause = "ended with status 0",
						  .restart_in = NSEC_NEVER};
	struct lifecycle l = opened(LIFECYCLE_TEXT);

	lifecycle_spawned(&l, 7);
	lifecycle_exited(&l, &end);
	check_told(&l, "event=spawned instance=0123456789abcdef  pid=7\n"
		       "event=exited instance=0123456789abcdef  pid=7 code=0 "
		       "cause=\"ended with status 0\"\n");
}
END_TEST

START_TEST(instances_differ)
{
	struct lifecycle a, b;

	ck_assert_int_eq(lifecycle_init(&a, -1, LIFECYCLE_JSON), 0);
	ck_assert_int_eq(lifecycle_init(&b, -1, LIFECYCLE_JSON), 0);
	ck_assert_str_ne(a.instance, b.instance);
}
END_TEST

START_TEST(nobody_need_listen)
{
	struct lifecycle l = opened(LIFECYCLE_JSON);

	signal(SIGPIPE, SIG_IGN);
	close(ends[0]);
	lifecycle_spawned(&l, 7);
	lifecycle_notify(&l, "READY=1");
	lifecycle_deinit(&l);
	lifecycle_deinit(&l);
}
END_TEST

START_TEST(service_manager_is_told_at_an_abstract_address)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int manager = socket(AF_UNIX, SOCK_DGRAM, 0);
	char text[64] = "";
	struct lifecycle l;
	int len = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "vtrunkd-test-%d",
			   getpid());
	char name[sizeof(address.sun_path) + 1];

	ck_assert_int_eq(bind(manager, (struct sockaddr *)&address,
			      (socklen_t)(sizeof(sa_family_t) + 1 + (size_t)len)),
			 0);
	snprintf(name, sizeof(name), "@%s", address.sun_path + 1);
	setenv("NOTIFY_SOCKET", name, 1);
	setenv("WATCHDOG_USEC", "3000000", 1);
	setenv("WATCHDOG_PID", "1", 1); /* another process */
	ck_assert_int_eq(lifecycle_init(&l, -1, LIFECYCLE_JSON), 0);
	ck_assert_ptr_null(getenv("NOTIFY_SOCKET"));
	ck_assert_uint_eq(l.watchdog_usecs, 0);
	lifecycle_setup_finished(&l, 7);
	ck_assert_int_gt(recv(manager, text, sizeof(text) - 1, MSG_DONTWAIT), 0);
	ck_assert_ptr_nonnull(strstr(text, "READY=1"));
	lifecycle_deinit(&l);
	close(manager);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("supervisor");
	TCase *t = tcase_create("supervisor");

	tcase_add_test(t, crashes_in_a_row_wait_ever_longer_and_are_given_up);
	tcase_add_test(t, an_engine_that_was_well_begins_anew);
	tcase_add_test(t, events_are_lines_of_json);
	tcase_add_test(t, events_are_lines_of_text);
	tcase_add_test(t, instances_differ);
	tcase_add_test(t, nobody_need_listen);
	tcase_add_test(t, service_manager_is_told_at_an_abstract_address);
	suite_add_tcase(s, t);
	return s;
}
