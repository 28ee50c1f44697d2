/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Finding the peer of an address among few and many prefixes, all of them /24 or /64. */
#include "bench.h"

#include <netinet/in.h>

#include "peers/allowedips.h"

#define ADDRESSES 4096 /* a power of two; looked up in turn */

struct table {
	struct allowedips *ips;
	struct allowedip *entries;
	uint8_t family;
	uint8_t addresses[ADDRESSES][16];
};

static void find(void *ctx, size_t n)
{
	const struct table *t = ctx;

	for (size_t i = 0; i < n; i++)
		bench_keep(allowedips_find(t->ips, t->family, t->addresses[i % ADDRESSES]));
}

/* Random within 0.0.0.0/1 or fd00::/8: not all of them are to be told apart by the first bits. */
static struct prefix random_prefix(uint8_t family, uint64_t *random)
{
	struct prefix p = {.family = family, .len = family == AF_INET ? 24 : 64};
	uint64_t bits = bench_random(random);

	memcpy(p.bytes, &bits, p.len / 8);
	p.bytes[0] = family == AF_INET ? p.bytes[0] & 0x7f : 0xfd;
	return p;
}

static void fill(struct table *t, size_t n)
{
	uint64_t random = 0x2545f4914f6cdd1d;

	for (size_t i = 0; i < n; i++)
		t->entries[i] = (struct allowedip){random_prefix(t->family, &random), t};
	for (size_t i = 0; i < ADDRESSES; i++) {
		const struct prefix *p = &t->entries[bench_random(&random) % n].prefix;

		memcpy(t->addresses[i], p->bytes, sizeof(t->addresses[i]));
		t->addresses[i][p->len / 8] = (uint8_t)i;
	}
}

static void measure(uint8_t family, size_t n)
{
	struct table *t = bench_alloc(sizeof(*t), 0);
	char name[64];

	t->family = family;
	t->entries = bench_alloc(n * sizeof(t->entries[0]), 0);
	fill(t, n);
	bench_need(allowedips_new(&t->ips, t->entries, n) == 0, "building the table");
	bench_need(allowedips_find(t->ips, family, t->addresses[0]) == t, "finding an address");
	snprintf(name, sizeof(name), "allowedips/ipv%d/%zu", family == AF_INET ? 4 : 6, n);
	bench_run(name, "look-up", 1, find, t);
	allowedips_free(t->ips);
	free(t->entries);
	free(t);
}

int main(void)
{
	static const size_t sizes[] = {1, 1000, 100000};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		measure(AF_INET, sizes[i]);
		measure(AF_INET6, sizes[i]);
	}
	return EXIT_SUCCESS;
}
