/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/probe_internal.h"

#include <string.h>

#include "dataplane/carrier.h"
#include "dataplane/network_state.h"
#include "dataplane/news.h"
#include "links/quality.h"
#include "util/container.h"
#include "util/number.h"

/* A learnt path that has been down for so long is forgotten. */
#define FORGET_AFTER (120 * NSEC_PER_SEC)
/* Without an answer on any path for so many health intervals a handshake is tried, */
#define SILENCE_INTERVALS 2
/* or sooner, where these are long: three pings in doubt have been lost then, */
#define SILENCE_MOST (3 * HEALTH_DOUBT_INTERVAL)
/* but a slow path has its time. */
#define SILENCE_ROUND_TRIPS 4

static const struct health_settings *health_settings(const struct probe *p)
{
	return &p->network->settings->health;
}

void probe_path_tell_down(const struct probe_path *pp, nsec_t now)
{
	struct probe *p = pp->probe;
	const struct frame down = {.type = FRAME_DOWN, .down = {.path_id = pp->path->id}};

	for (unsigned i = 0; p->is_multilink && i < PATHS_MAX; i++) {
		if (p->paths[i] && p->paths[i]->health.state == HEALTH_UP)
			probe_path_send(p->paths[i], &down, 1, now);
	}
}

void probe_path_announce(struct probe_path *pp, const char *why, nsec_t now)
{
	pp->is_held = false;
	memset(&pp->pmtu, 0, sizeof(pp->pmtu)); /* it may come back over another way */
	news_path_state(pp, why);
	probe_publish(pp->probe);
	if (pp->health.state == HEALTH_DOWN)
		probe_path_tell_down(pp, now);
	probe_name_arm(pp->probe, now);
	probe_judge_peer(pp->probe, now);
}

bool probe_has_session(const struct probe *p, nsec_t now)
{
	bool has;

	rcu_begin();
	has = peer_send_session_rcu(&p->bond->peer, now) != NULL;
	rcu_end();
	return has;
}

/* A stock peer's paths tell nothing: there the session alone counts. */
static bool is_reachable(struct probe *p, nsec_t now)
{
	if (!probe_has_session(p, now))
		return false;
	for (unsigned i = 0; i < PATHS_MAX; i++)
		if (p->paths[i] && p->paths[i]->health.state != HEALTH_DOWN)
			return true;
	return !p->is_multilink;
}

void probe_retune(struct probe *p, nsec_t now)
{
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (!pp)
			continue;
		/* The next ping may be due earlier than was planned. */
		pp->health.next_ping =
			nsec_min(pp->health.next_ping, now + health_settings(p)->interval);
		probe_mtu_retune(pp, now);
		probe_path_arm(pp);
	}
	probe_publish(p);
}

void probe_judge_peer(struct probe *p, nsec_t now)
{
	bool is_up = is_reachable(p, now);

	if (is_up == p->is_up)
		return;
	p->is_up = is_up;
	carrier_peer_changed(p->network, is_up);
	news_peer(p->bond, is_up);
	probe_name_arm(p, now);
}

static void send_ping(struct probe_path *pp, nsec_t now)
{
	struct frame frames[2];
	struct frame *ping = frames;
	struct path_count *sent = &pp->path->sent;

	if (!addr_is_set(&pp->to.remote) || !probe_has_session(pp->probe, now)) {
		/* Nothing leaves, so nothing can be missed. */
		pp->health.next_ping = now + health_settings(pp->probe)->interval;
		return;
	}
	if (!pp->is_introduced)
		*ping++ = probe_path_hello(pp, true);
	*ping = (struct frame){.type = FRAME_PING};
	ping->ping.path_id = pp->path->id;
	ping->ping.tx_packets = atomic_load_explicit(&sent->packets, memory_order_relaxed);
	ping->ping.tx_bytes = atomic_load_explicit(&sent->bytes, memory_order_relaxed);
	ping->ping.number = health_ping_sent(&pp->health, health_settings(pp->probe),
					     ping->ping.tx_packets, now);
	probe_path_send(pp, frames, (int)(ping - frames) + 1, now);
}

