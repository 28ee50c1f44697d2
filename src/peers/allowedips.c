/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A path-compressed binary trie: a node stands for a prefix, its children continue it with a 0
 * or a 1, and bits that all prefixes below a node share are skipped. n prefixes need at most
 * 2n nodes; they lie in one array, in which number 0 means "none".
 */
#include "peers/allowedips.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/container.h"
#include "util/endian.h"

/* An address as two words of host order, its first bit being the highest of `hi`. */
struct key {
	uint64_t hi;
	uint64_t lo;
};

struct node {
	struct key key;
	void *owner; /* NULL: a mere fork */
	uint32_t child[2];
	uint8_t len;
};

struct allowedips {
	struct rcu_link rcu;
	uint32_t root_v4;
	uint32_t root_v6;
	uint32_t used;
	struct node nodes[];
};

static inline struct key key_v4(const uint8_t address[4])
{
	struct be32 word;

	memcpy(&word, address, sizeof(word));
	return (struct key){.hi = (uint64_t)be32_get(word) << 32};
}

static inline struct key key_v6(const uint8_t address[16])
{
	struct be64 words[2];

	memcpy(words, address, sizeof(words));
	return (struct key){be64_get(words[0]), be64_get(words[1])};
}

/* The bit that comes after a prefix of `position` bits, 0..127. */
static inline unsigned bit_at(struct key k, unsigned position)
{
	return (unsigned)((position < 64 ? k.hi << position : k.lo << (position - 64)) >> 63);
}

static inline bool shares_prefix(struct key a, struct key b, unsigned len)
{
	if (len == 0)
		return true;
	if (len <= 64)
		return (a.hi ^ b.hi) >> (64 - len) == 0;
	return a.hi == b.hi && (a.lo ^ b.lo) >> (128 - len) == 0;
}

static unsigned common_bits(struct key a, struct key b)
{
	if (a.hi != b.hi)
		return (unsigned)__builtin_clzll(a.hi ^ b.hi);
	if (a.lo != b.lo)
		return 64 + (unsigned)__builtin_clzll(a.lo ^ b.lo);
	return 128;
}

static uint32_t add_node(struct allowedips *a, struct key key, unsigned len, void *owner)
{
	a->nodes[++a->used] = (struct node){.key = key, .owner = owner, .len = (uint8_t)len};
	return a->used;
}

/* Puts a new node in the place of `*slot`, which shares but `common` bits with it. */
static void split(struct allowedips *a, uint32_t *slot, unsigned common, uint32_t added)
{
	struct node *n = &a->nodes[added];
	uint32_t below = *slot;

	if (common == n->len) {
		n->child[bit_at(a->nodes[below].key, common)] = below;
		*slot = added;
		return;
	}
	*slot = add_node(a, n->key, common, NULL);
	a->nodes[*slot].child[bit_at(n->key, common)] = added;
	a->nodes[*slot].child[bit_at(a->nodes[below].key, common)] = below;
}

static void insert(struct allowedips *a, uint32_t *slot, struct key key, unsigned len, void *owner)
{
	while (*slot) {
		struct node *n = &a->nodes[*slot];
		unsigned common = common_bits(n->key, key);

		if (common > len)
			common = len;
		if (common < n->len) {
			split(a, slot, common, add_node(a, key, len, owner));
			return;
		}
		if (n->len == len) {
			n->owner = owner;
			return;
		}
		slot = &n->child[bit_at(key, n->len)];
	}
	*slot = add_node(a, key, len, owner);
}

int allowedips_new(struct allowedips **ret, const struct allowedip *entries, size_t n)
{
	struct allowedips *a;

	if (n >= UINT32_MAX / 2)
		return -ENOMEM;
	a = malloc(sizeof(*a) + (2 * n + 1) * sizeof(a->nodes[0]));
	if (!a)
		return -ENOMEM;
	a->used = a->root_v4 = a->root_v6 = 0;
	for (size_t i = 0; i < n; i++) {
		const struct prefix *p = &entries[i].prefix;

		if (p->family == AF_INET)
			insert(a, &a->root_v4, key_v4(p->bytes), p->len, entries[i].owner);
		else
			insert(a, &a->root_v6, key_v6(p->bytes), p->len, entries[i].owner);
	}
	*ret = a;
	return 0;
}

void allowedips_free(struct allowedips *a)
{
	free(a);
}

static void release(struct rcu_link *link)
{
	allowedips_free(container_of(link, struct allowedips, rcu));
}

void allowedips_retire(struct allowedips *a)
{
	if (a)
		rcu_retire(&a->rcu, release);
}

void *allowedips_owner(const struct allowedips *a, const struct prefix *prefix)
{
	bool is_v4 = prefix->family == AF_INET;
	struct key key = is_v4 ? key_v4(prefix->bytes) : key_v6(prefix->bytes);
	uint32_t at = is_v4 ? a->root_v4 : a->root_v6;

	while (at) {
		const struct node *n = &a->nodes[at];

		if (n->len > prefix->len || !shares_prefix(n->key, key, n->len))
			return NULL;
		if (n->len == prefix->len)
			return n->owner;
		at = n->child[bit_at(key, n->len)];
	}
	return NULL;
}

/* Inline, so that each family gets a loop of its own. */
static inline void *walk(const struct allowedips *a, uint32_t at, struct key key, unsigned bits)
{
	void *owner = NULL;

	while (at) {
		const struct node *n = &a->nodes[at];

		if (!shares_prefix(n->key, key, n->len))
			break;
		if (n->owner)
			owner = n->owner;
		if (n->len == bits)
			break;
		at = n->child[bit_at(key, n->len)];
	}
	return owner;
}

void *allowedips_find(const struct allowedips *a, uint8_t family, const uint8_t *address)
{
	if (!a)
		return NULL;
	if (family == AF_INET)
		return walk(a, a->root_v4, key_v4(address), 32);
	if (family == AF_INET6)
		return walk(a, a->root_v6, key_v6(address), 128);
	return NULL;
}
