/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "crypto/hash.h"

#include <pthread.h>
#include <string.h>

#include "check_main.h"
#include "vectors.h"

START_TEST(blake2s_is_as_published)
{
	struct json_object *root = vectors_open("hash.json");
	struct json_object *cases = vectors_cases(root, "blake2s");

	for (size_t i = 0; i < json_object_array_length(cases); i++) {
		struct json_object *c = json_object_array_get_idx(cases, i);
		struct bytes in = vectors_bytes(c, "in");
		struct bytes want = vectors_bytes(c, "out");
		uint8_t out[HASH_LEN];

		hash_blake2s(out, &(struct hash_input){in.data, in.len}, 1);
		ck_assert_mem_eq(out, want.data, HASH_LEN);
	}
	json_object_put(root);
}
END_TEST

START_TEST(several_inputs_hash_as_one)
{
	uint8_t data[200];
	uint8_t whole[HASH_LEN];
	uint8_t parts[HASH_LEN];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	hash_blake2s(whole, &(struct hash_input){data, sizeof(data)}, 1);
	for (size_t cut = 0; cut <= sizeof(data); cut++) {
		struct hash_input inputs[] = {
			{data, cut}, {NULL, 0}, {data + cut, sizeof(data) - cut}};

		hash_blake2s(parts, inputs, 3);
		ck_assert_mem_eq(parts, whole, HASH_LEN);
	}
}
END_TEST

START_TEST(mac_has_16_bytes_of_its_own_parameter_block)
{
	struct json_object *root = vectors_open("hash.json");
	struct json_object *cases = vectors_cases(root, "mac");

	for (size_t i = 0; i < json_object_array_length(cases); i++) {
		struct json_object *c = json_object_array_get_idx(cases, i);
		struct bytes key = vectors_bytes(c, "key");
		struct bytes in = vectors_bytes(c, "in");
		struct bytes want = vectors_bytes(c, "out");
		uint8_t out[MAC_LEN];

		hash_mac(out, key.data, key.len, in.data, in.len);
		ck_assert_uint_eq(want.len, MAC_LEN);
		ck_assert_mem_eq(out, want.data, MAC_LEN);
	}
	json_object_put(root);
}
END_TEST

START_TEST(hmac_takes_keys_of_any_length)
{
	struct json_object *root = vectors_open("hash.json");
	struct json_object *cases = vectors_cases(root, "hmac");

	for (size_t i = 0; i < json_object_array_length(cases); i++) {
		struct json_object *c = json_object_array_get_idx(cases, i);
		struct bytes key = vectors_bytes(c, "key");
		struct bytes in = vectors_bytes(c, "in");
		struct bytes want = vectors_bytes(c, "out");
		uint8_t out[HASH_LEN];

		hash_hmac(out, key.data, key.len, in.data, in.len);
		ck_assert_mem_eq(out, want.data, HASH_LEN);
	}
	json_object_put(root);
}
END_TEST

/* The published keys are shorter than ours; HMAC fills up with zeros, so they are the same. */
START_TEST(kdf_is_as_published)
{
	struct json_object *root = vectors_open("hash.json");
	struct json_object *cases = vectors_cases(root, "kdf");

	for (size_t i = 0; i < json_object_array_length(cases); i++) {
		struct json_object *c = json_object_array_get_idx(cases, i);
		struct bytes key = vectors_bytes(c, "key");
		struct bytes in = vectors_bytes(c, "input");
		uint8_t t[3][HASH_LEN];

		hash_kdf(t[0], t[1], t[2], key.data, in.data, in.len);
		ck_assert_mem_eq(t[0], vectors_bytes(c, "t0").data, HASH_LEN);
		ck_assert_mem_eq(t[1], vectors_bytes(c, "t1").data, HASH_LEN);
		ck_assert_mem_eq(t[2], vectors_bytes(c, "t2").data, HASH_LEN);
	}
	json_object_put(root);
}
END_TEST

START_TEST(kdf_with_fewer_outputs_gives_the_same_ones)
{
	uint8_t key[HASH_LEN] = {1};
	uint8_t t[3][HASH_LEN];
	uint8_t first[HASH_LEN];
	uint8_t second[HASH_LEN];

	hash_kdf(t[0], t[1], t[2], key, "x", 1);
	hash_kdf(first, NULL, NULL, key, "x", 1);
	ck_assert_mem_eq(first, t[0], HASH_LEN);
	memset(first, 0, sizeof(first));
	hash_kdf(first, second, NULL, key, "x", 1);
	ck_assert_mem_eq(first, t[0], HASH_LEN);
	ck_assert_mem_eq(second, t[1], HASH_LEN);
}
END_TEST

START_TEST(kdf_may_replace_its_own_key)
{
	uint8_t key[HASH_LEN] = {2};
	uint8_t t[2][HASH_LEN];
	uint8_t second[HASH_LEN];

	hash_kdf(t[0], t[1], NULL, key, "x", 1);
	hash_kdf(key, second, NULL, key, "x", 1);
	ck_assert_mem_eq(key, t[0], HASH_LEN);
	ck_assert_mem_eq(second, t[1], HASH_LEN);
}
END_TEST

struct worker {
	pthread_t thread;
	uint8_t seed;
	uint8_t last[HASH_LEN];
};

/* A chain, so that one wrong digest spoils the end. */
static void *hash_much(void *arg)
{
	struct worker *w = arg;
	uint8_t chain[HASH_LEN] = {w->seed};
	uint8_t mac[MAC_LEN];

	for (unsigned i = 0; i < 2000; i++) {
		hash_mac(mac, chain, sizeof(chain), chain, 7);
		hash_hmac(chain, mac, sizeof(mac), chain, sizeof(chain));
	}
	memcpy(w->last, chain, sizeof(chain));
	return NULL;
}

START_TEST(threads_do_not_disturb_one_another)
{
	struct worker workers[4] = {{.seed = 1}, {.seed = 2}, {.seed = 3}, {.seed = 4}};

	for (unsigned i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, hash_much, &workers[i]),
				 0);
	for (unsigned i = 0; i < 4; i++) {
		struct worker alone = {.seed = workers[i].seed};

		pthread_join(workers[i].thread, NULL);
		hash_much(&alone);
		ck_assert_mem_eq(workers[i].last, alone.last, HASH_LEN);
	}
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("hash");
	TCase *c = tcase_create("hash");

	tcase_add_test(c, blake2s_is_as_published);
	tcase_add_test(c, several_inputs_hash_as_one);
	tcase_add_test(c, mac_has_16_bytes_of_its_own_parameter_block);
	tcase_add_test(c, hmac_takes_keys_of_any_length);
	tcase_add_test(c, kdf_is_as_published);
	tcase_add_test(c, kdf_with_fewer_outputs_gives_the_same_ones);
	tcase_add_test(c, kdf_may_replace_its_own_key);
	tcase_add_test(c, threads_do_not_disturb_one_another);
	suite_add_tcase(s, c);
	return s;
}