static nsec_t silence(const struct probe_path *pp)
{
	nsec_t most = nsec_max(SILENCE_MOST, SILENCE_ROUND_TRIPS * pp->health.rtt);

	return nsec_min(SILENCE_INTERVALS * health_settings(pp->probe)->interval, most);
}

/*
 * No path has answered for a while: the peer may have restarted and forgotten the session, so
 * try a handshake long before the timers of the paper would (15 s after the last data).
 */
static bool is_silent(const struct probe *p, nsec_t now)
{
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		const struct probe_path *pp = p->paths[i];

		if (pp && addr_is_set(&pp->to.remote) &&
		    (!pp->health.unanswered_since ||
		     now - pp->health.unanswered_since < silence(pp)))
			return false;
	}
	return true;
}

void probe_path_arm(struct probe_path *pp)
{
	struct probe *p = pp->probe;
	nsec_t at = p->is_multilink ? health_deadline(&pp->health, health_settings(p))
				    : probe_stock_deadline(pp);

	at = nsec_min(at, probe_mtu_deadline(pp));
	if (at == NSEC_NEVER)
		timerq_disarm(p->timers, &pp->timer);
	else
		timerq_arm(p->timers, &pp->timer, at);
}

void probe_stand_by(struct probe *p, const struct path_set *set)
{
	for (unsigned i = 0; p->is_multilink && i < set->n; i++) {
		struct probe_path *pp = p->paths[set->entries[i].path->slot];
		bool was_standing_by = pp->health.is_standing_by;

		health_stand_by(&pp->health, health_settings(p),
				set->entries[i].is_backup && !path_set_is_active(set, i));
		if (was_standing_by != pp->health.is_standing_by)
			probe_path_arm(pp);
	}
}

/* An answer is missed: those that stand by may be needed soon, or may have failed as well. */
static void rouse_others(struct probe_path *in_doubt)
{
	struct probe *p = in_doubt->probe;

	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (!pp || pp == in_doubt || !pp->health.is_standing_by)
			continue;
		health_rouse(&pp->health, health_settings(p));
		probe_path_arm(pp);
	}
}

static bool is_to_be_forgotten(const struct probe_path *pp, nsec_t now)
{
	return !pp->name && pp->health.state == HEALTH_DOWN &&
	       now - pp->health.since > FORGET_AFTER;
}

void probe_path_tick(struct timer *t, nsec_t now)
{
	struct probe_path *pp = container_of(t, struct probe_path, timer);
	struct probe *p = pp->probe;
	bool has_changed;

	has_changed = p->is_multilink ? health_expire(&pp->health, health_settings(p), now)
				      : probe_stock_tick(pp, now);
	if (has_changed)
		probe_path_announce(pp, p->is_multilink ? "no answer" : "trying again", now);
	if (is_to_be_forgotten(pp, now) && probe_remove_path(pp))
		return;
	if (p->is_multilink && health_wants_ping(&pp->health, now))
		send_ping(pp, now);
	probe_mtu_tick(pp, now);
	if (p->is_multilink && health_is_overdue(&pp->health, health_settings(p), now))
		rouse_others(pp);
	if (p->is_multilink && is_silent(p, now))
		peer_poke(&p->bond->peer, POKE_HANDSHAKE);
	probe_path_arm(pp);
}

void probe_handle_ping(struct probe *p, const struct event *e)
{
	const struct frame_ping *ping = &e->frame.ping;
	struct probe_path *pp = ping->path_id ? probe_path_of_frame(p, e, ping->path_id) : NULL;
	struct frame pong = {
		.type = FRAME_PONG,
		.pong =
			{
				.number = ping->number,
				.path_id = ping->path_id,
				.rx_packets = e->rx_packets,
				.rx_bytes = e->rx_bytes,
			},
	};

	if (!pp)
		return;
	probe_path_send(pp, &pong, 1, e->at);
	loss_meter_observe(&pp->rx_loss, ping->tx_packets, e->rx_packets);
}

