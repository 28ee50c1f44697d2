/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Packets are sealed from where they were read into the open burst, which is the only time that
 * they are copied: cut, sealed, and the headers of the next are written over the tail of what has
 * been sealed (tun/split.h). The burst is closed when the next packet does not fit it (another
 * peer, session or size, full), when somebody else has taken a counter in between, after a shorter
 * packet, and when the interface has nothing more.
 */
#include "dataplane/pack.h"

#include "dataplane/network_state.h"
#include "dataplane/reader.h"
#include "wire/mss.h"

void pack_close(struct reader *r)
{
	struct burst *b = r->open.burst;
	struct keypair *k;

	if (!b)
		return;
	if (!b->n) {
		filling_drop(&r->open); /* libcrypto has refused what it was opened for */
		return;
	}
	r->open.burst = NULL;
	k = b->session;
	b->session = NULL;
	path_count_add(&b->bond->inner_sent, b->n, b->len - (uint64_t)b->n * MESSAGE_DATA_OVERHEAD);
	peer_mark_sent(&b->bond->peer, r->now, true);
	peer_check_rekey_sent(&b->bond->peer, k, r->now);
	keypair_put(k);
	rcu_begin();
	outlet_send_rcu(b->bond->outlet, r, b);
	rcu_end();
}

void pack_add_rcu(struct reader *r, struct outlet *o, struct keypair *k, uint8_t *packet,
		  size_t len)
{
	struct network *n = r->network;
	struct bond *bond = o->bond;
	uint32_t mtu = network_mtu(n);
	size_t padded = wg_padded_len(len, mtu);
	uint32_t datagram = datagram_len(padded);
	bool is_urgent =
		spread_is_urgent_rcu(rcu_read(&bond->paths), &o->flows, packet, len, r->now);
	uint64_t counter;

	if (network_clamps_mss(n))
		mss_clamp(packet, len, mtu);
	if (datagram > n->burst_bytes) {
		drops_add(&n->drops, DROP_tx_too_big, 1);
		return;
	}
	if (!keypair_take_counters(k, 1, &counter)) {
		drops_add(&n->drops, DROP_tx_no_session, 1);
		return;
	}
	if (!filling_fits(&r->open, bond, k, counter, datagram, is_urgent)) {
		pack_close(r);
		if (!filling_open(&r->open, bond, k, outlet_burst_bytes(o, r), is_urgent)) {
			drops_add(&n->drops, DROP_tx_no_buffer, 1);
			return;
		}
	}
	if (!filling_seal(&r->open, counter, packet, len, padded)) {
		drops_add(&n->drops, DROP_tx_no_session, 1);
		return;
	}
	if (datagram < r->open.burst->stride)
		pack_close(r); /* only the last may be shorter */
}
