/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include <string.h>

#include "peers/allowedips.h"

#define RANDOM_PREFIXES 400
#define RANDOM_LOOKUPS 4000

static uint32_t seed = 12345;

/* The same in every run. */
static uint32_t draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed;
}

static char owners[RANDOM_PREFIXES];

static struct allowedip entry(const char *text, void *owner)
{
	struct allowedip e = {.owner = owner};

	ck_assert_int_eq(prefix_parse(&e.prefix, text), 0);
	return e;
}

static void *find(const struct allowedips *a, const char *text)
{
	struct prefix p;

	ck_assert_int_eq(prefix_parse(&p, text), 0);
	return allowedips_find(a, p.family, p.bytes);
}

static bool covers(const struct prefix *p, uint8_t family, const uint8_t *address)
{
	if (p->family != family)
		return false;
	for (unsigned i = 0; i < p->len; i++) {
		if ((p->bytes[i / 8] ^ address[i / 8]) & (0x80 >> i % 8))
			return false;
	}
	return true;
}

/* What the trie must agree with: all entries, bit by bit. */
static void *find_slowly(const struct allowedip *entries, size_t n, uint8_t family,
			 const uint8_t *address)
{
	const struct allowedip *best = NULL;

	for (size_t i = 0; i < n; i++) {
		if (covers(&entries[i].prefix, family, address) &&
		    (!best || entries[i].prefix.len >= best->prefix.len))
			best = &entries[i];
	}
	return best ? best->owner : NULL;
}

/* Few different bytes, so that prefixes nest, meet and repeat. */
static void draw_address(uint8_t address[16])
{
	for (unsigned i = 0; i < 16; i++)
		address[i] = draw() % 8 ? (uint8_t)(draw() % 3 * 0x7f) : (uint8_t)draw();
}

static struct prefix draw_prefix(uint8_t family)
{
	unsigned bits = family == AF_INET ? 32 : 128;
	struct prefix p = {.family = family, .len = (uint8_t)(draw() % (bits + 1))};

	draw_address(p.bytes);
	for (unsigned i = 0; i < 128; i++) {
		if (i >= p.len)
			p.bytes[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	}
	return p;
}

START_TEST(empty_table_owns_nothing)
{
	struct allowedips *a;

	ck_assert_ptr_null(find(NULL, "10.0.0.1"));
	ck_assert_int_eq(allowedips_new(&a, NULL, 0), 0);
	ck_assert_ptr_null(find(a, "10.0.0.1"));
	ck_assert_ptr_null(find(a, "fd00::1"));
	allowedips_free(a);
}
END_TEST

START_TEST(longest_prefix_wins)
{
	struct allowedip e[] = {
		entry("10.1.2.3/32", &owners[3]),     entry("0.0.0.0/0", &owners[0]),
		entry("10.0.0.0/8", &owners[1]),      entry("10.1.0.0/16", &owners[2]),
		entry("fd00::/8", &owners[4]),	      entry("fd00::1/128", &owners[5]),
		entry("fd00:0:0:1::/64", &owners[6]),
	};
	struct allowedips *a;

	ck_assert_int_eq(allowedips_new(&a, e, sizeof(e) / sizeof(e[0])), 0);
	ck_assert_ptr_eq(find(a, "10.1.2.3"), &owners[3]);
	ck_assert_ptr_eq(find(a, "10.1.2.4"), &owners[2]);
	ck_assert_ptr_eq(find(a, "10.2.0.1"), &owners[1]);
	ck_assert_ptr_eq(find(a, "192.0.2.1"), &owners[0]);
	ck_assert_ptr_eq(find(a, "fd00::1"), &owners[5]);
	ck_assert_ptr_eq(find(a, "fd00::2"), &owners[4]);
	ck_assert_ptr_eq(find(a, "fd00:0:0:1::1"), &owners[6]);
	ck_assert_ptr_null(find(a, "2001:db8::1"));
	allowedips_free(a);
}
END_TEST

START_TEST(families_do_not_mix)
{
	struct allowedip v4 = entry("0.0.0.0/0", &owners[0]);
	struct allowedip v6 = entry("::/0", &owners[1]);
	struct allowedips *a;

	ck_assert_int_eq(allowedips_new(&a, &v4, 1), 0);
	ck_assert_ptr_eq(find(a, "255.255.255.255"), &owners[0]);
	ck_assert_ptr_null(find(a, "::"));
	allowedips_free(a);
	ck_assert_int_eq(allowedips_new(&a, &v6, 1), 0);
	ck_assert_ptr_eq(find(a, "::"), &owners[1]);
	ck_assert_ptr_null(find(a, "0.0.0.0"));
	ck_assert_ptr_null(allowedips_find(a, AF_UNSPEC, v6.prefix.bytes));
	allowedips_free(a);
}
END_TEST

START_TEST(later_of_equal_prefixes_wins)
{
	struct allowedip e[] = {entry("10.0.0.0/8", &owners[0]), entry("10.0.0.0/8", &owners[1])};
	struct allowedips *a;

	ck_assert_int_eq(allowedips_new(&a, e, 2), 0);
	ck_assert_ptr_eq(find(a, "10.9.9.9"), &owners[1]);
	allowedips_free(a);
}
END_TEST

START_TEST(random_prefixes_agree_with_a_slow_search)
{
	static struct allowedip e[RANDOM_PREFIXES];
	uint8_t family = _i % 2 ? AF_INET6 : AF_INET;
	struct allowedips *a;
	uint8_t address[16];

	for (size_t i = 0; i < RANDOM_PREFIXES; i++)
		e[i] = (struct allowedip){draw_prefix(family), &owners[i]};
	ck_assert_int_eq(allowedips_new(&a, e, RANDOM_PREFIXES), 0);
	for (unsigned i = 0; i < RANDOM_LOOKUPS; i++) {
		draw_address(address);
		if (i % 2) /* an end of a prefix, or close to one */
			memcpy(address, e[draw() % RANDOM_PREFIXES].prefix.bytes, 16);
		if (i % 4 == 3)
			address[draw() % 16] ^= (uint8_t)(1 << draw() % 8);
		ck_assert_ptr_eq(allowedips_find(a, family, address),
				 find_slowly(e, RANDOM_PREFIXES, family, address));
	}
	allowedips_free(a);
}
END_TEST

START_TEST(retired_table_is_freed)
{
	struct allowedip e = entry("10.0.0.0/8", &owners[0]);
	struct allowedips *a;

	ck_assert_int_eq(allowedips_new(&a, &e, 1), 0);
	allowedips_retire(a);
	allowedips_retire(NULL);
	rcu_drain(); /* a leak, or freeing twice, is the sanitizer's to find */
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("allowedips");
	TCase *t = tcase_create("allowedips");

	tcase_add_test(t, empty_table_owns_nothing);
	tcase_add_test(t, longest_prefix_wins);
	tcase_add_test(t, families_do_not_mix);
	tcase_add_test(t, later_of_equal_prefixes_wins);
	tcase_add_loop_test(t, random_prefixes_agree_with_a_slow_search, 0, 8);
	tcase_add_test(t, retired_table_is_freed);
	suite_add_tcase(s, t);
	return s;
}
