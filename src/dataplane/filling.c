/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/filling.h"

#include <string.h>

#include "dataplane/bond.h"
#include "dataplane/network_state.h"

bool filling_open(struct filling *f, struct bond *bond, struct keypair *k, uint64_t limit_bytes,
		  struct filling_kind kind)
{
	f->burst = burst_take(bond->network->bursts);
	if (!f->burst)
		return false;
	f->burst->bond = bond;
	f->burst->session = keypair_get(k);
	f->burst->is_urgent = kind.is_urgent;
	f->burst->ecn = kind.ecn;
	f->burst->binding = kind.binding;
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

struct burst *filling_take(struct filling *f)
{
	struct burst *b = f->burst;

	f->burst = NULL;
	return b;
}

bool filling_has_room(const struct filling *f, const struct bond *bond, const struct keypair *k,
		      uint32_t len, struct filling_kind kind)
{
	const struct burst *b = f->burst;

	return b && b->bond == bond && b->session == k && b->is_urgent == kind.is_urgent &&
	       b->ecn == kind.ecn && b->binding == kind.binding && len <= b->stride &&
	       b->n < BURST_DATAGRAMS && b->len + len <= f->limit_bytes;
}

bool filling_is_next(const struct filling *f, const struct bond *bond, const struct keypair *k,
		     uint64_t counter, uint32_t len, struct filling_kind kind)
{
	return counter == f->next_counter && filling_has_room(f, bond, k, len, kind);
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

void filling_put(struct filling *f, const uint8_t *packet, size_t len, size_t padded)
{
	struct burst *b = f->burst;
	uint8_t *payload = b->data + b->len + sizeof(struct wg_data);
	uint32_t datagram = datagram_len(padded);

	memcpy(payload, packet, len);
	memset(payload + len, 0, padded - len);
	if (!b->n)
		b->stride = datagram;
	b->len += datagram;
	b->n++;
	if (datagram < b->stride)
		f->limit_bytes = 0; /* only the last may be shorter */
}

bool filling_seal_all(struct burst *b)
{
	uint32_t end = b->len;
	uint32_t stride = b->stride;

	b->len = b->n = 0;
	while (b->len < end) {
		uint32_t len = end - b->len < stride ? end - b->len : stride;
		const uint8_t *payload = b->data + b->len + sizeof(struct wg_data);

		if (!bond_seal_next(b, b->session, b->first + b->n, payload,
				    len - MESSAGE_DATA_OVERHEAD))
			return false;
	}
	return true;
}
