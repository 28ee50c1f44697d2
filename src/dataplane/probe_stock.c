/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A stock peer's paths. It answers no pings, but it answers handshakes, which go over one path
 * after the other, the preferred one first, until one is answered. If that is not the path that
 * carries the data, and nothing has come over that one although we send, it is dead; until a
 * later handshake is answered there. Since it may be the peer that begins those, at its one
 * endpoint, we begin one now and then that goes over the dead path alone: a trial. See
 * docs/design/stock-peers.md.
 */
#include "dataplane/network_state.h"
#include "dataplane/probe_internal.h"

/* So long without an answer is no delay any more: a stock peer answers data within this time. */
#define UNANSWERED_TIME KEEPALIVE_TIMEOUT
/* From one trial to the next, of whatever path: the handshake thread has done with the first. */
#define TRIAL_DISTANCE (REKEY_TIMEOUT + REKEY_TIMEOUT_JITTER_MAX + HEALTH_DOUBT_INTERVAL)
/* So long a trial has until the peer, which may have had it, is led back to where we hear it. */
#define TRIAL_PATIENCE NSEC_PER_SEC

static uint64_t packets(const struct path_count *c)
{
	return atomic_load_explicit(&c->packets, memory_order_relaxed);
}

/* Bytes of what is answered: empty packets are not. Less, while one is being counted. */
static int64_t content(const struct path_count *c)
{
	uint64_t bytes = atomic_load_explicit(&c->bytes, memory_order_relaxed);

	return (int64_t)(bytes - MESSAGE_DATA_OVERHEAD * packets(c));
}

void probe_stock_sample(struct probe_path *pp, nsec_t now)
{
	uint64_t received = packets(&pp->path->received);

	if (received == pp->heard_received)
		return;
	pp->heard_received = received;
	pp->heard_sent = content(&pp->path->sent);
	pp->heard_at = now;
}

static bool is_unanswered(struct probe_path *pp, nsec_t now)
{
	probe_stock_sample(pp, now);
	return now - pp->heard_at > UNANSWERED_TIME && content(&pp->path->sent) > pp->heard_sent;
}

static bool is_heard(struct probe_path *pp, nsec_t now)
{
	probe_stock_sample(pp, now);
	return pp->heard_received && now - pp->heard_at <= UNANSWERED_TIME;
}

void probe_stock_call(struct probe *p, nsec_t now)
{
	const struct path_set *set = rcu_own(&p->bond->paths);

	if (!set || set->n_active == set->n)
		return;
	rcu_begin();
	bond_send_control_rcu(p->bond, NULL, "", 0, now);
	rcu_end();
}

static const struct health_settings *health_settings(const struct probe_path *pp)
{
	return &pp->probe->network->settings->health;
}

static nsec_t first_wait(const struct probe_path *pp)
{
	return nsec_max(health_settings(pp)->error_backoff, REKEY_TIMEOUT);
}

static nsec_t longer_wait(const struct probe_path *pp)
{
	nsec_t most = nsec_max(health_settings(pp)->flap_hold_max, first_wait(pp));

	return nsec_min(2 * pp->trial_wait, most);
}

static void answered(struct probe_path *pp, nsec_t now)
{
	if (pp->health.state == HEALTH_UP)
		return;
	health_init(&pp->health, now);
	health_heard(&pp->health, health_settings(pp), now);
	probe_path_announce(pp, "a handshake is answered there", now);
	probe_path_arm(pp);
	probe_stock_call(pp->probe, now);
}

/* A path that has died soon after it came back is tried less often than before. */
static void plan_trial(struct probe_path *pp, nsec_t up_for, nsec_t now)
{
	if (!pp->trial_wait || up_for >= HEALTH_STABLE_TIME)
		pp->trial_wait = first_wait(pp);
	else
		pp->trial_wait = longer_wait(pp);
	pp->trial_at = now + pp->trial_wait;
	pp->call_at = NSEC_NEVER;
}

