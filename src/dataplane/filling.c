/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/filling.h"

#include <string.h>

#include "dataplane/bond.h"
#include "dataplane/network_state.h"

bool filling_open(struct filling *f, struct bond *bond, struct keypair *k, uint64_t limit_bytes,
		  bool is_urgent)
{
	f->burst = burst_take(bond->network->bursts);
	if (!f->burst)
		return false;
	f->burst->bond = bond;
	f->burst->session = keypair_get(k);
	f->burst->is_urgent = is_urgent;
	f->limit_bytes = limit_bytes;
	return true;
}

void filling_drop(struct filling *f)
{
	if (!f->burst)
		return;
	keypair_put(f->burst->session);
	burst_put(f->burst);
	f->burst = NULL;
}

bool filling_fits(const struct filling *f, const struct bond *bond, const struct keypair *k,
		  uint64_t counter, uint32_t len, bool is_urgent)
{
	const struct burst *b = f->burst;

	return b && b->bond == bond && b->session == k && counter == f->next_counter &&
	       b->is_urgent == is_urgent && len <= b->stride && b->n < BURST_DATAGRAMS &&
	       b->len + len <= f->limit_bytes;
}

bool filling_seal(struct filling *f, uint64_t counter, uint8_t *packet, size_t len, size_t padded)
{
	uint8_t behind[MESSAGE_PADDING_MULTIPLE];
	bool is_sealed;

	memcpy(behind, packet + len, padded - len);
	memset(packet + len, 0, padded - len);
	is_sealed = bond_seal_next(f->burst, f->burst->session, counter, packet, padded);
	memcpy(packet + len, behind, padded - len);
	if (is_sealed)
		f->next_counter = counter + 1;
	return is_sealed;
}
