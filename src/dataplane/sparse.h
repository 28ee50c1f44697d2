/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Sparse flows: those that send little and so gain nothing by rate, but by time: a ping, a name, a
 * call, a terminal. A flow is sparse if it has had no packet larger than SPARSE_BYTES, nor more
 * than SPARSE_PACKETS in SPARSE_SPAN, for SPARSE_AGE.
 * Pure; the state is the caller's, zero to begin with, found by inner_flow().
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
#define SPARSE_FLOWS 256

struct sparse {
	nsec_t bulk_at;	     /* when it was last not sparse */
	nsec_t counted_from; /* since then: */
	uint32_t bytes;
	uint16_t n_small; /* packets */
};

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
