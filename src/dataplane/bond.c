/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/bond.h"

#include <string.h>

#include "dataplane/network_state.h"

bool bond_seal(struct burst *b, struct keypair *k)
{
	struct aead_job jobs[BURST_DATAGRAMS];
	uint64_t counter;

	if (!keypair_take_counters(k, b->n, &counter))
		return false;
	for (uint32_t i = 0; i < b->n; i++) {
		uint8_t *datagram = burst_datagram(b, i);
		const struct wg_data header = {
			.type = le32_make(MESSAGE_DATA),
			.receiver_index = le32_make(k->remote_index),
			.counter = le64_make(counter + i),
		};

		memcpy(datagram, &header, sizeof(header));
		jobs[i] = (struct aead_job){
			.dst = datagram + sizeof(header),
			.src = datagram + sizeof(header),
			.len = burst_datagram_len(b, i) - MESSAGE_DATA_OVERHEAD,
			.counter = counter + i,
		};
	}
	return aead_seal(k->send, jobs, b->n) == b->n;
}

bool bond_send_control_rcu(struct bond *bond, const struct path_entry *path, const void *payload,
			   size_t len, nsec_t now)
{
	const struct path_set *set = rcu_read(&bond->paths);
	struct keypair *k = peer_send_session_rcu(&bond->peer, now);
	size_t padded = wg_padded_len(len, bond->network->settings->mtu);
	struct burst *b;
	bool is_sent = false;

	if (!k || (!path && (!set || !set->n_active)))
		return false;
	b = burst_take(bond->network->bursts);
	if (!b) {
		drops_add(&bond->network->drops, DROP_tx_no_buffer, 1);
		return false;
	}
	memcpy(b->data + sizeof(struct wg_data), payload, len);
	memset(b->data + sizeof(struct wg_data) + len, 0, padded - len);
	b->len = b->stride = datagram_len(padded);
	b->n = 1;
	if (bond_seal(b, k)) {
		if (path)
			is_sent = path_push(path, b);
		for (unsigned i = 0; !path && i < set->n_active; i++)
			is_sent |= path_push(&set->entries[set->active[i]], b);
	}
	burst_put(b);
	if (is_sent) {
		peer_mark_sent(&bond->peer, now, false);
		peer_check_rekey_sent(&bond->peer, k, now);
	}
	return is_sent;
}

bool link_send_message(struct link *l, const struct endpoint *to, uint32_t path_id, const void *msg,
		       size_t len)
{
	struct burst *b = burst_take(l->bursts);
	bool is_sent;

	if (!b) {
		drops_add(&l->drops, DROP_tx_no_buffer, 1);
		return false;
	}
	memcpy(b->data, msg, len);
	b->len = b->stride = (uint32_t)len;
	b->n = 1;
	is_sent = link_push(l, b, to, path_id);
	if (!is_sent)
		drops_add(&l->drops, DROP_tx_ring_full, 1);
	burst_put(b);
	return is_sent;
}

bool bond_send_message_rcu(struct bond *bond, unsigned nth, const void *msg, size_t len)
{
	const struct path_set *set = rcu_read(&bond->paths);
	const struct path_entry *e = set ? path_set_nth(set, nth) : NULL;

	if (!e)
		return false;
	link_send_message(e->path->link, &e->to, e->path->id, msg, len);
	return nth + 1 < set->n;
}
