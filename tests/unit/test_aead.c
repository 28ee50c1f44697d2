/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "crypto/aead.h"

#include <errno.h>
#include <string.h>

#include "check_main.h"
#include "crypto/xaead.h"
#include "util/endian.h"
#include "util/thread.h"
#include "vectors.h"

#define PACKET_LEN 1420
#define BATCH 64

static const uint8_t test_key[AEAD_KEY_LEN] = "a key of at most 32 bytes";
static struct aead_key *key;

static void setup(void)
{
	ck_assert_int_eq(thread_adopt(), 0);
}

static void teardown(void)
{
	aead_key_free(key);
	key = NULL;
	thread_disown();
}

/* What is about batches is tried with each back-end that is built in. */
static void begin(int backend)
{
	const char *name = aead_backends()[backend];

	ck_assert_int_eq(aead_init(name), 0);
	ck_assert_str_eq(aead_backend(), name);
	ck_assert_int_eq(aead_key_new(&key, test_key), 0);
}

static int n_backends(void)
{
	int n = 0;

	while (aead_backends()[n])
		n++;
	return n;
}

/* One group of cases that aead_..._once() and xaead_...() share. */
typedef int (*once_fn)(uint8_t *dst, const uint8_t *src, size_t len, const uint8_t *aad,
		       size_t aad_len, const uint8_t *nonce, const uint8_t *key);

static void check_published(const char *group, once_fn seal, once_fn open)
{
	struct json_object *root = vectors_open("aead.json");
	struct json_object *cases = vectors_cases(root, group);

	for (size_t i = 0; i < json_object_array_length(cases); i++) {
		struct json_object *c = json_object_array_get_idx(cases, i);
		struct bytes k = vectors_bytes(c, "key");
		struct bytes nonce = vectors_bytes(c, "nonce");
		struct bytes aad = vectors_bytes(c, "aad");
		struct bytes plain = vectors_bytes(c, "plain");
		struct bytes want = vectors_bytes(c, "cipher_and_tag");
		uint8_t buf[sizeof(plain.data)];

		ck_assert_int_eq(
			seal(buf, plain.data, plain.len, aad.data, aad.len, nonce.data, k.data), 0);
		ck_assert_uint_eq(want.len, plain.len + AEAD_TAG_LEN);
		ck_assert_mem_eq(buf, want.data, want.len);
		ck_assert_int_eq(open(buf, buf, plain.len, aad.data, aad.len, nonce.data, k.data),
				 0);
		ck_assert_mem_eq(buf, plain.data, plain.len);
		aad.data[0] ^= 1;
		ck_assert_int_eq(
			open(buf, want.data, plain.len, aad.data, aad.len, nonce.data, k.data),
			-EBADMSG);
	}
	json_object_put(root);
}

START_TEST(single_messages_are_as_published)
{
	check_published("chacha20_poly1305", aead_seal_once, aead_open_once);
}
END_TEST

START_TEST(long_nonces_are_as_published)
{
	check_published("xchacha20_poly1305", xaead_seal, xaead_open);
}
END_TEST

START_TEST(hchacha20_is_as_published)
{
	struct json_object *root = vectors_open("aead.json");
	struct json_object *c = vectors_get(root, "hchacha20");
	uint8_t out[32];

	hchacha20(out, vectors_bytes(c, "nonce").data, vectors_bytes(c, "key").data);
	ck_assert_mem_eq(out, vectors_bytes(c, "out").data, sizeof(out));
	json_object_put(root);
}
END_TEST

START_TEST(nonce_is_the_counter)
{
	struct json_object *root = vectors_open("aead.json");
	struct json_object *cases = vectors_cases(root, "transport");

	begin(_i);
	for (size_t i = 0; i < json_object_array_length(cases); i++) {
		struct json_object *c = json_object_array_get_idx(cases, i);
		struct bytes nonce = vectors_bytes(c, "nonce");
		struct bytes plain = vectors_bytes(c, "plain");
		struct bytes want = vectors_bytes(c, "cipher_and_tag");
		struct aead_key *k;
		struct aead_job job = {.dst = plain.data, .src = plain.data, .len = plain.len};
		struct le64 counter;

		memcpy(&counter, nonce.data + 4, sizeof(counter));
		job.counter = le64_get(counter);
		ck_assert_int_eq(aead_key_new(&k, vectors_bytes(c, "key").data), 0);
		ck_assert_uint_eq(aead_seal(k, &job, 1), 1);
		ck_assert(job.is_done);
		ck_assert_mem_eq(plain.data, want.data, want.len);
		aead_key_free(k);
	}
	json_object_put(root);
}
END_TEST

