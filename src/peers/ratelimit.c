/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A bucket is one time: when it will be full again if nothing more is taken from it. One that is
 * full already tells nothing, so its entry may be given to another source; a source whose set has
 * no such entry is refused. Sets are chosen by a secret, so that nobody fills one at will.
 */
#include "peers/ratelimit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keys.h"

#define SETS_LOG2 10
#define WAYS 8
#define COST (NSEC_PER_SEC / RATELIMIT_PER_SECOND)

struct bucket {
	uint64_t network; /* IPv4 address, or the first half of the IPv6 address */
	nsec_t full_at;
	sa_family_t family;
	uint16_t port; /* 0: any */
};

struct ratelimit {
	uint64_t secret[2];
	bool has_ports;
	struct bucket sets[1 << SETS_LOG2][WAYS];
};

int ratelimit_new(struct ratelimit **ret, bool has_ports)
{
	struct ratelimit *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	keys_random(r->secret, sizeof(r->secret));
	r->secret[0] |= 1;
	r->has_ports = has_ports;
	*ret = r;
	return 0;
}

void ratelimit_free(struct ratelimit *r)
{
	free(r);
}

static uint64_t network_of(const struct addr *from)
{
	uint64_t network = 0;

	if (from->sa.sa_family == AF_INET)
		return from->v4.sin_addr.s_addr;
	if (from->sa.sa_family == AF_INET6)
		memcpy(&network, &from->v6.sin6_addr, sizeof(network));
	return network;
}

static struct bucket *set_of(struct ratelimit *r, uint64_t network, uint32_t family_and_port)
{
	uint64_t mixed = (network ^ r->secret[1]) + family_and_port;

	mixed = (mixed ^ mixed >> 32) * r->secret[0];
	mixed = (mixed ^ mixed >> 32) * r->secret[0];
	return r->sets[mixed >> (64 - SETS_LOG2)];
}

/* The source's bucket, perhaps a new one; NULL if there is no room for it. */
static struct bucket *find(struct ratelimit *r, const struct addr *from, nsec_t now)
{
	uint64_t network = network_of(from);
	sa_family_t family = from->sa.sa_family;
	uint16_t port = r->has_ports ? addr_port(from) : 0;
	struct bucket *set = set_of(r, network, (uint32_t)family << 16 | port);
	struct bucket *unused = NULL;

	for (unsigned i = 0; i < WAYS; i++) {
		if (set[i].network == network && set[i].family == family && set[i].port == port)
			return &set[i];
		if (set[i].full_at <= now)
			unused = &set[i];
	}
	if (unused)
		*unused = (struct bucket){.network = network, .family = family, .port = port};
	return unused;
}

bool ratelimit_allows(struct ratelimit *r, const struct addr *from, nsec_t now)
{
	struct bucket *b = find(r, from, now);
	nsec_t full_at;

	if (!b)
		return false;
	full_at = nsec_max(b->full_at, now) + COST;
	if (full_at - now > RATELIMIT_BURST * COST)
		return false;
	b->full_at = full_at;
	return true;
}
