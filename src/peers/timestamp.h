/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Time stamps for initiations that grow for ever, even if the clock does not: a router without
 * a battery clock boots in the past, and its peers would refuse its handshakes as replays. The
 * file holds a time that no stamp has reached yet; it is moved ahead in steps, so that flash
 * memory is written once in TIMESTAMP_RESERVE. Owner: the handshake thread.
 */
#pragma once

#include "crypto/noise.h"

#define TIMESTAMP_RESERVE (300 * NSEC_PER_SEC)

struct timestamp {
	char *path;	 /* NULL: nothing is kept */
	nsec_t last;	 /* wall time of the last stamp */
	nsec_t reserved; /* as in the file */
};

/*
 * Reads the file; a missing one is a first start. A damaged one is reported and replaced.
 * 0, -ENOMEM, or -errno when the directory cannot be written (the caller warns; stamps
 * then follow the clock alone).
 */
int timestamp_init(struct timestamp *t, const char *path, nsec_t wall);
void timestamp_deinit(struct timestamp *t);
/* A stamp later than all before it; `wall` is the time of day. */
void timestamp_next(struct timestamp *t, nsec_t wall, uint8_t ret[NOISE_TIMESTAMP_LEN]);