static void leave(struct probe_path *pp, nsec_t now)
{
	nsec_t up_for = pp->health.state == HEALTH_UP ? now - pp->health.since : 0;

	if (!health_unanswered(&pp->health, health_settings(pp), now))
		return;
	plan_trial(pp, up_for, now);
	probe_path_announce(pp, "a handshake is answered on another path only", now);
	probe_path_arm(pp);
}

/*
 * What would be preferred but has not answered yet is not used blindly: a handshake has been
 * answered on one that is tried after it. Only where the choice is that of failover.
 */
void probe_stock_doubt(struct probe *p, nsec_t now)
{
	const struct path_set *set = rcu_own(&p->bond->paths);
	struct probe_path *unproven[PATHS_MAX];
	unsigned n = 0, n_doubted = 0;

	if (!set || set->mode != BOND_FAILOVER)
		return;
	for (unsigned i = 0; i < set->n; i++) {
		const struct path_entry *e = path_set_nth(set, i);

		if (e->state == HEALTH_UP)
			n_doubted = n;
		else if (e->state == HEALTH_PROBING && e->is_usable &&
			 !is_heard(p->paths[e->path->slot], now))
			unproven[n++] = p->paths[e->path->slot];
	}
	for (unsigned i = 0; i < n_doubted; i++)
		leave(unproven[i], now);
}

/* In redundant mode all paths are used in any case. */
void probe_handshake(struct probe *p, const struct event *e)
{
	const struct path_set *set = rcu_own(&p->bond->paths);
	struct probe_path *dead[PATHS_MAX];
	unsigned n_dead = 0;

	if (p->is_multilink || !set || set->mode == BOND_REDUNDANT)
		return;
	for (unsigned i = 0; i < set->n_active; i++) {
		struct probe_path *pp = p->paths[set->entries[set->active[i]].path->slot];

		if (pp->path->link != e->link && is_unanswered(pp, e->at))
			dead[n_dead++] = pp;
	}
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (pp && pp->path->link == e->link && addr_equal(&pp->to.remote, &e->from.remote))
			answered(pp, e->at);
	}
	for (unsigned i = 0; i < n_dead; i++)
		leave(dead[i], e->at);
	if (p->is_known || p->bond->settings->multilink == MULTILINK_NO)
		probe_stock_doubt(p, e->at);
}

nsec_t probe_stock_deadline(const struct probe_path *pp)
{
	if (pp->health.state != HEALTH_DOWN)
		return NSEC_NEVER;
	if (!health_needs_answer(&pp->health))
		return pp->health.error_until;
	return nsec_min(pp->trial_at, pp->call_at);
}

/* Without a session, which has handshakes over all paths, or another trial in progress: later. */
static void try_path(struct probe_path *pp, nsec_t now)
{
	struct probe *p = pp->probe;

	if (now < p->no_trial_before) {
		pp->trial_at = p->no_trial_before;
		return;
	}
	pp->trial_wait = longer_wait(pp);
	pp->trial_at = now + pp->trial_wait;
	if (!link_is_usable(pp->path->link) || !probe_has_session(p, now))
		return;
	p->no_trial_before = now + TRIAL_DISTANCE;
	pp->call_at = now + TRIAL_PATIENCE;
	/* relaxed: the poke orders it */
	atomic_store_explicit(&p->bond->trial_slot, pp->path->slot, memory_order_relaxed);
	peer_poke(&p->bond->peer, POKE_TRIAL);
}

bool probe_stock_tick(struct probe_path *pp, nsec_t now)
{
	if (pp->health.state != HEALTH_DOWN)
		return false;
	if (!health_needs_answer(&pp->health)) {
		if (now < pp->health.error_until)
			return false;
		health_init(&pp->health, now);
		return true;
	}
	if (now >= pp->call_at) {
		pp->call_at = NSEC_NEVER;
		probe_stock_call(pp->probe, now);
	}
	if (now >= pp->trial_at)
		try_path(pp, now);
	return false;
}
