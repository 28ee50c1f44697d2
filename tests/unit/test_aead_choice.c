/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Which back-end is taken: the check is shown back-ends that do one thing wrong, each being
 * libcrypto's with something added.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check_main.h"
#include "crypto/aead_backend.h"
#include "util/log.h"
#include "util/thread.h"

static bool never(void)
{
	return false;
}

static bool always(void)
{
	return true;
}

/* What a back-end without any check of the tag would do. */
static size_t open_anything(struct aead_key *k, struct aead_job *jobs, size_t n)
{
	aead_openssl.open(k, jobs, n);
	for (size_t i = 0; i < n; i++)
		jobs[i].is_done = true;
	return n;
}

static size_t open_nothing(struct aead_key *k, struct aead_job *jobs, size_t n)
{
	aead_openssl.open(k, jobs, n);
	for (size_t i = 0; i < n; i++)
		jobs[i].is_done = false;
	return 0;
}

/* One forged packet spoils all behind it. */
static size_t open_until_forged(struct aead_key *k, struct aead_job *jobs, size_t n)
{
	size_t n_opened = 0;
	bool is_fine = true;

	aead_openssl.open(k, jobs, n);
	for (size_t i = 0; i < n; i++) {
		is_fine = is_fine && jobs[i].is_done;
		jobs[i].is_done = is_fine;
		n_opened += is_fine;
	}
	return n_opened;
}

/* Only one length of 1601 is wrong. */
static size_t seal_wrongly_at_1337(struct aead_key *k, struct aead_job *jobs, size_t n)
{
	size_t n_sealed = aead_openssl.seal(k, jobs, n);

	for (size_t i = 0; i < n; i++)
		if (jobs[i].len == 1337)
			jobs[i].dst[1336] ^= 1;
	return n_sealed;
}

static size_t seal_wrongly_in_batches_of_64(struct aead_key *k, struct aead_job *jobs, size_t n)
{
	size_t n_sealed = aead_openssl.seal(k, jobs, n);

	if (n == 64)
		jobs[63].dst[jobs[63].len] ^= 0x80;
	return n_sealed;
}

/* The counter's upper half is lost. */
static size_t seal_with_short_counters(struct aead_key *k, struct aead_job *jobs, size_t n)
{
	size_t n_sealed = 0;

	for (size_t i = 0; i < n; i++) {
		struct aead_job job = jobs[i];

		job.counter &= UINT32_MAX;
		n_sealed += aead_openssl.seal(k, &job, 1);
		jobs[i].is_done = job.is_done;
	}
	return n_sealed;
}

static size_t seal_and_write_beyond(struct aead_key *k, struct aead_job *jobs, size_t n)
{
	size_t n_sealed = aead_openssl.seal(k, jobs, n);

	jobs[n - 1].dst[jobs[n - 1].len + AEAD_TAG_LEN] = 0;
	return n_sealed;
}

static size_t open_and_write_beyond(struct aead_key *k, struct aead_job *jobs, size_t n)
{
	size_t n_opened = aead_openssl.open(k, jobs, n);

	jobs[n - 1].dst[jobs[n - 1].len + AEAD_TAG_LEN] = 0;
	return n_opened;
}

static struct aead_backend bad[] = {
	{.name = "opens anything", .open = open_anything},
	{.name = "opens nothing", .open = open_nothing},
	{.name = "opens until forged", .open = open_until_forged},
	{.name = "writes beyond when opening", .open = open_and_write_beyond},
	{.name = "wrong at 1337", .seal = seal_wrongly_at_1337},
	{.name = "wrong in batches of 64", .seal = seal_wrongly_in_batches_of_64},
	{.name = "short counters", .seal = seal_with_short_counters},
	{.name = "writes beyond when sealing", .seal = seal_and_write_beyond},
};

#define N_BAD (sizeof(bad) / sizeof(*bad))

static int key_refused(struct aead_key **ret, const uint8_t key[AEAD_KEY_LEN])
{
	(void)ret;
	(void)key;
	return -ENODEV;
}

static struct aead_backend good = {.name = "good"};
static struct aead_backend namesake = {.name = "good", .seal = seal_with_short_counters};
static struct aead_backend other = {.name = "other"};
static struct aead_backend foreign = {.name = "foreign", .is_preferable = never};
static struct aead_backend without_keys = {.name = "without keys", .key_new = key_refused};

static void complete(struct aead_backend *b)
{
	b->is_preferable = b->is_preferable ? b->is_preferable : always;
	b->key_new = b->key_new ? b->key_new : aead_openssl.key_new;
	b->key_free = aead_openssl.key_free;
	b->seal = b->seal ? b->seal : aead_openssl.seal;
	b->open = b->open ? b->open : aead_openssl.open;
}

static void set_up(void)
{
	ck_assert_int_eq(thread_adopt(), 0);
	log_init(LOG_SINK_STDERR, LOG_CRIT);
	for (size_t i = 0; i < N_BAD; i++)
		complete(&bad[i]);
	complete(&good);
	complete(&namesake);
	complete(&other);
	complete(&foreign);
	complete(&without_keys);
}

static void tear_down(void)
{
	log_init(LOG_SINK_STDERR, LOG_INFO);
	thread_disown();
}

START_TEST(faulty_backend_fails_the_check)
{
	ck_assert_msg(aead_check(&bad[_i]) == -EIO, "passes: %s", bad[_i].name);
}
END_TEST

