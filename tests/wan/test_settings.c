/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include <errno.h>
#include <stdio.h>

#include "settings.h"

static struct settings ways[WAYS];
static char wrong[SETTINGS_WORD_MAX];

static void setup(void)
{
	ways[UP] = ways[DOWN] = (struct settings)SETTINGS_DEFAULT;
	wrong[0] = '\0';
}

static int assign(const char *line)
{
	return settings_assign(ways, line, wrong);
}

START_TEST(word_without_direction_is_for_both)
{
	ck_assert_int_eq(assign("rate=1.5mbit delay=20ms"), 0);
	for (int way = 0; way < WAYS; way++) {
		ck_assert_uint_eq(ways[way].rate_bps, 1500000);
		ck_assert_int_eq(ways[way].delay, 20 * NSEC_PER_MSEC);
	}
}
END_TEST

START_TEST(direction_is_for_one)
{
	ck_assert_int_eq(assign("up.loss=2% down.loss=0.5%"), 0);
	ck_assert_double_eq_tol(ways[UP].loss, 0.02, 1e-9);
	ck_assert_double_eq_tol(ways[DOWN].loss, 0.005, 1e-9);
}
END_TEST

START_TEST(every_key_reaches_its_field)
{
	const struct settings *s = &ways[UP];

	ck_assert_int_eq(assign(" jitter=5ms  jitter_reorders=yes\treorder=1% reorder_by=7ms "
				"burst_enter=2% burst_leave=3% burst_loss=4% duplicate=5% "
				"corrupt=6% mtu=1400 mtu_icmp=no blackout=yes\n"),
			 0);
	ck_assert_int_eq(s->jitter, 5 * NSEC_PER_MSEC);
	ck_assert(s->jitter_reorders && !s->mtu_icmp && s->blackout);
	ck_assert_double_eq_tol(s->reorder, 0.01, 1e-9);
	ck_assert_int_eq(s->reorder_by, 7 * NSEC_PER_MSEC);
	ck_assert_double_eq_tol(s->burst_enter, 0.02, 1e-9);
	ck_assert_double_eq_tol(s->burst_leave, 0.03, 1e-9);
	ck_assert_double_eq_tol(s->burst_loss, 0.04, 1e-9);
	ck_assert_double_eq_tol(s->duplicate, 0.05, 1e-9);
	ck_assert_double_eq_tol(s->corrupt, 0.06, 1e-9);
	ck_assert_uint_eq(s->mtu, 1400);
}
END_TEST

START_TEST(queue_is_a_time_or_bytes)
{
	ck_assert_int_eq(assign("queue=64kb"), 0);
	ck_assert_uint_eq(ways[UP].queue_bytes, 65536);
	ck_assert_int_eq(ways[UP].queue_ns, 0);
	ck_assert_int_eq(assign("queue=30ms"), 0);
	ck_assert_uint_eq(ways[UP].queue_bytes, 0);
	ck_assert_int_eq(ways[UP].queue_ns, 30 * NSEC_PER_MSEC);
	ck_assert_int_eq(assign("queue=none"), 0);
	ck_assert_uint_eq(ways[UP].queue_bytes, 0);
	ck_assert_int_eq(ways[UP].queue_ns, 0);
}
END_TEST

START_TEST(none_takes_a_limit_away)
{
	ck_assert_int_eq(assign("rate=1gbit mtu=1300"), 0);
	ck_assert_int_eq(assign("rate=none mtu=none"), 0);
	ck_assert_uint_eq(ways[UP].rate_bps, 0);
	ck_assert_uint_eq(ways[UP].mtu, 0);
}
END_TEST

START_TEST(wrong_word_is_named_and_nothing_is_changed)
{
	static const struct {
		const char *word;
		int error;
	} bad[] = {
		{"speed=1mbit", -ENOENT}, {"left.rate=1mbit", -ENOENT}, {"rate", -EINVAL},
		{"rate=", -EINVAL},	  {"rate=0mbit", -EINVAL},	{"rate=-1mbit", -EINVAL},
		{"rate=100", -EINVAL},	  {"rate=nanmbit", -EINVAL},	{"rate=9e99mbit", -EINVAL},
		{"delay=20", -EINVAL},	  {"delay=x", -EINVAL},		{"loss=101%", -EINVAL},
		{"loss=0.1", -EINVAL},	  {"queue=0ms", -EINVAL},	{"blackout=1", -EINVAL},
		{"mtu=64tb", -EINVAL},	  {"jitter=infs", -EINVAL},	{"=", -ENOENT},
		{"mtu=67", -EINVAL},
	};
	char line[100];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(line, sizeof(line), "delay=7ms %s loss=1%%", bad[i].word);
		ck_assert_msg(assign(line) == bad[i].error, "%s", bad[i].word);
		ck_assert_int_eq(strncmp(wrong, bad[i].word, strlen(wrong)), 0);
		ck_assert_int_eq(ways[UP].delay, 0);
	}
}
END_TEST

START_TEST(word_longer_than_any_is_refused)
{
	char line[300] = "delay=1";

	memset(line + strlen(line), '0', 200);
	ck_assert_int_eq(assign(line), -EINVAL);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("settings");
	TCase *t = tcase_create("settings");

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, word_without_direction_is_for_both);
	tcase_add_test(t, direction_is_for_one);
	tcase_add_test(t, every_key_reaches_its_field);
	tcase_add_test(t, queue_is_a_time_or_bytes);
	tcase_add_test(t, none_takes_a_limit_away);
	tcase_add_test(t, wrong_word_is_named_and_nothing_is_changed);
	tcase_add_test(t, word_longer_than_any_is_refused);
	suite_add_tcase(s, t);
	return s;
}
