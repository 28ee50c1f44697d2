/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "loss.h"

bool loss_takes(struct loss *l, const struct settings *s, struct chance *chance)
{
	/* A burst takes at least the packet that it begins with. */
	if (l->is_burst)
		l->is_burst = !chance_hits(chance, s->burst_leave);
	else
		l->is_burst = chance_hits(chance, s->burst_enter);
	return chance_hits(chance, l->is_burst ? s->burst_loss : s->loss);
}
