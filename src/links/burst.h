/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Burst: up to BURST_DATAGRAMS datagrams of equal length (the last may be shorter), one after
 * the other in one buffer. It is what moves between threads: as one slot of a link's ring, one
 * sendmsg with UDP_SEGMENT, one received message with UDP_GRO, one entry of a receive lane.
 * It comes from a pool and is counted, since one burst may leave over several links.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/addr.h"
#include "util/clock.h"
#include "util/pool.h"

struct bond;
struct keypair;
struct link;

/* Where a datagram goes to or came from. */
struct endpoint {
	struct addr remote;
	struct addr local; /* our own address towards it; AF_UNSPEC: the system chooses */
};

#define BURST_DATAGRAMS 64    /* UDP_MAX_SEGMENTS of Linux before 6.9 */
#define BINDING_NONE 0xff     /* of a burst that may take any path */
#define BURST_BYTES_MAX 65507 /* the largest UDP payload over IPv4 */

struct burst {
	struct pool *pool;
	_Atomic uint32_t refs;
	uint32_t len;	    /* bytes in `data` */
	uint32_t stride;    /* of every datagram, except that the last may be shorter */
	uint32_t n;	    /* datagrams */
	struct burst *next; /* in whatever chain it is in */
	struct bond *bond;  /* whose it is, where that matters */
	uint64_t first;	    /* its first counter, while it is being sealed as a whole */
	struct keypair
		*session;  /* a reference, while it is being filled, or until the lane is done */
	bool is_mtu_probe; /* not to be fragmented; that it is too large is not an error */
	bool is_urgent;	   /* data that needs low delay, not a high rate */
	uint8_t ecn;	   /* of the outer IP headers (wire/ecn.h) */
	uint8_t binding;   /* of data: what it is bound to, in path_set->bindings; BINDING_NONE */
	/* receive only */
	struct link *link;
	struct endpoint from;
	nsec_t waited; /* in the socket, before it was taken; 0 where that is not known */
	nsec_t received;
	uint8_t path_slot; /* of the path it came on; PATH_SLOT_NONE */
	_Alignas(64) uint8_t data[];
};

/* A burst with one reference, or NULL when the pool is empty. */
static inline struct burst *burst_take(struct pool *pool)
{
	struct burst *b = pool_take(pool);

	if (!b)
		return NULL;
	b->pool = pool;
	atomic_init(&b->refs, 1);
	b->len = 0;
	b->stride = 0;
	b->n = 0;
	b->next = NULL;
	b->bond = NULL;
	b->is_mtu_probe = false;
	b->is_urgent = false;
	b->ecn = 0;
	b->binding = BINDING_NONE;
	b->session = NULL;
	return b;
}

static inline void burst_get(struct burst *b)
{
	atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
}

static inline void burst_put(struct burst *b)
{
	/* acq_rel: whoever gives it back has seen the others finish with it */
	if (atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
		pool_give(b->pool, b);
}

static inline uint8_t *burst_datagram(struct burst *b, uint32_t i)
{
	return b->data + (size_t)i * b->stride;
}

static inline uint32_t burst_datagram_len(const struct burst *b, uint32_t i)
{
	return i + 1 < b->n ? b->stride : b->len - i * b->stride;
}

/* After `data`, `len` and `stride` are known. */
static inline void burst_count(struct burst *b)
{
	b->n = b->stride ? (b->len + b->stride - 1) / b->stride : 0;
}
