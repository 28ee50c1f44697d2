/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Sealing and opening, by back-end and length of the packet and of the batch. Sealed in place;
 * opened into another buffer, so that what is opened stays sealed.
 */
#include "bench.h"

#include "crypto/aead.h"
#include "util/thread.h"

#define BATCH_MAX 45 /* full packets of a burst */
#define LEN_MAX 1420
#define STRIDE (LEN_MAX + AEAD_TAG_LEN)

struct batch {
	struct aead_key *key;
	struct aead_job jobs[BATCH_MAX];
	size_t n;
};

static void seal(void *ctx, size_t n)
{
	struct batch *b = ctx;

	while (n-- > 0)
		bench_need(aead_seal(b->key, b->jobs, b->n) == b->n, "sealing");
}

static void open_all(void *ctx, size_t n)
{
	struct batch *b = ctx;

	while (n-- > 0)
		bench_need(aead_open(b->key, b->jobs, b->n) == b->n, "opening");
}

static void measure(struct batch *b, uint8_t *sealed, uint8_t *opened, size_t len, size_t n)
{
	char name[64];

	b->n = n;
	for (size_t i = 0; i < n; i++)
		b->jobs[i] = (struct aead_job){
			.dst = sealed + i * STRIDE,
			.src = sealed + i * STRIDE,
			.len = len,
			.counter = i,
		};
	snprintf(name, sizeof(name), "%s/seal/%zu/batch=%zu", aead_backend(), len, n);
	bench_run(name, "packet", n, seal, b);

	for (size_t i = 0; i < n; i++)
		b->jobs[i].dst = opened + i * STRIDE;
	snprintf(name, sizeof(name), "%s/open/%zu/batch=%zu", aead_backend(), len, n);
	bench_run(name, "packet", n, open_all, b);
}

static void measure_backend(const char *backend, uint8_t *sealed, uint8_t *opened)
{
	static const size_t lens[] = {64, 256, LEN_MAX}, batches[] = {1, 8, BATCH_MAX};
	static const uint8_t key[AEAD_KEY_LEN] = {1, 2, 3};
	struct batch b = {0};

	if (aead_init(backend) < 0) {
		printf("aead/%s: not on this machine\n", backend);
		return;
	}
	bench_need(aead_key_new(&b.key, key) == 0, "making a key");
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		for (size_t j = 0; j < sizeof(batches) / sizeof(batches[0]); j++)
			measure(&b, sealed, opened, lens[i], batches[j]);
	aead_key_free(b.key);
}

int main(void)
{
	uint8_t *sealed = bench_alloc((size_t)BATCH_MAX * STRIDE, 0x5a);
	uint8_t *opened = bench_alloc((size_t)BATCH_MAX * STRIDE, 0);

	bench_need(thread_adopt() == 0, "becoming a thread");
	for (const char *const *name = aead_backends(); *name; name++)
		measure_backend(*name, sealed, opened);
	thread_disown();
	free(sealed);
	free(opened);
	return EXIT_SUCCESS;
}
