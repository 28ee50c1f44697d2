/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "links/bulk.h"

bool bulk_look(struct bulk *b, uint64_t bytes, nsec_t now)
{
	nsec_t elapsed = now - b->since;
	double least = b->is_on ? BULK_RATE / 2 : BULK_RATE;

	if (elapsed < BULK_SPAN)
		return b->is_on;
	b->is_on = (double)(bytes - b->bytes) * NSEC_PER_SEC >= least * (double)elapsed;
	b->since = now;
	b->bytes = bytes;
	return b->is_on;
}
