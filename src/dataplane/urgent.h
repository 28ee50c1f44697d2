/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Urgent packets of one peer, which gain by time and not by rate: those of sparse flows
 * (dataplane/sparse.h), names, the first of a TCP connection, and what is marked as urgent. Mode
 * auto sends them over two paths. The copies may take a share of the path that carries them, so
 * that whoever marks everything as urgent does not halve what the links carry. Owner: the TUN
 * reader. Pure: time comes in as an argument. docs/design/auto-mode.md
 */
#pragma once

#include <stdatomic.h>

#include "dataplane/sparse.h"

/* Copies may take this part of a path's rate, and so much at once. */
#define URGENT_SHARE 20
/* So much of a flow in SPARSE_SPAN may be urgent for being marked so, or for what it is. */
#define URGENT_FLOW_BYTES (16 << 10)
#define URGENT_CREDIT_MAX (16 << 10)

struct urgent {
	uint64_t credit; /* bytes */
	nsec_t credited_at;
	/* atomic: written here, read for status */
	_Atomic uint64_t packets, bytes; /* copied */
	_Atomic uint64_t refused;	 /* packets that the share did not allow */
};

int urgent_new(struct urgent **ret, nsec_t now); /* 0 or -ENOMEM */
void urgent_free(struct urgent *u);		 /* NULL is fine */

/* The peer's next packet, well-formed: is it urgent? `flows` are SPARSE_FLOWS. */
bool urgent_is(struct sparse *flows, const uint8_t *packet, size_t len, nsec_t now);
/* May so much be copied to a path of that rate (bytes per second)? */
bool urgent_may_copy(struct urgent *u, uint32_t packets, uint64_t bytes, double rate, nsec_t now);
/* It has been. */
void urgent_copied(struct urgent *u, uint32_t packets, uint64_t bytes);
