/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/network_state.h"
#include "dataplane/tx.h"
#include "util/log.h"

/* Hellos without an answer after which a peer counts as stock, until its next session. */
#define HELLO_TRIES 4
#define HELLO_INTERVAL NSEC_PER_SEC
/* ... and the cadence at which one with multilink = yes is asked for ever. */
#define HELLO_INTERVAL_PATIENT (5 * NSEC_PER_SEC)
/* A learnt path that has been down for so long is forgotten. */
#define FORGET_AFTER (120 * NSEC_PER_SEC)
/* A name whose path is down is looked up again this often. */
#define RESOLVE_INTERVAL (30 * NSEC_PER_SEC)
/* Health intervals without an answer on any path after which a handshake is tried. */
#define SILENCE_INTERVALS 2
/* Packets between two reports that make a loss figure worth something. */
#define LOSS_SAMPLE_PACKETS 20

static const struct health_settings *health_settings(const struct probe *p)
{
	return &p->network->settings->health;
}

static const char *describe(const struct probe_path *pp, char buf[256])
{
	char remote[ADDR_TEXT_MAX];

	snprintf(buf, 256, "network %s: peer %s: path %s to %s", pp->probe->network->settings->name,
		 pp->probe->bond->settings->name, pp->path->link->settings->name,
		 addr_format(&pp->to.remote, remote));
	return buf;
}

/* Publishes a new snapshot of the paths; false without memory, and the old one stays in force. */
static bool publish(struct probe *p)
{
	struct path_set *set = calloc(1, sizeof(*set));
	struct path_set *old = rcu_own(&p->bond->paths);

	if (!set) {
		log_error("network %s: no memory for a path table; the old one stays in force",
			  p->network->settings->name);
		return false;
	}
	set->mode = p->network->settings->mode;
	set->is_multilink = p->is_multilink;
	set->is_by_weight = p->network->settings->scheduler == SCHEDULER_WEIGHT;
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (!pp || !addr_is_set(&pp->to.remote))
			continue;
		set->entries[set->n++] = (struct path_entry){
			.path = pp->path,
			.to = pp->to,
			.weight = pp->weight,
			.remote_id = pp->remote_id,
			.state = pp->health.state,
			.is_usable = atomic_load_explicit(&pp->path->link->is_open,
							  memory_order_relaxed),
		};
	}
	path_set_choose(set, p->is_multilink);
	rcu_publish(&p->bond->paths, set);
	path_set_retire(old);
	tx_kick(p->network->tx);
	return true;
}

static void move_path(struct probe_path *pp, const struct endpoint *to)
{
	char buf[256];
	char remote[ADDR_TEXT_MAX];

	if (addr_is_set(&pp->to.remote))
		log_info("%s moves to %s", describe(pp, buf), addr_format(&to->remote, remote));
	pp->to = *to;
	publish(pp->probe);
}

static void ask_resolver(struct probe_path *pp, nsec_t now)
{
	struct probe *p = pp->probe;
	const struct addr *bind = &pp->path->link->settings->bind;
	struct resolver_request q = {
		.bond = p->bond,
		.path_id = pp->path->id,
		.name = *pp->name,
		.family = bind->sa.sa_family,
		.avoid = pp->to.remote,
	};
	struct endpoint literal = {0};

	pp->resolve_at = now + RESOLVE_INTERVAL;
	if (resolver_literal(&literal.remote, pp->name, q.family) == 0) {
		if (!addr_equal(&literal.remote, &pp->to.remote))
			move_path(pp, &literal);
		return;
	}
	if (!*p->resolver && resolver_new(p->resolver, p->network) < 0) {
		log_error("network %s: cannot start the resolver thread",
			  p->network->settings->name);
		return;
	}
	pp->is_resolving = resolver_ask(*p->resolver, &q);
}

static void send_frames(struct probe_path *pp, const struct frame *frames, int n, nsec_t now)
{
	uint8_t payload[FRAME_PACKET_MAX];
	const struct path_entry *e;
	size_t len = 0;

	for (int i = 0; i < n; i++)
		len += (size_t)frame_write(&frames[i], payload + len, sizeof(payload) - len);
	rcu_begin();
	e = path_set_by_slot(rcu_read(&pp->probe->bond->paths), pp->path->slot);
	if (e)
		bond_send_control_rcu(pp->probe->bond, e, payload, len, now);
	rcu_end();
}

