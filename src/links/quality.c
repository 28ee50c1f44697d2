/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "links/quality.h"

static nsec_t recovery_or_half(nsec_t recovery, nsec_t failure)
{
	return recovery ? recovery : failure / 2;
}

bool quality_is_poor(bool was_poor, const struct health_settings *s, double loss, nsec_t rtt)
{
	nsec_t loss_limit = s->failure_loss;
	nsec_t latency_limit = s->failure_latency;

	if (was_poor) {
		loss_limit = recovery_or_half(s->recovery_loss, loss_limit);
		latency_limit = recovery_or_half(s->recovery_latency, latency_limit);
	}
	if (s->failure_loss && loss * 100 > (double)loss_limit)
		return true;
	return s->failure_latency && rtt > latency_limit;
}
