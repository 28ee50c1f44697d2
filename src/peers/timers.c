/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The timers of the paper (section 6). Each is a deadline computed from the marks and states of
 * a peer; its one timer is armed for the earliest. The marks move without notice, so what fires
 * is a look at all of them.
 */

#include "peers/internal.h"
#include "util/container.h"

#define MAX_INITIATIONS (REKEY_ATTEMPT_TIME / REKEY_TIMEOUT)
/*
 * With no traffic to ask for it, a session that is wanted up is renewed this long before it ends;
 * the side that did not initiate it waits a little longer.
 */
#define RENEWAL_INITIATOR (REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT)
#define RENEWAL_RESPONDER (REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT)

static nsec_t mark(const _Atomic nsec_t *m)
{
	return atomic_load_explicit(m, memory_order_relaxed);
}

static void clear_mark(_Atomic nsec_t *m)
{
	atomic_store_explicit(m, 0, memory_order_relaxed);
}

/* Data was sent and nothing came back: the peer may have lost its session. */
static nsec_t silence_deadline(const struct peer *p)
{
	nsec_t since = mark(&p->sent_since);

	return since ? since + KEEPALIVE_TIMEOUT + REKEY_TIMEOUT + p->jitter : NSEC_NEVER;
}

/* Data was received and nothing sent: the peer is to know that it arrived. */
static nsec_t passive_keepalive_deadline(const struct peer *p)
{
	nsec_t since = mark(&p->received_since);

	return since ? since + KEEPALIVE_TIMEOUT : NSEC_NEVER;
}

static nsec_t persistent_keepalive_deadline(struct peer *p, nsec_t now)
{
	nsec_t last = nsec_max(mark(&p->last_sent), mark(&p->last_received));
	nsec_t deadline = last + p->persistent_keepalive * NSEC_PER_SEC;

	if (!p->persistent_keepalive || !last)
		return NSEC_NEVER;
	if (session_can_send(p, now))
		return deadline;
	/* It will get its session, or cannot. */
	if (p->retransmit_at != NSEC_NEVER || !p->device->has_identity)
		return NSEC_NEVER;
	return nsec_max(deadline, p->last_initiation_sent + REKEY_TIMEOUT);
}

/* A session that is wanted up needs a successor, traffic or not. */
static nsec_t renewal_deadline(const struct peer *p)
{
	const struct keypair *k = rcu_own(&p->current);

	if (!p->is_wanted_up || !k || p->retransmit_at != NSEC_NEVER)
		return NSEC_NEVER;
	return nsec_max(k->birth + (k->is_initiator ? RENEWAL_INITIATOR : RENEWAL_RESPONDER),
			p->last_initiation_sent + REKEY_TIMEOUT);
}

static nsec_t next_deadline(struct peer *p, nsec_t now)
{
	nsec_t deadline = nsec_min(p->retransmit_at, p->zero_keys_at);

	deadline = nsec_min(deadline, p->copy_at);
	deadline = nsec_min(deadline, silence_deadline(p));
	deadline = nsec_min(deadline, passive_keepalive_deadline(p));
	deadline = nsec_min(deadline, persistent_keepalive_deadline(p, now));
	return nsec_min(deadline, renewal_deadline(p));
}

void timers_arm(struct peer *p, nsec_t now)
{
	nsec_t deadline = next_deadline(p, now);

	if (atomic_load_explicit(&p->is_watched, memory_order_relaxed))
		deadline = nsec_min(deadline, now + KEEPALIVE_TIMEOUT);
	if (deadline == NSEC_NEVER)
		timerq_disarm(&p->device->timers, &p->timer);
	else
		timerq_arm(&p->device->timers, &p->timer, deadline);
}

void timers_send_keepalive(struct peer *p, nsec_t now)
{
	struct device *d = p->device;

	if (!session_can_send(p, now)) {
		handshake_want(p, now);
		return;
	}
	peer_mark_sent(p, now, false);
	d->calls.send_keepalive(d->ctx, p);
}

static void retransmit(struct peer *p, nsec_t now)
{
	if (p->is_trial) {
		handshake_end_trial(p);
		return;
	}
	if (p->n_attempts < MAX_INITIATIONS || p->is_wanted_up || p->persistent_keepalive) {
		handshake_retry(p, now);
		return;
	}
	handshake_forget(p);
	p->retransmit_at = NSEC_NEVER;
	clear_mark(&p->sent_since);
	clear_mark(&p->received_since);
}

static void zero_keys(struct peer *p)
{
	p->zero_keys_at = NSEC_NEVER;
	handshake_forget_answer(p);
	session_drop_all(p);
}

/* Every action moves its own deadline, so that none is due twice. */
static void run_due(struct peer *p, nsec_t now)
{
	if (p->zero_keys_at <= now)
		zero_keys(p);
	if (p->retransmit_at <= now)
		retransmit(p, now);
	if (p->copy_at <= now)
		handshake_send_copy(p, now);
	if (silence_deadline(p) <= now) {
		clear_mark(&p->sent_since);
		handshake_want(p, now);
	}
	if (passive_keepalive_deadline(p) <= now) {
		clear_mark(&p->received_since);
		timers_send_keepalive(p, now);
	}
	if (persistent_keepalive_deadline(p, now) <= now)
		timers_send_keepalive(p, now);
	if (renewal_deadline(p) <= now)
		handshake_want(p, now);
}

static bool has_marks(struct peer *p)
{
	return atomic_load(&p->sent_since) || atomic_load(&p->received_since);
}

/* From here on the data path tells of its marks; one that it made just before is seen here. */
static void stop_watching(struct peer *p)
{
	atomic_store(&p->is_watched, false);
	if (has_marks(p))
		atomic_store(&p->is_watched, true);
}

static void fire(struct timer *t, nsec_t now)
{
	struct peer *p = container_of(t, struct peer, timer);

	run_due(p, now);
	if (!has_marks(p))
		stop_watching(p);
	timers_arm(p, now);
}

void timers_init(struct peer *p)
{
	p->timer.fire = fire;
	p->retransmit_at = NSEC_NEVER;
	p->zero_keys_at = NSEC_NEVER;
	p->copy_at = NSEC_NEVER;
	/* long enough ago, even for a clock that has just begun */
	p->last_initiation_sent = -REKEY_TIMEOUT;
	p->last_initiation_received = -REKEY_TIMEOUT;
}