/* Tells the peer, over the paths that work, that this one does not. */
static void tell_down(const struct probe_path *pp, nsec_t now)
{
	struct probe *p = pp->probe;
	const struct frame down = {.type = FRAME_DOWN, .down = {.path_id = pp->path->id}};

	for (unsigned i = 0; p->is_multilink && i < PATHS_MAX; i++) {
		if (p->paths[i] && p->paths[i]->health.state == HEALTH_UP)
			send_frames(p->paths[i], &down, 1, now);
	}
}

/* The path's state has changed. */
static void announce(struct probe_path *pp, const char *why, nsec_t now)
{
	char buf[256];

	log_notice("%s is %s: %s", describe(pp, buf), health_state_name(pp->health.state), why);
	publish(pp->probe);
	if (pp->health.state == HEALTH_DOWN)
		tell_down(pp, now);
}

static struct frame hello_frame(const struct probe_path *pp, bool wants_answer)
{
	const struct link_settings *link = pp->path->link->settings;
	struct frame f = {.type = FRAME_HELLO};

	f.hello.wants_answer = wants_answer;
	f.hello.path_id = pp->path->id;
	f.hello.weight = link->weight;
	snprintf(f.hello.link_name, sizeof(f.hello.link_name), "%s", link->name);
	return f;
}

static bool has_session(struct probe *p, nsec_t now)
{
	bool has;

	rcu_begin();
	has = peer_send_session_rcu(&p->bond->peer, now) != NULL;
	rcu_end();
	return has;
}

static void send_ping(struct probe_path *pp, nsec_t now)
{
	struct frame frames[2];
	struct frame *ping = frames;
	struct path_count *sent = &pp->path->sent;

	if (!addr_is_set(&pp->to.remote) || !has_session(pp->probe, now)) {
		/* Nothing leaves, so nothing can be missed. */
		pp->health.next_ping = now + health_settings(pp->probe)->interval;
		return;
	}
	if (!pp->is_introduced)
		*ping++ = hello_frame(pp, true);
	*ping = (struct frame){.type = FRAME_PING};
	ping->ping.path_id = pp->path->id;
	ping->ping.tx_packets = atomic_load_explicit(&sent->packets, memory_order_relaxed);
	ping->ping.tx_bytes = atomic_load_explicit(&sent->bytes, memory_order_relaxed);
	ping->ping.number = health_ping_sent(&pp->health, health_settings(pp->probe),
					     ping->ping.tx_packets, now);
	send_frames(pp, frames, (int)(ping - frames) + 1, now);
}

static void remove_path(struct probe_path *pp)
{
	struct probe *p = pp->probe;

	p->paths[pp->path->slot] = NULL;
	if (!publish(p)) {
		/* The snapshot in force still has it: it stays, and goes another time. */
		p->paths[pp->path->slot] = pp;
		return;
	}
	timerq_disarm(p->timers, &pp->timer);
	path_retire(pp->path);
	free(pp);
}

static void arm(struct probe_path *pp)
{
	struct probe *p = pp->probe;
	nsec_t at = NSEC_NEVER;

	if (p->is_multilink)
		at = health_deadline(&pp->health, health_settings(p));
	else if (pp->health.state == HEALTH_DOWN)
		at = pp->health.error_until;
	if (pp->name && !pp->is_resolving &&
	    (!addr_is_set(&pp->to.remote) || pp->health.state == HEALTH_DOWN))
		at = nsec_min(at, pp->resolve_at);
	if (at == NSEC_NEVER)
		timerq_disarm(p->timers, &pp->timer);
	else
		timerq_arm(p->timers, &pp->timer, at);
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
		     now - pp->health.unanswered_since <
			     SILENCE_INTERVALS * health_settings(p)->interval))
			return false;
	}
	return true;
}

/* A stock peer's path gets a new chance when the time after an error is over. */
static bool forgive(struct probe_path *pp, nsec_t now)
{
	if (pp->health.state != HEALTH_DOWN || now < pp->health.error_until)
		return false;
	health_init(&pp->health, now);
	return true;
}

