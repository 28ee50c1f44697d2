/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "crypto/cookie.h"

#include <errno.h>
#include <string.h>

#include "check_main.h"
#include "crypto/hash.h"
#include "crypto/keys.h"
#include "crypto/xaead.h"

static const nsec_t START = 1000 * NSEC_PER_SEC;

static struct cookie_checker checker;
static struct cookie_jar jar;
static struct wg_initiation msg;
static struct addr v4;
static struct addr v6;
static uint8_t nonce[COOKIE_NONCE_LEN];

static void setup(void)
{
	uint8_t public_key[32];

	keys_random(public_key, sizeof(public_key));
	keys_random(nonce, sizeof(nonce));
	keys_random(&msg, sizeof(msg));
	cookie_checker_init(&checker, public_key);
	cookie_jar_init(&jar, public_key);
	ck_assert_int_eq(addr_parse(&v4, "192.0.2.1:51820", 0), 0);
	ck_assert_int_eq(addr_parse(&v6, "[2001:db8::17]:4660", 0), 0);
}

static struct wg_cookie_reply ask_for_cookie(const struct addr *from, nsec_t now)
{
	struct wg_cookie_reply reply;

	cookie_jar_seal(&jar, &msg, sizeof(msg), now);
	ck_assert_int_eq(
		cookie_create_reply(&checker, &msg, sizeof(msg), 77, from, nonce, now, &reply), 0);
	return reply;
}

/* After it the jar holds a cookie for `from`. */
static void exchange_cookie(const struct addr *from, nsec_t now)
{
	struct wg_cookie_reply reply = ask_for_cookie(from, now);

	ck_assert_int_eq(cookie_jar_accept(&jar, &reply, now), 0);
}

static bool has_good_mac2(const struct addr *from, nsec_t now)
{
	return cookie_check_mac2(&checker, &msg, sizeof(msg), from, now);
}

static bool has_zero_mac2(void)
{
	static const uint8_t zero[COOKIE_LEN];

	return !memcmp(msg.macs.mac2, zero, sizeof(zero));
}

START_TEST(sealed_message_passes_mac1)
{
	struct wg_response response = {0};

	cookie_jar_seal(&jar, &msg, sizeof(msg), START);
	ck_assert(cookie_check_mac1(&checker, &msg, sizeof(msg)));
	cookie_jar_seal(&jar, &response, sizeof(response), START);
	ck_assert(cookie_check_mac1(&checker, &response, sizeof(response)));
}
END_TEST

START_TEST(corrupted_byte_fails_mac1)
{
	uint8_t *bytes = (uint8_t *)&msg;

	cookie_jar_seal(&jar, &msg, sizeof(msg), START);
	for (size_t i = 0; i < offsetof(struct wg_initiation, macs.mac2); i++) {
		bytes[i] ^= 0x10;
		ck_assert(!cookie_check_mac1(&checker, &msg, sizeof(msg)));
		bytes[i] ^= 0x10;
	}
	ck_assert(cookie_check_mac1(&checker, &msg, sizeof(msg)));
}
END_TEST

START_TEST(message_for_another_key_fails_mac1)
{
	uint8_t other_public[32];

	keys_random(other_public, sizeof(other_public));
	cookie_jar_init(&jar, other_public);
	cookie_jar_seal(&jar, &msg, sizeof(msg), START);
	ck_assert(!cookie_check_mac1(&checker, &msg, sizeof(msg)));
}
END_TEST

START_TEST(mac2_is_zero_without_a_cookie)
{
	cookie_jar_seal(&jar, &msg, sizeof(msg), START);
	ck_assert(has_zero_mac2());
	ck_assert(!has_good_mac2(&v4, START));
}
END_TEST

