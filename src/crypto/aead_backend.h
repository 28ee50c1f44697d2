/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * What stands behind aead.h: back-ends, the check that each has to pass, and the choice among
 * them. Only for src/crypto and the tests. A back-end's keys begin with a struct aead_key.
 */
#pragma once

#include <string.h>

#include "crypto/aead.h"
#include "util/endian.h"

#define AEAD_NONCE_LEN 12

struct aead_backend {
	const char *name;
	/* Is this CPU one that it serves better than those behind it in the list? */
	bool (*is_preferable)(void);
	/* As the functions of the same names in aead.h; key_free() never gets NULL. */
	int (*key_new)(struct aead_key **ret, const uint8_t key[AEAD_KEY_LEN]);
	void (*key_free)(struct aead_key *k);
	size_t (*seal)(struct aead_key *k, struct aead_job *jobs, size_t n);
	size_t (*open)(struct aead_key *k, struct aead_job *jobs, size_t n);
};

struct aead_key {
	const struct aead_backend *backend;
};

extern const struct aead_backend aead_openssl;
/* Of the same name, so that it takes the place of the other where that fails the check. */
extern const struct aead_backend aead_openssl_by_init;
extern const struct aead_backend aead_ipsec_mb; /* only with HAVE_IPSEC_MB */

/*
 * Does the back-end do the same as libcrypto, with batches of 1 to 64 packets of all lengths
 * from 0 to 1600 bytes, some of them forged? 0, -EIO if it does not, -ENOMEM, or what key_new()
 * returns. Takes some milliseconds. The thread needs a number (util/thread.h).
 */
int aead_check(const struct aead_backend *backend);

/*
 * The first of the list that is preferable on this CPU and passes the check, telling the log of
 * those that fail it; or, where a name is `wanted`, the first of that name that passes, or none.
 * 0, -ENOENT if none has that name, or what aead_check() returned last.
 */
int aead_choose(const struct aead_backend **ret, const struct aead_backend *const *list, size_t n,
		const char *wanted);

static inline void aead_make_nonce(uint8_t ret[AEAD_NONCE_LEN], uint64_t counter)
{
	struct le64 c = le64_make(counter);

	memset(ret, 0, AEAD_NONCE_LEN - sizeof(c));
	memcpy(ret + AEAD_NONCE_LEN - sizeof(c), &c, sizeof(c));
}