static void path_tick(struct timer *t, nsec_t now)
{
	struct probe_path *pp =
		(struct probe_path *)((char *)t - offsetof(struct probe_path, timer));
	struct probe *p = pp->probe;
	bool has_changed;

	has_changed = p->is_multilink ? health_expire(&pp->health, health_settings(p), now)
				      : forgive(pp, now);
	if (has_changed)
		announce(pp, p->is_multilink ? "no answer" : "trying again", now);
	if (!pp->name && pp->health.state == HEALTH_DOWN && now - pp->health.since > FORGET_AFTER) {
		remove_path(pp);
		return;
	}
	if (pp->name && !pp->is_resolving && now >= pp->resolve_at &&
	    (!addr_is_set(&pp->to.remote) || pp->health.state == HEALTH_DOWN))
		ask_resolver(pp, now);
	if (p->is_multilink && health_wants_ping(&pp->health, now))
		send_ping(pp, now);
	if (p->is_multilink && is_silent(p, now))
		peer_poke(&p->bond->peer, POKE_HANDSHAKE);
	arm(pp);
}

/* A new path in a free slot; NULL if there is none, or no memory. */
static struct probe_path *add_path(struct probe *p, struct link *l, nsec_t now)
{
	struct probe_path *pp;
	unsigned slot = 0;

	while (slot < PATHS_MAX && p->paths[slot])
		slot++;
	if (slot == PATHS_MAX)
		return NULL;
	pp = calloc(1, sizeof(*pp));
	if (!pp || posix_memalign((void **)&pp->path, _Alignof(struct path), sizeof(*pp->path))) {
		free(pp);
		return NULL;
	}
	memset(pp->path, 0, sizeof(*pp->path));
	pp->path->id = ++p->network->last_path_id;
	pp->path->slot = (uint8_t)slot;
	pp->path->link = l;
	pp->probe = p;
	pp->timer.fire = path_tick;
	pp->weight = l->settings->weight;
	pp->tx_loss.loss = pp->rx_loss.loss = -1;
	health_init(&pp->health, now);
	p->paths[slot] = pp;
	return pp;
}

/* All timers of a peer's paths must fit the monitor's queue. */
static int reserve_timers(struct probe *p)
{
	return timerq_reserve(p->timers,
			      p->network->n_bonds * (PATHS_MAX + 1) + 1 + p->network->n_links);
}

static void hello_tick(struct timer *t, nsec_t now);

int probe_new(struct probe **ret, const struct probe_context *c, struct bond *bond, nsec_t now)
{
	struct probe *p = calloc(1, sizeof(*p));
	const struct endpoint_name *name;
	struct probe_path *pp;
	int r;

	if (!p)
		return -ENOMEM;
	p->network = c->network;
	p->timers = c->timers;
	p->resolver = c->resolver;
	p->bond = bond;
	p->hello_timer.fire = hello_tick;
	r = reserve_timers(p);
	for (size_t i = 0; r == 0 && i < p->network->n_links; i++) {
		struct link *l = &p->network->links[i];

		name = l->settings->endpoint.host[0] ? &l->settings->endpoint
						     : &bond->settings->endpoint;
		if (!name->host[0])
			continue;
		pp = add_path(p, l, now);
		if (!pp) {
			r = -ENOMEM;
			break;
		}
		pp->name = name;
		ask_resolver(pp, now);
		arm(pp);
	}
	if (r < 0) {
		probe_free(p);
		return r;
	}
	publish(p);
	*ret = p;
	return 0;
}

void probe_free(struct probe *p)
{
	struct path_set *set;

	if (!p)
		return;
	set = rcu_own(&p->bond->paths);
	rcu_publish(&p->bond->paths, NULL);
	path_set_retire(set);
	timerq_disarm(p->timers, &p->hello_timer);
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (!pp)
			continue;
		timerq_disarm(p->timers, &pp->timer);
		path_retire(pp->path);
		free(pp);
	}
	free(p);
}

static struct probe_path *find_path(struct probe *p, const struct link *l,
				    const struct addr *remote)
{
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (pp && pp->path->link == l && (!remote || addr_equal(&pp->to.remote, remote)))
			return pp;
	}
	return NULL;
}

static struct probe_path *learn_path(struct probe *p, const struct event *e)
{
	struct probe_path *pp = add_path(p, e->link, e->at);
	char buf[256];

	if (!pp) {
		log_debug("network %s: peer %s: no room for one more path",
			  p->network->settings->name, p->bond->settings->name);
		return NULL;
	}
	pp->to = e->from;
	log_info("%s has been learnt", describe(pp, buf));
	publish(p);
	arm(pp);
	return pp;
}

