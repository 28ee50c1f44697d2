/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "control/record_json.h"
#include "core/events.h"

static struct events *events;
static char heard[64 * 1024];

static void hear(void *ctx, const struct record *r)
{
	(void)ctx;
	strcat(heard, r->name);
	strcat(heard, " ");
}

static void begin(void)
{
	ck_assert_int_eq(events_new(&events), 0);
	events_listen(events, hear, NULL);
	*heard = '\0';
}

static void end(void)
{
	events_free(events);
}

static void post(const char *name)
{
	struct record r;

	record_init(&r, name);
	events_post(events, &r);
}

static bool is_readable(void)
{
	struct pollfd fd = {.fd = events_fd(events), .events = POLLIN};

	return poll(&fd, 1, 0) == 1;
}

START_TEST(events_are_heard_in_their_order)
{
	ck_assert(!is_readable());
	post("one");
	post("two");
	ck_assert(is_readable());
	ck_assert_str_eq(heard, "");
	events_dispatch(events);
	ck_assert_str_eq(heard, "one two ");
	ck_assert(!is_readable());
}
END_TEST

START_TEST(what_is_lost_is_told)
{
	for (int i = 0; i < 300; i++)
		post("x");
	while (is_readable())
		events_dispatch(events);
	ck_assert_uint_eq(strlen(heard), strlen("x ") * 256 + strlen("events_lost "));
	ck_assert_ptr_nonnull(strstr(heard, "events_lost"));
}
END_TEST

START_TEST(event_is_json_with_a_time)
{
	struct json_object *o;
	struct record r;

	record_init(&r, "path_up");
	r.at = 1700000000123 * NSEC_PER_MSEC;
	record_add(&r, "link", "caf\xe9");
	record_number(&r, "rtt_ms", "%.3f", 0.25);
	o = record_json(&r);
	ck_assert_str_eq(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN),
			 "{\"event\":\"path_up\",\"time\":\"2023-11-14T22:13:20.123Z\","
			 "\"link\":\"caf?\",\"rtt_ms\":0.250}");
	json_object_put(o);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("events");
	TCase *c = tcase_create("events");

	tcase_add_checked_fixture(c, begin, end);
	tcase_add_test(c, events_are_heard_in_their_order);
	tcase_add_test(c, what_is_lost_is_told);
	tcase_add_test(c, event_is_json_with_a_time);
	suite_add_tcase(suite, c);
	return suite;
}
