/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The live view: frames to the letter, from statuses that are made up. */
#include "check_main.h"

#include <stdio.h>
#include <string.h>

#include "vtrunkctl/view.h"

static struct view view;

static void begin(void)
{
	view = (struct view){.is_utf8 = true};
}

static void end(void)
{
	view_deinit(&view);
}

static struct json_object *status(double tx_bps)
{
	char text[2048];
	struct json_object *o;

	snprintf(text, sizeof(text),
		 "{\"networks\":[{\"name\":\"home\",\"interface\":\"tun0\",\"mode\":\"failover\","
		 "\"state\":\"active\",\"peers\":[{\"name\":\"vps\",\"session\":true,"
		 "\"handshake_age_s\":42,\"paths\":["
		 "{\"link\":\"fibre\",\"state\":\"up\",\"active\":true,\"rtt_us\":12345,"
		 "\"tx_loss\":0.01,\"rx_loss\":0,\"tx_bps\":%.0f,\"rx_bps\":1000000},"
		 "{\"link\":\"lte\",\"state\":\"down\",\"active\":false,\"state_age_s\":7.5,"
		 "\"rtt_us\":null,\"tx_loss\":null,\"rx_loss\":null,\"tx_bps\":0,\"rx_bps\":0}"
		 "]}]}]}",
		 tx_bps);
	o = json_tokener_parse(text);
	ck_assert_ptr_nonnull(o);
	return o;
}

static void sample(double tx_bps)
{
	struct json_object *o = status(tx_bps);

	view_sample(&view, o);
	json_object_put(o);
}

/* Caller frees. */
static char *frame(double tx_bps, unsigned width)
{
	struct screen screen = {.width = width};
	struct json_object *o = status(tx_bps);
	char *text = NULL;
	size_t len;

	screen.out = open_memstream(&text, &len);
	view_sample(&view, o);
	view_render(&view, &screen, o);
	fclose(screen.out);
	json_object_put(o);
	return text;
}

static void expect_frame(double tx_bps, const char *expected)
{
	char *text = frame(tx_bps, 100);

	ck_assert_str_eq(text, expected);
	free(text);
}

START_TEST(frame_shows_rates_as_bars_and_roles_as_words)
{
	sample(2e6);
	sample(4e6);
	/* clang-format off */
	expect_frame(8e6,
		"network home  tun0, failover\n"
		"  sends         8.0 Mbit/s  ▂▄█\n"
		"  receives      1.0 Mbit/s  ███\n"
		"\n"
		"vps  session of 42 s\n"
		"                                sends                    receives\n"
		"    link    Mbit/s                      Mbit/s                     rtt ms  loss %\n"
		"  ● fibre      8.0 ██████████████████      1.0 ██▎                   12.3     1.0  carries data\n"
		"  ○ lte        0.0                         0.0                          -       -  down for 7 s\n");
	/* clang-format on */
}
END_TEST

START_TEST(frame_fits_into_terminals_of_any_width)
{
	static const unsigned widths[] = {60, 80, 100, 120, 200};

	for (size_t i = 0; i < sizeof(widths) / sizeof(*widths); i++) {
		char *text = frame(8e6, widths[i]);

		if (widths[i] >= 80) {
			ck_assert_ptr_nonnull(strstr(text, "carries data\n"));
			ck_assert_ptr_nonnull(strstr(text, "down for 7 s\n"));
		}
		for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
			ck_assert_msg(text_width(line) <= widths[i], "%u: %s", widths[i], line);
		free(text);
	}
}
END_TEST

START_TEST(bars_have_eighths_and_show_that_little_is_not_nothing)
{
	ck_assert_str_eq(view_bar(0, 4, true).s, "");
	ck_assert_str_eq(view_bar(1e-9, 4, true).s, "▏");
	ck_assert_str_eq(view_bar(0.5, 4, true).s, "██");
	ck_assert_str_eq(view_bar(0.375, 4, true).s, "█▌");
	ck_assert_str_eq(view_bar(7, 4, true).s, "████");
	ck_assert_str_eq(view_bar(0.5, 4, false).s, "##");
}
END_TEST

START_TEST(only_the_newest_are_remembered)
{
	char text[16];

	for (int i = 0; i < 2 * VIEW_SAMPLES; i++)
		sample(i);
	ck_assert_uint_eq(view.histories[0].n, VIEW_SAMPLES);
	ck_assert(view.histories[0].tx_bps[0] == VIEW_SAMPLES);
	for (int i = 0; i < 2 * VIEW_EVENTS; i++) {
		snprintf(text, sizeof(text), "%d", i);
		view_add_event(&view, strdup(text));
	}
	ck_assert_uint_eq(view.n_events, VIEW_EVENTS);
	ck_assert_str_eq(view.events[0], "6");
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("view");
	TCase *c = tcase_create("view");

	tcase_add_checked_fixture(c, begin, end);
	tcase_add_test(c, frame_shows_rates_as_bars_and_roles_as_words);
	tcase_add_test(c, frame_fits_into_terminals_of_any_width);
	tcase_add_test(c, bars_have_eighths_and_show_that_little_is_not_nothing);
	tcase_add_test(c, only_the_newest_are_remembered);
	suite_add_tcase(suite, c);
	return suite;
}