/* A stock peer has one endpoint, its last: other paths that were learnt lead nowhere now. */
static void forget_others(struct probe *p, const struct probe_path *kept)
{
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		if (p->paths[i] && p->paths[i] != kept && !p->paths[i]->name)
			remove_path(p->paths[i]);
	}
}

void probe_heard(struct probe *p, const struct event *e)
{
	struct probe_path *pp = find_path(p, e->link, NULL);

	/* A vtrunkd says itself where its paths are: see path_of_frame(). */
	if (p->is_multilink && find_path(p, e->link, &e->from.remote))
		return;
	if (p->is_multilink && rcu_own(&p->bond->paths)->n)
		return;
	if (!pp)
		pp = learn_path(p, e);
	else if (!addr_equal(&pp->to.remote, &e->from.remote))
		move_path(pp, &e->from);
	if (!pp)
		return;
	if (!pp->name)
		forget_others(p, pp);
	if (pp->health.state == HEALTH_PROBING && !p->is_multilink) {
		health_heard(&pp->health, e->at);
		announce(pp, "heard from the peer", e->at);
	}
}

/*
 * The path on which the peer's own path `remote_id` ends. Its packets tell where that path comes
 * from now, so an address that has changed (a NAT's new port, a new lease) moves the path.
 */
static struct probe_path *path_of_frame(struct probe *p, const struct event *e, uint32_t remote_id)
{
	struct probe_path *pp = NULL;
	struct probe_path *elsewhere = NULL;

	for (unsigned i = 0; i < PATHS_MAX; i++) {
		if (!p->paths[i] || p->paths[i]->remote_id != remote_id)
			continue;
		if (p->paths[i]->path->link == e->link)
			pp = p->paths[i];
		else if (!p->paths[i]->name)
			elsewhere = p->paths[i];
	}
	if (!pp)
		pp = find_path(p, e->link, &e->from.remote);
	if (!pp && elsewhere)
		remove_path(elsewhere);
	if (!pp)
		pp = learn_path(p, e);
	if (!pp)
		return NULL;
	if (!addr_equal(&pp->to.remote, &e->from.remote))
		move_path(pp, &e->from);
	if (pp->remote_id != remote_id || !addr_equal(&pp->to.local, &e->from.local)) {
		pp->remote_id = remote_id;
		pp->to.local = e->from.local;
		publish(p);
	}
	return pp;
}

static void handle_hello(struct probe *p, const struct event *e)
{
	const struct frame_hello *hello = &e->frame.hello;
	struct probe_path *pp = path_of_frame(p, e, hello->path_id);
	struct frame answer;

	if (!pp)
		return;
	pp->is_introduced = true;
	memcpy(pp->remote_link, hello->link_name, sizeof(pp->remote_link));
	/* The side that has the link knows its weight. */
	if (!pp->name && hello->weight && hello->weight != pp->weight) {
		pp->weight = hello->weight;
		publish(p);
	}
	if (hello->wants_answer) {
		answer = hello_frame(pp, false);
		send_frames(pp, &answer, 1, e->at);
	}
}

/* `sent` packets so far, of which `arrived` came. */
static void measure_loss(struct loss_meter *m, uint64_t sent, uint64_t arrived)
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

static void handle_ping(struct probe *p, const struct event *e)
{
	const struct frame_ping *ping = &e->frame.ping;
	struct probe_path *pp = ping->path_id ? path_of_frame(p, e, ping->path_id) : NULL;
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
	send_frames(pp, &pong, 1, e->at);
	measure_loss(&pp->rx_loss, ping->tx_packets, e->rx_packets);
}

static void handle_pong(struct probe *p, const struct event *e)
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
			announce(pp, "the peer answers", e->at);
		if (is_valid)
			measure_loss(&pp->tx_loss, ping.tx_packets, pong->rx_packets);
		arm(pp);
		return;
	}
}

static void handle_down(struct probe *p, const struct event *e)
{
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (!pp || !pp->remote_id || pp->remote_id != e->frame.down.path_id)
			continue;
		if (health_peer_down(&pp->health, e->at))
			announce(pp, "the peer says so", e->at);
		arm(pp);
	}
}

/* The peer speaks our protocol: from now on its paths are pinged. */
static void note_multilink(struct probe *p, nsec_t now)
{
	p->has_answered = true;
	if (p->is_multilink)
		return;
	p->is_multilink = true;
	p->is_known = true;
	log_info("network %s: peer %s speaks the bonding protocol", p->network->settings->name,
		 p->bond->settings->name);
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		if (!p->paths[i])
			continue;
		p->paths[i]->health.next_ping = now;
		arm(p->paths[i]);
	}
	publish(p);
}

