/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Time stamps for initiations that grow for ever, even if the clock does not: a router without
 * a battery clock boots in the past, and its peers would refuse its handshakes as replays. What
 * is saved is a time that no stamp has reached yet; it is moved ahead in steps, so that flash
 * memory is written once in TIMESTAMP_RESERVE. Owner: the handshake thread.
 */
#pragma once

#include "crypto/noise.h"

#define TIMESTAMP_RESERVE (300 * NSEC_PER_SEC)

/* Saves a time for the next start. 0 or -errno. */
typedef int (*timestamp_store_fn)(void *ctx, nsec_t reserved);

struct timestamp {
	timestamp_store_fn store; /* NULL: nothing is kept */
	void *ctx;
	nsec_t last;	 /* wall time of the last stamp */
	nsec_t reserved; /* as saved */
};

/*
 * `saved` is what was stored last (0: this is the first start). 0, or -errno of `store`: the
 * caller warns, and stamps then follow the clock alone.
 */
int timestamp_init(struct timestamp *t, nsec_t saved, timestamp_store_fn store, void *ctx,
		   nsec_t wall);
/* A stamp later than all before it; `wall` is the time of day. */
void timestamp_next(struct timestamp *t, nsec_t wall, uint8_t ret[NOISE_TIMESTAMP_LEN]);
