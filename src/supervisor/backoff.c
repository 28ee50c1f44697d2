/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "supervisor/backoff.h"

bool backoff_crashed(struct backoff *b, nsec_t lived, nsec_t *ret_delay)
{
	if (lived >= BACKOFF_FORGET)
		b->n_crashes = 0;
	if (++b->n_crashes > b->limit)
		return false;
	b->delay = b->n_crashes == 1 ? BACKOFF_FIRST : nsec_min(2 * b->delay, BACKOFF_MOST);
	*ret_delay = b->delay;
	return true;
}
