/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Batches of 1, 2, ... 64 packets. Their lengths go on from batch to batch in steps of STEP
 * modulo a prime, so that the 2080 packets have every length, and each batch has short and long
 * ones. Counters use all of their 64 bits.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/aead_backend.h"

#define BATCH_MAX 64
#define LENS 1601 /* 0 to 1600; a prime */
#define STEP 1013
#define COUNTER_STEP 0x9e3779b97f4a7c15

/* What lies behind the tag, or before it is sealed behind the text, must stay as it is. */
#define GUARD 0xa5
#define SLOT (LENS + AEAD_TAG_LEN + 15)

struct check {
	const struct aead_backend *backend;
	struct aead_key *key;
	uint64_t n_packets; /* until now */
	struct aead_job jobs[BATCH_MAX];
	bool is_forged[BATCH_MAX];
	uint8_t plain[BATCH_MAX][SLOT];
	uint8_t packets[BATCH_MAX][SLOT]; /* sealed and opened in place */
};

static const uint8_t check_key[AEAD_KEY_LEN] = "what the check of back-ends uses";

static void make_batch(struct check *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t number = c->n_packets++;

		c->jobs[i] = (struct aead_job){
			.dst = c->packets[i],
			.src = c->packets[i],
			.len = number * STEP % LENS,
			.counter = number * COUNTER_STEP,
		};
		memset(c->plain[i], GUARD, SLOT);
		for (size_t at = 0; at < c->jobs[i].len; at++)
			c->plain[i][at] = (uint8_t)(number * 31 + at * 7);
		memcpy(c->packets[i], c->plain[i], SLOT);
	}
}

static bool is_as_libcrypto_seals(const struct check *c, size_t i)
{
	const struct aead_job *job = &c->jobs[i];
	uint8_t nonce[AEAD_NONCE_LEN];
	uint8_t expected[SLOT];

	memset(expected, GUARD, SLOT);
	aead_make_nonce(nonce, job->counter);
	return job->is_done &&
	       aead_seal_once(expected, c->plain[i], job->len, NULL, 0, nonce, check_key) == 0 &&
	       !memcmp(c->packets[i], expected, SLOT);
}

static bool seals(struct check *c, size_t n)
{
	if (c->backend->seal(c->key, c->jobs, n) != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_as_libcrypto_seals(c, i))
			return false;
	return true;
}

/* Changes one bit of every third packet, in turn all over text and tag. Returns how many. */
static size_t forge(struct check *c, size_t n)
{
	size_t n_forged = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t number = c->n_packets - n + i;
		size_t bits = 8 * (c->jobs[i].len + AEAD_TAG_LEN);
		size_t bit = bits - 1 - number * STEP % (number % 2 ? bits : 8 * AEAD_TAG_LEN);

		c->is_forged[i] = number % 3 == 0;
		if (c->is_forged[i])
			c->packets[i][bit / 8] ^= (uint8_t)(1 << bit % 8);
		n_forged += c->is_forged[i];
	}
	return n_forged;
}

static bool opens(struct check *c, size_t n)
{
	size_t n_forged = forge(c, n);

	if (c->backend->open(c->key, c->jobs, n) != n - n_forged)
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct aead_job *job = &c->jobs[i];
		const uint8_t *behind = c->packets[i] + job->len + AEAD_TAG_LEN;

		if (job->is_done == c->is_forged[i])
			return false;
		if (job->is_done && memcmp(c->packets[i], c->plain[i], job->len) != 0)
			return false;
		if (memcmp(behind, c->plain[i] + job->len + AEAD_TAG_LEN,
			   SLOT - AEAD_TAG_LEN - job->len) != 0)
			return false;
	}
	return true;
}

int aead_check(const struct aead_backend *backend)
{
	struct check *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->backend = backend;
	r = backend->key_new(&c->key, check_key);
	for (size_t n = 1; r == 0 && n <= BATCH_MAX; n++) {
		make_batch(c, n);
		if (!seals(c, n) || !opens(c, n))
			r = -EIO;
	}
	if (c->key)
		backend->key_free(c->key);
	free(c);
	return r;
}
