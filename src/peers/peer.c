/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The data path's side of a peer. A mark that begins (a *_since that was 0) sets a deadline, and
 * the handshake thread must know of it, but is told only if it isn't watching the peer already.
 * It looks at a watched peer at least every KEEPALIVE_TIMEOUT, the shortest of those deadlines.
 */
#include "peers/internal.h"

void peer_poke(struct peer *p, enum peer_poke what)
{
	struct device *d = p->device;

	/* release: what the poke is about; its reader acquires it in device_handle_pokes() */
	if (!atomic_fetch_or_explicit(&p->pokes, what, memory_order_acq_rel))
		d->calls.poke(d->ctx, p);
}

static void end_mark(_Atomic nsec_t *mark)
{
	if (atomic_load_explicit(mark, memory_order_relaxed))
		atomic_store_explicit(mark, 0, memory_order_relaxed);
}

static void begin_mark(struct peer *p, _Atomic nsec_t *mark, nsec_t now)
{
	if (atomic_load_explicit(mark, memory_order_relaxed))
		return;
	/*
	 * Sequentially consistent, as in stop_watching(): either we see that nobody watches any
	 * more, or the handshake thread, looking once more after it stopped, sees the mark.
	 */
	atomic_store(mark, now);
	if (!atomic_load(&p->is_watched))
		peer_poke(p, POKE_WATCH);
}

void peer_mark_sent(struct peer *p, nsec_t now, bool is_data)
{
	atomic_store_explicit(&p->last_sent, now, memory_order_relaxed);
	end_mark(&p->received_since);
	if (is_data)
		begin_mark(p, &p->sent_since, now);
}

void peer_mark_received(struct peer *p, nsec_t now, bool is_data)
{
	atomic_store_explicit(&p->last_received, now, memory_order_relaxed);
	end_mark(&p->sent_since);
	if (is_data)
		begin_mark(p, &p->received_since, now);
}

static void ask_rekey(struct peer *p, struct keypair *k)
{
	if (atomic_load_explicit(&k->has_asked_rekey, memory_order_relaxed))
		return;
	atomic_store_explicit(&k->has_asked_rekey, true, memory_order_relaxed);
	peer_poke(p, POKE_HANDSHAKE);
}

void peer_check_rekey_sent(struct peer *p, struct keypair *k, nsec_t now)
{
	uint64_t sent = atomic_load_explicit(&k->tx_counter, memory_order_relaxed);

	if (sent > REKEY_AFTER_MESSAGES || (k->is_initiator && now - k->birth >= REKEY_AFTER_TIME))
		ask_rekey(p, k);
}

void peer_check_rekey_received(struct peer *p, struct keypair *k, nsec_t now)
{
	if (!atomic_load_explicit(&k->is_confirmed, memory_order_relaxed)) {
		atomic_store_explicit(&k->is_confirmed, true, memory_order_relaxed);
		peer_poke(p, POKE_CONFIRMED);
	}
	if (k->is_initiator && k == rcu_read(&p->current) &&
	    now - k->birth >= REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT)
		ask_rekey(p, k);
}

struct keypair *peer_send_session_rcu(struct peer *p, nsec_t now)
{
	struct keypair *k = rcu_read(&p->current);

	return k && keypair_can_send(k, now) ? k : NULL;
}