START_TEST(sound_backend_passes_the_check)
{
	ck_assert_int_eq(aead_check(&good), 0);
	ck_assert_int_eq(aead_check(&aead_openssl), 0);
	ck_assert_int_eq(aead_check(&aead_openssl_by_init), 0);
}
END_TEST

START_TEST(first_that_is_sound_and_fits_the_cpu_is_taken)
{
	const struct aead_backend *const list[] = {&foreign, &bad[0], &without_keys, &good, &other};
	const char *const free_choices[] = {NULL, AEAD_AUTO};
	const struct aead_backend *chosen = NULL;

	ck_assert_int_eq(aead_choose(&chosen, list, 5, free_choices[_i]), 0);
	ck_assert_ptr_eq(chosen, &good);
}
END_TEST

/* On a CPU that it does not suit too: who names one may want to compare. */
START_TEST(one_that_is_named_is_taken)
{
	const struct aead_backend *const list[] = {&good, &foreign, &other};
	const struct aead_backend *chosen = NULL;

	ck_assert_int_eq(aead_choose(&chosen, list, 3, "foreign"), 0);
	ck_assert_ptr_eq(chosen, &foreign);
}
END_TEST

START_TEST(one_that_is_named_is_not_replaced_when_it_fails)
{
	const struct aead_backend *const list[] = {&bad[0], &without_keys, &good};
	const struct aead_backend *chosen = &other;

	ck_assert_int_eq(aead_choose(&chosen, list, 3, bad[0].name), -EIO);
	ck_assert_int_eq(aead_choose(&chosen, list, 3, "without keys"), -ENODEV);
	ck_assert_int_eq(aead_choose(&chosen, list, 3, "absent"), -ENOENT);
	ck_assert_ptr_eq(chosen, &other);
}
END_TEST

/* The two ways of libcrypto are such a pair. */
START_TEST(one_that_fails_is_replaced_by_the_next_of_its_name)
{
	const struct aead_backend *const list[] = {&namesake, &other, &good};
	const struct aead_backend *chosen = NULL;

	ck_assert_int_eq(aead_choose(&chosen, list, 3, "good"), 0);
	ck_assert_ptr_eq(chosen, &good);
}
END_TEST

START_TEST(none_that_is_sound_is_an_error)
{
	const struct aead_backend *const list[] = {&foreign, &bad[0]};
	const struct aead_backend *chosen = &other;

	ck_assert_int_eq(aead_choose(&chosen, list, 2, NULL), -EIO);
	ck_assert_ptr_eq(chosen, &other);
}
END_TEST

START_TEST(failure_is_told_once)
{
	const struct aead_backend *const list[] = {&foreign, &bad[0], &good};
	const struct aead_backend *chosen;
	char text[512] = "";
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);

	ck_assert_ptr_nonnull(file);
	log_init(LOG_SINK_STDERR, LOG_INFO);
	fflush(stderr);
	dup2(fileno(file), STDERR_FILENO);
	aead_choose(&chosen, list, 3, NULL);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	ck_assert_uint_gt(fread(text, 1, sizeof(text) - 1, file), 0);
	fclose(file);
	ck_assert_ptr_nonnull(strstr(text, bad[0].name));
	ck_assert_ptr_eq(strchr(text, '\n'), text + strlen(text) - 1);
}
END_TEST

START_TEST(libcrypto_is_always_built_in)
{
	const char *const *names = aead_backends();
	size_t n = 0;

	while (names[n])
		n++;
	ck_assert_uint_gt(n, 0);
	ck_assert_str_eq(names[n - 1], "openssl");
	ck_assert_int_eq(aead_init("openssl"), 0);
	ck_assert_str_eq(aead_backend(), "openssl");
	ck_assert_int_eq(aead_init("rot13"), -ENOENT);
	ck_assert_str_eq(aead_backend(), "openssl");
}
END_TEST

START_TEST(key_stays_with_the_backend_that_made_it)
{
	const uint8_t raw[AEAD_KEY_LEN] = {7};
	const char *const *names = aead_backends();
	uint8_t packet[100 + AEAD_TAG_LEN] = "same";
	struct aead_job job = {.dst = packet, .src = packet, .len = 100, .counter = 9};
	struct aead_key *first;
	struct aead_key *second;

	ck_assert_int_eq(aead_init(names[0]), 0);
	ck_assert_int_eq(aead_key_new(&first, raw), 0);
	ck_assert_int_eq(aead_init("openssl"), 0);
	ck_assert_int_eq(aead_key_new(&second, raw), 0);
	ck_assert_uint_eq(aead_seal(first, &job, 1), 1);
	ck_assert_uint_eq(aead_open(second, &job, 1), 1);
	ck_assert_str_eq((const char *)packet, "same");
	aead_key_free(first);
	aead_key_free(second);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("aead_choice");
	TCase *c = tcase_create("choice");

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_loop_test(c, faulty_backend_fails_the_check, 0, N_BAD);
	tcase_add_test(c, sound_backend_passes_the_check);
	tcase_add_loop_test(c, first_that_is_sound_and_fits_the_cpu_is_taken, 0, 2);
	tcase_add_test(c, one_that_is_named_is_taken);
	tcase_add_test(c, one_that_is_named_is_not_replaced_when_it_fails);
	tcase_add_test(c, one_that_fails_is_replaced_by_the_next_of_its_name);
	tcase_add_test(c, none_that_is_sound_is_an_error);
	tcase_add_test(c, failure_is_told_once);
	tcase_add_test(c, libcrypto_is_always_built_in);
	tcase_add_test(c, key_stays_with_the_backend_that_made_it);
	suite_add_tcase(s, c);
	return s;
}
