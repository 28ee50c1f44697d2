/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/urgent.h"

#include <errno.h>
#include <stdlib.h>

#include "wire/inner.h"

int urgent_new(struct urgent **ret, nsec_t now)
{
	struct urgent *u = calloc(1, sizeof(*u));

	if (!u)
		return -ENOMEM;
	u->credit = URGENT_CREDIT_MAX;
	u->credited_at = now;
	*ret = u;
	return 0;
}

void urgent_free(struct urgent *u)
{
	free(u);
}

bool urgent_is(struct sparse *flows, const uint8_t *packet, size_t len, nsec_t now)
{
	struct sparse *f = sparse_find(flows, inner_flow(packet, len, 0));

	sparse_note(f, len, now);
	if (sparse_is(f, now))
		return true;
	return f->bytes <= URGENT_FLOW_BYTES && inner_is_urgent(packet, len);
}

static void earn(struct urgent *u, double rate, nsec_t now)
{
	double seconds = (double)(now - u->credited_at) / (double)NSEC_PER_SEC;
	double bytes = rate / URGENT_SHARE * seconds;

	if (bytes < 1)
		return; /* it goes on counting */
	u->credit += bytes < URGENT_CREDIT_MAX ? (uint64_t)bytes : URGENT_CREDIT_MAX;
	if (u->credit > URGENT_CREDIT_MAX)
		u->credit = URGENT_CREDIT_MAX;
	u->credited_at = now;
}

static void count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

bool urgent_may_copy(struct urgent *u, uint32_t packets, uint64_t bytes, double rate, nsec_t now)
{
	earn(u, rate, now);
	if (u->credit >= bytes)
		return true;
	count(&u->refused, packets);
	return false;
}

void urgent_copied(struct urgent *u, uint32_t packets, uint64_t bytes)
{
	u->credit -= bytes;
	count(&u->packets, packets);
	count(&u->bytes, bytes);
}
