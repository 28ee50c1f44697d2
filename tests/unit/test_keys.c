/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "crypto/keys.h"

#include <errno.h>
#include <string.h>

#include "check_main.h"
#include "vectors.h"

START_TEST(shared_keys_are_as_published)
{
	struct json_object *root = vectors_open("keys.json");
	struct json_object *cases = vectors_get(vectors_get(root, "x25519"), "scalarmult");

	ck_assert_uint_gt(json_object_array_length(cases), 0);
	for (size_t i = 0; i < json_object_array_length(cases); i++) {
		struct json_object *c = json_object_array_get_idx(cases, i);
		uint8_t out[KEY_LEN];

		ck_assert_int_eq(keys_shared(out, vectors_bytes(c, "scalar").data,
					     vectors_bytes(c, "u").data),
				 0);
		ck_assert_mem_eq(out, vectors_bytes(c, "out").data, KEY_LEN);
	}
	json_object_put(root);
}
END_TEST

/* RFC 7748, section 5.2: k becomes the result, u the old k. */
static void iterate(uint8_t k[KEY_LEN], uint8_t u[KEY_LEN], unsigned times)
{
	uint8_t out[KEY_LEN];

	while (times--) {
		ck_assert_int_eq(keys_shared(out, k, u), 0);
		memcpy(u, k, KEY_LEN);
		memcpy(k, out, KEY_LEN);
	}
}

START_TEST(a_thousand_iterations_end_as_published)
{
	struct json_object *root = vectors_open("keys.json");
	struct json_object *c = vectors_get(vectors_get(root, "x25519"), "iterated");
	struct bytes k = vectors_bytes(c, "start");
	struct bytes u = k;

	iterate(k.data, u.data, 1);
	ck_assert_mem_eq(k.data, vectors_bytes(c, "after_1").data, KEY_LEN);
	iterate(k.data, u.data, 999);
	ck_assert_mem_eq(k.data, vectors_bytes(c, "after_1000").data, KEY_LEN);
	json_object_put(root);
}
END_TEST

START_TEST(both_sides_compute_the_same_shared_key)
{
	struct json_object *root = vectors_open("keys.json");
	struct json_object *c = vectors_get(vectors_get(root, "x25519"), "dh");
	struct bytes alice = vectors_bytes(c, "alice_private");
	struct bytes bob = vectors_bytes(c, "bob_private");
	uint8_t alice_public[KEY_LEN];
	uint8_t bob_public[KEY_LEN];
	uint8_t shared[KEY_LEN];

	keys_public(alice_public, alice.data);
	keys_public(bob_public, bob.data);
	ck_assert_mem_eq(alice_public, vectors_bytes(c, "alice_public").data, KEY_LEN);
	ck_assert_mem_eq(bob_public, vectors_bytes(c, "bob_public").data, KEY_LEN);
	ck_assert_int_eq(keys_shared(shared, alice.data, bob_public), 0);
	ck_assert_mem_eq(shared, vectors_bytes(c, "shared").data, KEY_LEN);
	ck_assert_int_eq(keys_shared(shared, bob.data, alice_public), 0);
	ck_assert_mem_eq(shared, vectors_bytes(c, "shared").data, KEY_LEN);
	json_object_put(root);
}
END_TEST

START_TEST(points_of_low_order_are_refused)
{
	struct json_object *root = vectors_open("keys.json");
	struct json_object *points = vectors_get(vectors_get(root, "x25519"), "low_order_points");
	uint8_t private_key[KEY_LEN];

	ck_assert_uint_gt(json_object_array_length(points), 0);
	keys_generate(private_key);
	for (size_t i = 0; i < json_object_array_length(points); i++) {
		struct bytes point = vectors_decode(json_object_array_get_idx(points, i));
		uint8_t out[KEY_LEN] = {0xaa};

		ck_assert_int_eq(keys_shared(out, private_key, point.data), -EINVAL);
		ck_assert(keys_is_zero(out));
	}
	json_object_put(root);
}
END_TEST

START_TEST(new_keys_are_clamped_and_differ)
{
	uint8_t a[KEY_LEN];
	uint8_t b[KEY_LEN];

	for (unsigned i = 0; i < 50; i++) {
		keys_generate(a);
		keys_generate(b);
		ck_assert_uint_eq(a[0] & 7, 0);
		ck_assert_uint_eq(a[31] & 0xc0, 0x40);
		ck_assert(!keys_equal(a, b, KEY_LEN));
	}
}
END_TEST