/* What decides between paths beside their states. */
static void judge_quality(struct probe_path *pp)
{
	const struct health_settings *s = health_settings(pp->probe);
	bool is_held = health_is_held(&pp->health, s);
	bool is_poor = quality_is_poor(pp->is_poor, s, larger(pp->tx_loss.loss, pp->rx_loss.loss),
				       pp->health.rtt);
	bool was_poor = pp->is_poor;

	if (is_held == pp->is_held && is_poor == was_poor)
		return;
	pp->is_held = is_held;
	pp->is_poor = is_poor;
	if (is_poor != was_poor)
		news_path_quality(pp);
	probe_publish(pp->probe);
}

void probe_handle_pong(struct probe *p, const struct event *e)
{
	const struct frame_pong *pong = &e->frame.pong;
	struct health_ping ping;
	bool is_valid = false;

	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (!pp || pp->path->id != pong->path_id || pp->path->link != e->link)
			continue;
		if (health_pong(&pp->health, health_settings(p), pong->number, e->at, &is_valid,
				&ping))
			probe_path_announce(pp, "the peer answers", e->at);
		atomic_store_explicit(&pp->path->rtt, pp->health.rtt, memory_order_relaxed);
		if (is_valid)
			loss_meter_observe(&pp->tx_loss, ping.tx_packets, pong->rx_packets);
		judge_quality(pp);
		probe_path_arm(pp);
		return;
	}
}

void probe_handle_down(struct probe *p, const struct event *e)
{
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (!pp || !pp->remote_id || pp->remote_id != e->frame.down.path_id)
			continue;
		if (health_peer_down(&pp->health, health_settings(p), e->at))
			probe_path_announce(pp, "the peer says so", e->at);
		probe_path_arm(pp);
	}
}

bool probe_path_failed(struct probe *p, uint32_t path_id, int error, nsec_t now)
{
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];
		bool had_source;

		if (!pp || pp->path->id != path_id)
			continue;
		/* The source address that we answered from may be ours no longer. */
		had_source = addr_is_set(&pp->to.local);
		memset(&pp->to.local, 0, sizeof(pp->to.local));
		if (health_link_error(&pp->health, health_settings(p), now))
			probe_path_announce(pp, strerror(error), now);
		else if (had_source)
			probe_publish(p);
		probe_path_arm(pp);
		return true;
	}
	return false;
}

void probe_link_changed(struct probe *p, struct link *l, const char *why, nsec_t now)
{
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (!pp || pp->path->link != l)
			continue;
		if (why && health_link_error(&pp->health, health_settings(p), now))
			probe_path_announce(pp, why, now);
		if (!why)
			health_retry(&pp->health, now);
		probe_path_arm(pp);
	}
	probe_publish(p);
}

void probe_link_retry(struct probe *p, struct link *l, nsec_t now)
{
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		if (!p->paths[i] || p->paths[i]->path->link != l)
			continue;
		health_retry(&p->paths[i]->health, now);
		probe_path_arm(p->paths[i]);
	}
}

void probe_source_gone(struct probe *p, struct link *l, const struct prefix *address, nsec_t now)
{
	bool has_changed = false;

	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (!pp || pp->path->link != l || !addr_is_host(&pp->to.local, address))
			continue;
		memset(&pp->to.local, 0, sizeof(pp->to.local));
		health_retry(&pp->health, now);
		probe_path_arm(pp);
		has_changed = true;
	}
	if (has_changed)
		probe_publish(p);
}

/* A peer without a session answers no handshake, whatever path it goes over. */
static nsec_t session_missed_since(const struct probe *p)
{
	nsec_t last = atomic_load_explicit(&p->bond->peer.last_handshake, memory_order_relaxed);

	return last ? last + REJECT_AFTER_TIME : p->made;
}

nsec_t probe_link_quiet_since(const struct probe *p, const struct link *l, nsec_t now)
{
	bool is_in_session = probe_has_session(p, now);
	nsec_t since = 0;

	for (unsigned i = 0; i < PATHS_MAX; i++) {
		const struct probe_path *pp = p->paths[i];

		if (!pp || pp->path->link != l || !pp->name || !addr_is_set(&pp->to.remote))
			continue;
		if (!is_in_session)
			since = nsec_max(since, session_missed_since(p));
		else if (p->is_multilink && pp->health.unanswered_since)
			since = nsec_max(since, pp->health.unanswered_since);
		else
			return NSEC_NEVER;
	}
	return since;
}