START_TEST(cookie_of_a_reply_makes_a_good_mac2)
{
	exchange_cookie(&v4, START);
	keys_random(&msg, sizeof(msg));
	cookie_jar_seal(&jar, &msg, sizeof(msg), START + 1);
	ck_assert(cookie_check_mac1(&checker, &msg, sizeof(msg)));
	ck_assert(has_good_mac2(&v4, START + 1));
}
END_TEST

START_TEST(corrupted_byte_fails_mac2)
{
	uint8_t *bytes = (uint8_t *)&msg;

	exchange_cookie(&v6, START);
	cookie_jar_seal(&jar, &msg, sizeof(msg), START);
	for (size_t i = 0; i < sizeof(msg); i++) {
		bytes[i] ^= 0x10;
		ck_assert(!has_good_mac2(&v6, START));
		bytes[i] ^= 0x10;
	}
	ck_assert(has_good_mac2(&v6, START));
}
END_TEST

START_TEST(cookie_is_good_for_its_address_and_port_only)
{
	static const char *const others[] = {"192.0.2.2:51820", "192.0.2.1:51821",
					     "[2001:db8::17]:51820"};

	exchange_cookie(&v4, START);
	cookie_jar_seal(&jar, &msg, sizeof(msg), START);
	ck_assert(has_good_mac2(&v4, START));
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		struct addr other;

		ck_assert_int_eq(addr_parse(&other, others[i], 0), 0);
		ck_assert(!has_good_mac2(&other, START));
	}
}
END_TEST

static void open_cookie(uint8_t ret[COOKIE_LEN], const struct wg_cookie_reply *reply)
{
	ck_assert_int_eq(xaead_open(ret, reply->encrypted_cookie, COOKIE_LEN, msg.macs.mac1,
				    COOKIE_LEN, reply->nonce, jar.cookie_key),
			 0);
}

START_TEST(cookie_covers_address_and_port_as_in_linux)
{
	static const uint8_t source4[] = {192, 0, 2, 1, 0xca, 0x6c};
	static const uint8_t source6[] = {
		0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x17, 0x12, 0x34,
	};
	struct wg_cookie_reply reply;
	uint8_t cookie[COOKIE_LEN];
	uint8_t want[COOKIE_LEN];

	reply = ask_for_cookie(&v4, START);
	open_cookie(cookie, &reply);
	hash_mac(want, checker.secret, sizeof(checker.secret), source4, sizeof(source4));
	ck_assert_mem_eq(cookie, want, COOKIE_LEN);

	reply = ask_for_cookie(&v6, START);
	open_cookie(cookie, &reply);
	hash_mac(want, checker.secret, sizeof(checker.secret), source6, sizeof(source6));
	ck_assert_mem_eq(cookie, want, COOKIE_LEN);
}
END_TEST

START_TEST(reply_names_the_asking_session)
{
	struct wg_cookie_reply reply = ask_for_cookie(&v4, START);

	ck_assert_uint_eq(le32_get(reply.type), MESSAGE_HANDSHAKE_COOKIE);
	ck_assert_uint_eq(le32_get(reply.receiver_index), 77);
	ck_assert_mem_eq(reply.nonce, nonce, sizeof(nonce));
}
END_TEST

START_TEST(first_secret_is_made_at_first_use)
{
	ck_assert(keys_is_zero(checker.secret));
	exchange_cookie(&v4, 0);
	ck_assert(!keys_is_zero(checker.secret));
}
END_TEST

START_TEST(secret_lives_for_its_maximum_age)
{
	uint8_t secret[NOISE_HASH_LEN];

	exchange_cookie(&v4, START);
	cookie_jar_seal(&jar, &msg, sizeof(msg), START);
	memcpy(secret, checker.secret, sizeof(secret));
	ck_assert(has_good_mac2(&v4, START + COOKIE_SECRET_MAX_AGE - 1));
	ck_assert_mem_eq(secret, checker.secret, sizeof(secret));
	ck_assert(!has_good_mac2(&v4, START + COOKIE_SECRET_MAX_AGE));
	ck_assert_mem_ne(secret, checker.secret, sizeof(secret));
}
END_TEST

