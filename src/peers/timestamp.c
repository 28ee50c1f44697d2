/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "peers/timestamp.h"

#include <string.h>

#include "util/log.h"

/* What noise_timestamp() leaves of the nanoseconds: closer times give the same stamp. */
#define STAMP_STEP ((nsec_t)1 << 24)

static int reserve(struct timestamp *t, nsec_t from)
{
	t->reserved = from + TIMESTAMP_RESERVE;
	return t->store ? t->store(t->ctx, t->reserved) : 0;
}

int timestamp_init(struct timestamp *t, nsec_t saved, timestamp_store_fn store, void *ctx,
		   nsec_t wall)
{
	int r;

	*t = (struct timestamp){.last = saved, .store = store, .ctx = ctx};
	r = reserve(t, nsec_max(wall, saved));
	if (r < 0)
		t->store = NULL;
	return r;
}

void timestamp_next(struct timestamp *t, nsec_t wall, uint8_t ret[NOISE_TIMESTAMP_LEN])
{
	int r;

	t->last = nsec_max(wall, t->last + STAMP_STEP);
	if (t->last >= t->reserved) {
		r = reserve(t, t->last);
		if (r < 0)
			log_warn("cannot keep the handshake timestamp: %s; a restart with a slow "
				 "clock may have to wait for it",
				 strerror(-r));
	}
	noise_timestamp(ret, t->last);
}
