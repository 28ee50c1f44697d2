/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "links/meter.h"

#include <string.h>

/* Packets between two reports that make a loss figure worth something. */
#define LOSS_SAMPLE_PACKETS 20

void loss_meter_init(struct loss_meter *m)
{
	memset(m, 0, sizeof(*m));
	m->loss = -1;
}

void loss_meter_observe(struct loss_meter *m, uint64_t sent, uint64_t arrived)
{
	double sample;

	if (m->has_base && sent >= m->sent && arrived >= m->arrived) {
		if (sent - m->sent < LOSS_SAMPLE_PACKETS)
			return;
		sample = 1.0 - (double)(arrived - m->arrived) / (double)(sent - m->sent);
		sample = sample < 0 ? 0 : sample;
		m->loss = m->loss < 0 ? sample : m->loss + (sample - m->loss) / 4;
	}
	m->has_base = true;
	m->sent = sent;
	m->arrived = arrived;
}

void rate_meter_observe(struct rate_meter *m, uint64_t bytes, nsec_t elapsed)
{
	m->bps = (uint64_t)((double)(bytes - m->bytes) * 8 * NSEC_PER_SEC / (double)elapsed);
	m->bytes = bytes;
}