START_TEST(jar_stops_using_a_cookie_before_the_secret_dies)
{
	const nsec_t last_use = START + COOKIE_SECRET_MAX_AGE - COOKIE_SECRET_LATENCY;

	exchange_cookie(&v4, START);
	cookie_jar_seal(&jar, &msg, sizeof(msg), last_use - 1);
	ck_assert(has_good_mac2(&v4, last_use - 1));
	cookie_jar_seal(&jar, &msg, sizeof(msg), last_use);
	ck_assert(has_zero_mac2());
}
END_TEST

START_TEST(reply_that_nobody_awaits_is_refused)
{
	struct wg_cookie_reply reply = {0};

	ck_assert_int_eq(cookie_jar_accept(&jar, &reply, START), -ENOENT);
}
END_TEST

START_TEST(reply_is_taken_once)
{
	struct wg_cookie_reply reply = ask_for_cookie(&v4, START);

	ck_assert_int_eq(cookie_jar_accept(&jar, &reply, START), 0);
	ck_assert_int_eq(cookie_jar_accept(&jar, &reply, START + 1), -ENOENT);
	ck_assert_int_eq(jar.cookie_birth, START);
}
END_TEST

START_TEST(reply_to_an_earlier_message_is_refused)
{
	struct wg_cookie_reply reply = ask_for_cookie(&v4, START);

	keys_random(&msg, sizeof(msg));
	cookie_jar_seal(&jar, &msg, sizeof(msg), START);
	ck_assert_int_eq(cookie_jar_accept(&jar, &reply, START), -EBADMSG);
}
END_TEST

START_TEST(corrupted_reply_is_refused_and_the_true_one_still_taken)
{
	struct wg_cookie_reply reply = ask_for_cookie(&v4, START);
	uint8_t *bytes = (uint8_t *)&reply;

	for (size_t i = offsetof(struct wg_cookie_reply, nonce); i < sizeof(reply); i++) {
		bytes[i] ^= 1;
		ck_assert_int_eq(cookie_jar_accept(&jar, &reply, START), -EBADMSG);
		bytes[i] ^= 1;
	}
	ck_assert(!jar.has_cookie);
	ck_assert_int_eq(cookie_jar_accept(&jar, &reply, START), 0);
}
END_TEST

static void add_mac_tests(TCase *c)
{
	tcase_add_test(c, sealed_message_passes_mac1);
	tcase_add_test(c, corrupted_byte_fails_mac1);
	tcase_add_test(c, message_for_another_key_fails_mac1);
	tcase_add_test(c, mac2_is_zero_without_a_cookie);
	tcase_add_test(c, cookie_of_a_reply_makes_a_good_mac2);
	tcase_add_test(c, corrupted_byte_fails_mac2);
}

static Suite *make_suite(void)
{
	Suite *s = suite_create("cookie");
	TCase *c = tcase_create("cookie");

	tcase_add_checked_fixture(c, setup, NULL);
	add_mac_tests(c);
	tcase_add_test(c, cookie_is_good_for_its_address_and_port_only);
	tcase_add_test(c, cookie_covers_address_and_port_as_in_linux);
	tcase_add_test(c, reply_names_the_asking_session);
	tcase_add_test(c, first_secret_is_made_at_first_use);
	tcase_add_test(c, secret_lives_for_its_maximum_age);
	tcase_add_test(c, jar_stops_using_a_cookie_before_the_secret_dies);
	tcase_add_test(c, reply_that_nobody_awaits_is_refused);
	tcase_add_test(c, reply_is_taken_once);
	tcase_add_test(c, reply_to_an_earlier_message_is_refused);
	tcase_add_test(c, corrupted_reply_is_refused_and_the_true_one_still_taken);
	suite_add_tcase(s, c);
	return s;
}