/* A batch of packets of several lengths, all in place, sealed from recognisable bytes. */
static uint8_t packets[BATCH][PACKET_LEN + AEAD_TAG_LEN];
static struct aead_job jobs[BATCH];

static uint8_t plain_byte(size_t packet, size_t i)
{
	return (uint8_t)(packet * 31 + i);
}

static void make_batch(void)
{
	for (size_t p = 0; p < BATCH; p++) {
		jobs[p] = (struct aead_job){
			.dst = packets[p],
			.src = packets[p],
			.len = PACKET_LEN * p / (BATCH - 1),
			.counter = 1000 + p,
		};
		for (size_t i = 0; i < jobs[p].len; i++)
			packets[p][i] = plain_byte(p, i);
	}
	ck_assert_uint_eq(aead_seal(key, jobs, BATCH), BATCH);
}

static bool is_plain(const uint8_t *text, size_t packet)
{
	for (size_t i = 0; i < jobs[packet].len; i++)
		if (text[i] != plain_byte(packet, i))
			return false;
	return true;
}

START_TEST(batch_opens_to_what_was_sealed)
{
	begin(_i);
	make_batch();
	for (size_t p = 1; p < BATCH; p++)
		ck_assert(!is_plain(packets[p], p));
	ck_assert_uint_eq(aead_open(key, jobs, BATCH), BATCH);
	for (size_t p = 0; p < BATCH; p++) {
		ck_assert(jobs[p].is_done);
		ck_assert(is_plain(packets[p], p));
	}
}
END_TEST

START_TEST(bad_packet_does_not_harm_its_neighbours)
{
	begin(_i);
	make_batch();
	packets[7][3] ^= 1;
	packets[9][jobs[9].len + 15] ^= 0x80;
	jobs[20].counter++;
	ck_assert_uint_eq(aead_open(key, jobs, BATCH), BATCH - 3);
	for (size_t p = 0; p < BATCH; p++) {
		bool is_bad = p == 7 || p == 9 || p == 20;

		ck_assert_int_eq(jobs[p].is_done, !is_bad);
		ck_assert(is_bad || is_plain(packets[p], p));
	}
}
END_TEST

/* More than a back-end takes at once, and none. */
START_TEST(batches_may_have_any_size)
{
	static uint8_t many[200][40 + AEAD_TAG_LEN];
	static struct aead_job long_batch[200];

	begin(_i);
	memset(many, 0, sizeof(many));
	for (size_t i = 0; i < 200; i++)
		long_batch[i] = (struct aead_job){
			.dst = many[i], .src = many[i], .len = i % 41, .counter = i};
	ck_assert_uint_eq(aead_seal(key, long_batch, 0), 0);
	ck_assert_uint_eq(aead_seal(key, long_batch, 200), 200);
	many[130][0] ^= 1;
	ck_assert_uint_eq(aead_open(key, long_batch, 200), 199);
	for (size_t i = 0; i < 200; i++)
		ck_assert_int_eq(long_batch[i].is_done, i != 130);
}
END_TEST