void probe_frame(struct probe *p, const struct event *e)
{
	if (p->bond->settings->multilink == MULTILINK_NO)
		return;
	note_multilink(p, e->at);
	switch (e->frame.type) {
	case FRAME_HELLO:
		handle_hello(p, e);
		break;
	case FRAME_PING:
		handle_ping(p, e);
		break;
	case FRAME_PONG:
		handle_pong(p, e);
		break;
	case FRAME_DOWN:
		handle_down(p, e);
		break;
	case FRAME_REPORT: /* the TUN reader's: lane.c */
		break;
	}
}

/* The peer does not answer hellos: it is a stock one, at least for now. */
static void give_up_multilink(struct probe *p, nsec_t now)
{
	if (!p->is_known || p->is_multilink)
		log_info("network %s: peer %s is a stock WireGuard peer",
			 p->network->settings->name, p->bond->settings->name);
	p->is_known = true;
	if (!p->is_multilink)
		return;
	p->is_multilink = false;
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		if (!p->paths[i])
			continue;
		health_init(&p->paths[i]->health, now);
		p->paths[i]->is_introduced = false;
		arm(p->paths[i]);
	}
	publish(p);
}

static void hello_tick(struct timer *t, nsec_t now)
{
	struct probe *p = (struct probe *)((char *)t - offsetof(struct probe, hello_timer));
	bool is_patient = p->bond->settings->multilink == MULTILINK_YES;

	if (p->has_answered)
		return;
	if (!p->hellos_left && !is_patient) {
		give_up_multilink(p, now);
		return;
	}
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct frame hello;

		if (!p->paths[i])
			continue;
		hello = hello_frame(p->paths[i], true);
		send_frames(p->paths[i], &hello, 1, now);
	}
	timerq_arm(p->timers, t, now + (p->hellos_left ? HELLO_INTERVAL : HELLO_INTERVAL_PATIENT));
	if (p->hellos_left)
		p->hellos_left--;
}

void probe_session(struct probe *p, nsec_t now)
{
	if (p->bond->settings->multilink == MULTILINK_NO)
		return;
	p->has_answered = false;
	p->hellos_left = HELLO_TRIES;
	hello_tick(&p->hello_timer, now);
}

void probe_resolved(struct probe *p, const struct event *e)
{
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];
		const struct endpoint to = {.remote = e->from.remote};

		if (!pp || pp->path->id != e->path_id)
			continue;
		pp->is_resolving = false;
		if (e->error) {
			log_warn("network %s: link %s: cannot resolve %s; trying again in %d s",
				 p->network->settings->name, pp->path->link->settings->name,
				 pp->name->host, (int)(RESOLVE_INTERVAL / NSEC_PER_SEC));
		} else if (!addr_equal(&pp->to.remote, &to.remote)) {
			move_path(pp, &to);
			pp->health.next_ping = e->at;
			peer_poke(&p->bond->peer, POKE_HANDSHAKE);
		}
		arm(pp);
		return;
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
			announce(pp, strerror(error), now);
		else if (had_source)
			publish(p);
		arm(pp);
		return true;
	}
	return false;
}

void probe_link_changed(struct probe *p, struct link *l, nsec_t now)
{
	bool is_open = atomic_load_explicit(&l->is_open, memory_order_relaxed);

	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (!pp || pp->path->link != l)
			continue;
		if (!is_open && health_link_error(&pp->health, health_settings(p), now))
			announce(pp, "the link has no socket", now);
		if (is_open)
			pp->health.next_ping = now;
		arm(pp);
	}
	publish(p);
}

static void sample(struct rate_meter *m, const struct path_count *c, nsec_t elapsed)
{
	uint64_t bytes = atomic_load_explicit(&c->bytes, memory_order_relaxed);

	m->bps = (uint64_t)((double)(bytes - m->bytes) * 8 * NSEC_PER_SEC / (double)elapsed);
	m->bytes = bytes;
}

void probe_sample_rates(struct probe *p, nsec_t elapsed)
{
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (!pp)
			continue;
		sample(&pp->tx_rate, &pp->path->sent, elapsed);
		sample(&pp->rx_rate, &pp->path->received, elapsed);
	}
}