START_TEST(comparison_sees_every_bit)
{
	uint8_t a[KEY_LEN] = {0};
	uint8_t b[KEY_LEN] = {0};

	ck_assert(keys_is_zero(a));
	for (unsigned bit = 0; bit < 8 * KEY_LEN; bit++) {
		a[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert(!keys_is_zero(a));
		ck_assert(!keys_equal(a, b, KEY_LEN));
		a[bit / 8] = 0;
	}
	ck_assert(keys_equal(a, b, KEY_LEN));
}
END_TEST

START_TEST(wiped_bytes_are_zero)
{
	uint8_t key[KEY_LEN];

	keys_generate(key);
	keys_wipe(key, sizeof(key));
	ck_assert(keys_is_zero(key));
}
END_TEST

/* The bytes 0, 1, 2 ... 31. */
#define COUNTING_BASE64 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define COUNTING_HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

START_TEST(texts_of_a_key_are_as_other_tools_write_them)
{
	uint8_t key[KEY_LEN];
	uint8_t back[KEY_LEN];
	char base64[KEY_BASE64_LEN + 1];
	char hex[KEY_HEX_LEN + 1];

	for (uint8_t i = 0; i < KEY_LEN; i++)
		key[i] = i;
	keys_to_base64(base64, key);
	ck_assert_str_eq(base64, COUNTING_BASE64);
	ck_assert_int_eq(keys_from_base64(back, base64, NULL), 0);
	ck_assert_mem_eq(back, key, KEY_LEN);
	keys_to_hex(hex, key);
	ck_assert_str_eq(hex, COUNTING_HEX);
	memset(back, 0, sizeof(back));
	ck_assert_int_eq(keys_from_hex(back, hex), 0);
	ck_assert_mem_eq(back, key, KEY_LEN);
}
END_TEST

START_TEST(random_keys_survive_both_texts)
{
	uint8_t key[KEY_LEN];
	uint8_t back[KEY_LEN];
	char base64[KEY_BASE64_LEN + 1];
	char hex[KEY_HEX_LEN + 1];

	for (unsigned i = 0; i < 200; i++) {
		keys_random(key, sizeof(key));
		keys_to_base64(base64, key);
		ck_assert_int_eq(keys_from_base64(back, base64, NULL), 0);
		ck_assert_mem_eq(back, key, KEY_LEN);
		keys_to_hex(hex, key);
		ck_assert_int_eq(keys_from_hex(back, hex), 0);
		ck_assert_mem_eq(back, key, KEY_LEN);
	}
}
END_TEST

START_TEST(malformed_base64_is_refused)
{
	static const char *const texts[] = {
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",	 /* no padding */
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=",	 /* a spare bit set */
		" AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", /* spaces */
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8==",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdH===",
		"AAECAwQFBgcICQoL=A0ODxAREhMUFRYXGBkaGxwdHh8=", /* padding inside */
		"AAECAwQFBgcICQoL-_0ODxAREhMUFRYXGBkaGxwdHh8=", /* the URL alphabet */
		"REPLACE_ME",
		"=",
		"====",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		uint8_t key[KEY_LEN] = {0};

		ck_assert_msg(keys_from_base64(key, texts[i], NULL) == -EINVAL, "%s", texts[i]);
		ck_assert(keys_is_zero(key));
	}
}
END_TEST

START_TEST(base64_of_another_length_is_told_apart)
{
	static const struct {
		const char *text;
		size_t len;
	} cases[] = {
		{"", 0},
		{"AA==", 1},
		{"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==", 31},
		{"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g", 33},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint8_t key[KEY_LEN];
		size_t len = 99;

		ck_assert_int_eq(keys_from_base64(key, cases[i].text, &len), -EMSGSIZE);
		ck_assert_uint_eq(len, cases[i].len);
		ck_assert_int_eq(keys_from_base64(key, cases[i].text, NULL), -EMSGSIZE);
	}
}
END_TEST

START_TEST(malformed_hex_is_refused)
{
	char text[] = COUNTING_HEX;
	uint8_t key[KEY_LEN];

	ck_assert_int_eq(keys_from_hex(key, ""), -EINVAL);
	ck_assert_int_eq(keys_from_hex(key, COUNTING_HEX "00"), -EINVAL);
	ck_assert_int_eq(keys_from_hex(key, text + 1), -EINVAL);
	for (const char *bad = "g:/@`G -"; *bad; bad++) {
		text[7] = *bad;
		ck_assert_int_eq(keys_from_hex(key, text), -EINVAL);
	}
}
END_TEST

START_TEST(hex_may_be_in_capitals)
{
	uint8_t key[KEY_LEN] = {0};

	ck_assert_int_eq(
		keys_from_hex(key,
			      "ABCDEF0000000000000000000000000000000000000000000000000000000000"),
		0);
	ck_assert_mem_eq(key, "\xab\xcd\xef", 3);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("keys");
	TCase *c = tcase_create("keys");

	tcase_add_test(c, shared_keys_are_as_published);
	tcase_add_test(c, a_thousand_iterations_end_as_published);
	tcase_add_test(c, both_sides_compute_the_same_shared_key);
	tcase_add_test(c, points_of_low_order_are_refused);
	tcase_add_test(c, new_keys_are_clamped_and_differ);
	tcase_add_test(c, comparison_sees_every_bit);
	tcase_add_test(c, wiped_bytes_are_zero);
	tcase_add_test(c, texts_of_a_key_are_as_other_tools_write_them);
	tcase_add_test(c, random_keys_survive_both_texts);
	tcase_add_test(c, malformed_base64_is_refused);
	tcase_add_test(c, base64_of_another_length_is_told_apart);
	tcase_add_test(c, malformed_hex_is_refused);
	tcase_add_test(c, hex_may_be_in_capitals);
	suite_add_tcase(s, c);
	return s;
}
