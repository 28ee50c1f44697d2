/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Allowed IPs: which peer owns an inner address, by longest prefix; both ways (the destination
 * of what we send, the source of what we receive). An immutable trie per family: looked up by
 * any thread inside a read section, rebuilt as a whole by its one writer.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "util/addr.h"
#include "util/rcu.h"

struct allowedips; /* one snapshot */

struct allowedip {
	struct prefix prefix;
	void *owner;
};

/* Builds a snapshot; of equal prefixes the later entry wins. 0 or -ENOMEM. */
int allowedips_new(struct allowedips **ret, const struct allowedip *entries, size_t n);
void allowedips_free(struct allowedips *a);
/* Frees it once no reader can hold it. */
void allowedips_retire(struct allowedips *a);

/* Whose this very prefix is; NULL: nobody's. */
void *allowedips_owner(const struct allowedips *a, const struct prefix *prefix);
/* `address` is 4 or 16 bytes in network order. NULL: nobody's. `a` may be NULL. */
void *allowedips_find(const struct allowedips *a, uint8_t family, const uint8_t *address);
