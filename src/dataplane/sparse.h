/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Sparse flows: those that send little and so gain nothing by rate, but by time: a ping, a name, a
 * call, a terminal. A flow is sparse if it has had no packet larger than SPARSE_BYTES, nor more
 * than SPARSE_PACKETS in SPARSE_SPAN, for SPARSE_AGE.
 * Pure; the state is the caller's, zero to begin with, found by the hash inner_flow().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "links/reseq.h"

#define SPARSE_BYTES 300
#define SPARSE_PACKETS 32
#define SPARSE_SPAN (100 * NSEC_PER_MSEC)
/* As long as one of its packets may be held. */
#define SPARSE_AGE RESEQ_HOLD_MAX
/* In a table, each flow in one of so many places. */
#define SPARSE_FLOWS 256
#define SPARSE_WAYS 4

struct sparse {
	nsec_t bulk_at;	     /* when it was last not sparse */
	nsec_t counted_from; /* since then: */
	uint32_t bytes;
	uint16_t n_small; /* packets */
	uint16_t tag;	  /* whose it is */
	uint16_t n_held;  /* the user's; while there are any, the place is not given to others */
};

/*
 * The flow of SPARSE_FLOWS; a new one in place of the one that was heard of least lately. If all
 * hold something, it shares a place. Were a place all that tells flows apart, one call in sixty
 * beside four downloads would be taken for one of them.
 */
static inline struct sparse *sparse_find(struct sparse *flows, uint64_t hash)
{
	struct sparse *places = &flows[hash % (SPARSE_FLOWS / SPARSE_WAYS) * SPARSE_WAYS];
	uint16_t tag = (uint16_t)(hash >> 48);
	struct sparse *found = NULL;

	for (unsigned i = 0; i < SPARSE_WAYS; i++) {
		if (places[i].tag == tag)
			return &places[i];
		if (!places[i].n_held && (!found || places[i].counted_from < found->counted_from))
			found = &places[i];
	}
	if (!found)
		return &places[tag % SPARSE_WAYS];
	*found = (struct sparse){.tag = tag};
	return found;
}

/* The flow has one more packet. */
static inline void sparse_note(struct sparse *f, size_t len, nsec_t now)
{
	if (now - f->counted_from > SPARSE_SPAN) {
		f->counted_from = now;
		f->n_small = 0;
		f->bytes = 0;
	}
	f->bytes += (uint32_t)len;
	if (len > SPARSE_BYTES || ++f->n_small > SPARSE_PACKETS)
		f->bulk_at = now;
}

static inline bool sparse_is(const struct sparse *f, nsec_t now)
{
	return now - f->bulk_at > SPARSE_AGE;
}