START_TEST(every_corrupted_bit_is_noticed)
{
	uint8_t sealed[32 + AEAD_TAG_LEN] = "thirty-two bytes of plain text..";
	uint8_t plain[32];
	struct aead_job seal = {.dst = sealed, .src = sealed, .len = 32, .counter = 5};
	struct aead_job open = {.dst = plain, .src = sealed, .len = 32, .counter = 5};

	begin(_i);
	ck_assert_uint_eq(aead_seal(key, &seal, 1), 1);
	for (size_t bit = 0; bit < 8 * sizeof(sealed); bit++) {
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		ck_assert_uint_eq(aead_open(key, &open, 1), 0);
		ck_assert(!open.is_done);
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	ck_assert_uint_eq(aead_open(key, &open, 1), 1);
	ck_assert_mem_eq(plain, "thirty-two bytes of plain text..", 32);
}
END_TEST

START_TEST(output_elsewhere_leaves_the_input_alone)
{
	const uint8_t plain[50] = "written once";
	uint8_t sealed[50 + AEAD_TAG_LEN];
	uint8_t before[sizeof(sealed)];
	uint8_t opened[50 + 1];
	struct aead_job job = {.dst = sealed, .src = plain, .len = 50, .counter = 1};

	begin(_i);
	ck_assert_uint_eq(aead_seal(key, &job, 1), 1);
	memcpy(before, sealed, sizeof(sealed));
	opened[50] = 0x5a;
	job.dst = opened;
	job.src = sealed;
	ck_assert_uint_eq(aead_open(key, &job, 1), 1);
	ck_assert_mem_eq(sealed, before, sizeof(sealed));
	ck_assert_mem_eq(opened, plain, sizeof(plain));
	ck_assert_uint_eq(opened[50], 0x5a);
}
END_TEST

START_TEST(another_key_opens_nothing)
{
	const uint8_t other_key[AEAD_KEY_LEN] = {1};
	struct aead_key *other;

	begin(_i);
	make_batch();
	ck_assert_int_eq(aead_key_new(&other, other_key), 0);
	ck_assert_uint_eq(aead_open(other, jobs, BATCH), 0);
	aead_key_free(other);
}
END_TEST

START_TEST(single_message_and_batch_agree)
{
	uint8_t nonce[12] = {0};
	uint8_t plain[100] = "same";
	uint8_t a[100 + AEAD_TAG_LEN];
	uint8_t b[100 + AEAD_TAG_LEN];
	struct aead_job job = {.dst = a, .src = plain, .len = sizeof(plain), .counter = 0x0102};

	begin(_i);
	nonce[4] = 2;
	nonce[5] = 1;
	ck_assert_uint_eq(aead_seal(key, &job, 1), 1);
	ck_assert_int_eq(aead_seal_once(b, plain, sizeof(plain), NULL, 0, nonce, test_key), 0);
	ck_assert_mem_eq(a, b, sizeof(a));
}
END_TEST

struct worker {
	struct thread thread;
	uint64_t first_counter;
	unsigned failures;
};

static void seal_and_open(void *arg)
{
	struct worker *w = arg;
	uint8_t buf[300 + AEAD_TAG_LEN] = {0};
	const uint8_t zero[300] = {0};

	for (unsigned i = 0; i < 2000; i++) {
		struct aead_job job = {
			.dst = buf, .src = buf, .len = 300, .counter = w->first_counter + i};

		if (aead_seal(key, &job, 1) != 1 || !memcmp(buf, zero, sizeof(zero)))
			w->failures++;
		if (aead_open(key, &job, 1) != 1 || memcmp(buf, zero, sizeof(zero)))
			w->failures++;
	}
}

START_TEST(threads_share_a_key)
{
	struct worker workers[3] = {
		{.first_counter = 0}, {.first_counter = 1ULL << 20}, {.first_counter = 1ULL << 40}};

	begin(_i);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(
			thread_start(&workers[i].thread, "worker", seal_and_open, &workers[i]), 0);
	for (unsigned i = 0; i < 3; i++) {
		thread_join(&workers[i].thread);
		ck_assert_uint_eq(workers[i].failures, 0);
	}
}
END_TEST

START_TEST(freeing_no_key_is_fine)
{
	aead_key_free(NULL);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("aead");
	TCase *c = tcase_create("aead");
	int n = n_backends();

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, single_messages_are_as_published);
	tcase_add_test(c, long_nonces_are_as_published);
	tcase_add_test(c, hchacha20_is_as_published);
	tcase_add_loop_test(c, nonce_is_the_counter, 0, n);
	tcase_add_loop_test(c, batch_opens_to_what_was_sealed, 0, n);
	tcase_add_loop_test(c, bad_packet_does_not_harm_its_neighbours, 0, n);
	tcase_add_loop_test(c, batches_may_have_any_size, 0, n);
	tcase_add_loop_test(c, every_corrupted_bit_is_noticed, 0, n);
	tcase_add_loop_test(c, output_elsewhere_leaves_the_input_alone, 0, n);
	tcase_add_loop_test(c, another_key_opens_nothing, 0, n);
	tcase_add_loop_test(c, single_message_and_batch_agree, 0, n);
	tcase_add_loop_test(c, threads_share_a_key, 0, n);
	tcase_add_test(c, freeing_no_key_is_fine);
	suite_add_tcase(s, c);
	return s;
}
