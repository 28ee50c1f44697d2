/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "links/coalesce.h"

nsec_t coalesce_longest(nsec_t round_trip)
{
	nsec_t longest = nsec_min(round_trip / COALESCE_PART, COALESCE_MOST);

	return longest < COALESCE_LEAST ? 0 : longest;
}

nsec_t coalesce_until(struct coalesce *c, uint64_t n, nsec_t longest, nsec_t now)
{
	nsec_t elapsed = nsec_min(now - c->taken_at, NSEC_PER_SEC);
	bool comes_fast = (nsec_t)n * longest >= COALESCE_FEW * elapsed;

	c->taken_at = now;
	return longest && comes_fast && n < COALESCE_MANY ? now + longest : 0;
}
