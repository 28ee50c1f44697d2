/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include <stdio.h>

#include "peers/ratelimit.h"

#define T0 (1000 * NSEC_PER_SEC)

static struct ratelimit *limit;

static void setup(void)
{
	ck_assert_int_eq(ratelimit_new(&limit, false), 0);
}

static void teardown(void)
{
	ratelimit_free(limit);
}

static struct addr address(const char *text)
{
	struct addr a;

	ck_assert_int_eq(addr_parse(&a, text, 1), 0);
	return a;
}

static unsigned allowed_of(const char *text, unsigned tries, nsec_t now)
{
	struct addr from = address(text);
	unsigned allowed = 0;

	for (unsigned i = 0; i < tries; i++)
		allowed += ratelimit_allows(limit, &from, now);
	return allowed;
}

START_TEST(burst_is_allowed_and_no_more)
{
	ck_assert_uint_eq(allowed_of("192.0.2.1", 20, T0), RATELIMIT_BURST);
}
END_TEST

START_TEST(rate_follows_the_burst)
{
	unsigned allowed = 0;

	allowed_of("192.0.2.1", 20, T0);
	for (nsec_t t = NSEC_PER_MSEC; t <= NSEC_PER_SEC; t += NSEC_PER_MSEC)
		allowed += allowed_of("192.0.2.1", 1, T0 + t);
	ck_assert_uint_eq(allowed, RATELIMIT_PER_SECOND);
}
END_TEST

START_TEST(quiet_source_gets_its_burst_back)
{
	allowed_of("192.0.2.1", 20, T0);
	ck_assert_uint_eq(allowed_of("192.0.2.1", 20, T0 + 3600 * NSEC_PER_SEC), RATELIMIT_BURST);
}
END_TEST

START_TEST(sources_are_counted_apart)
{
	allowed_of("192.0.2.1", 20, T0);
	ck_assert_uint_eq(allowed_of("192.0.2.2", 20, T0), RATELIMIT_BURST);
	ck_assert_uint_eq(allowed_of("192.0.2.1:99", 20, T0), 0);
}
END_TEST

START_TEST(ipv6_network_of_64_bits_is_one_source)
{
	ck_assert_uint_eq(allowed_of("2001:db8::1", 20, T0), RATELIMIT_BURST);
	ck_assert_uint_eq(allowed_of("2001:db8::ffff:2", 20, T0), 0);
	ck_assert_uint_eq(allowed_of("2001:db8:0:1::1", 20, T0), RATELIMIT_BURST);
}
END_TEST

START_TEST(flood_of_sources_frees_nobody)
{
	char text[32];

	allowed_of("192.0.2.1", 20, T0);
	for (unsigned i = 0; i < 50000; i++) {
		snprintf(text, sizeof(text), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		allowed_of(text, 5, T0);
	}
	ck_assert_uint_eq(allowed_of("192.0.2.1", 20, T0), 0);
	/* and when it is over, all are served again */
	ck_assert_uint_eq(allowed_of("198.51.100.1", 20, T0 + NSEC_PER_SEC), RATELIMIT_BURST);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("ratelimit");
	TCase *t = tcase_create("ratelimit");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, burst_is_allowed_and_no_more);
	tcase_add_test(t, rate_follows_the_burst);
	tcase_add_test(t, quiet_source_gets_its_burst_back);
	tcase_add_test(t, sources_are_counted_apart);
	tcase_add_test(t, ipv6_network_of_64_bits_is_one_source);
	tcase_add_test(t, flood_of_sources_frees_nobody);
	suite_add_tcase(s, t);
	return s;
}
