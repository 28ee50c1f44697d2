/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "crypto/aead.h"

#include <errno.h>
#include <string.h>

#include "crypto/aead_backend.h"
#include "util/log.h"

/* The one to prefer first; the last two serve every CPU. */
static const struct aead_backend *const backends[] = {
#ifdef HAVE_IPSEC_MB
	&aead_ipsec_mb,
#endif
	&aead_openssl,
	&aead_openssl_by_init,
};

#define N_BACKENDS (sizeof(backends) / sizeof(*backends))

_Static_assert(N_BACKENDS <= AEAD_BACKENDS_MAX, "all must fit in what aead_backends() returns");

/* Written before other threads start. */
static const struct aead_backend *chosen = &aead_openssl;

const char *const *aead_backends(void)
{
	static const char *names[AEAD_BACKENDS_MAX + 1];

	/* The last goes by the name of the one before it. */
	for (size_t i = 0; i < N_BACKENDS - 1; i++)
		names[i] = backends[i]->name;
	return names;
}

int aead_choose(const struct aead_backend **ret, const struct aead_backend *const *list, size_t n,
		const char *wanted)
{
	bool is_free = !wanted || !strcmp(wanted, AEAD_AUTO);
	int r = -ENOENT;

	for (size_t i = 0; i < n; i++) {
		if (is_free ? !list[i]->is_preferable() : strcmp(list[i]->name, wanted) != 0)
			continue;
		r = aead_check(list[i]);
		if (r == 0) {
			*ret = list[i];
			return 0;
		}
		log_warn("AEAD back-end %s fails its check (%s)", list[i]->name, strerror(-r));
	}
	return r;
}

int aead_init(const char *wanted)
{
	return aead_choose(&chosen, backends, N_BACKENDS, wanted);
}

const char *aead_backend(void)
{
	return chosen->name;
}

int aead_key_new(struct aead_key **ret, const uint8_t key[AEAD_KEY_LEN])
{
	return chosen->key_new(ret, key);
}

void aead_key_free(struct aead_key *k)
{
	if (k)
		k->backend->key_free(k);
}

size_t aead_seal(struct aead_key *k, struct aead_job *jobs, size_t n)
{
	return k->backend->seal(k, jobs, n);
}

size_t aead_open(struct aead_key *k, struct aead_job *jobs, size_t n)
{
	return k->backend->open(k, jobs, n);
}
