/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/probe.h"
#include "dataplane/carrier.h"

#include <errno.h>
#include <stdlib.h>

#include "dataplane/network_state.h"
#include "dataplane/probe_internal.h"
#include "dataplane/recall.h"

/* Its hello's, that of names, that of recall, and one for each path it may have. */
#define TIMERS (PATHS_MAX + 3)

int probe_configure(struct probe *p, nsec_t now)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < p->network->n_links; i++) {
		struct link *l = p->network->links[i];

		if (l)
			r = probe_configure_link(p, l, now);
	}
	return r;
}

int probe_new(struct probe **ret, const struct probe_context *c, struct bond *bond, nsec_t now)
{
	struct probe *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	p->network = c->network;
	p->timers = c->timers;
	p->resolver = c->resolver;
	p->bond = bond;
	p->made = now;
	p->hello_timer.fire = probe_hello_tick;
	p->name_timer.fire = probe_name_tick;
	p->recall_timer.fire = recall_tick;
	r = timerq_add_room(p->timers, TIMERS);
	if (r < 0) {
		free(p);
		return r;
	}
	r = probe_configure(p, now);
	if (r < 0) {
		probe_free(p);
		return r;
	}
	probe_publish(p);
	*ret = p;
	return 0;
}

void probe_free(struct probe *p)
{
	struct path_set *set;

	if (!p)
		return;
	if (p->is_up)
		carrier_peer_changed(p->network, false);
	set = rcu_own(&p->bond->paths);
	rcu_publish(&p->bond->paths, NULL);
	path_set_retire(set);
	timerq_disarm(p->timers, &p->hello_timer);
	timerq_disarm(p->timers, &p->name_timer);
	timerq_disarm(p->timers, &p->recall_timer);
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (!pp)
			continue;
		timerq_disarm(p->timers, &pp->timer);
		path_retire(pp->path);
		free(pp->found);
		free(pp);
	}
	timerq_take_room(p->timers, TIMERS);
	free(p);
}

void probe_path_send(struct probe_path *pp, const struct frame *frames, int n, nsec_t now)
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

void probe_frame(struct probe *p, const struct event *e)
{
	if (p->bond->settings->multilink == MULTILINK_NO)
		return;
	probe_note_multilink(p, e->at);
	switch (e->frame.type) {
	case FRAME_HELLO:
		probe_handle_hello(p, e);
		break;
	case FRAME_PING:
		probe_handle_ping(p, e);
		break;
	case FRAME_PONG:
		probe_handle_pong(p, e);
		break;
	case FRAME_MTU_PROBE:
		probe_handle_mtu_probe(p, e);
		break;
	case FRAME_MTU_ANSWER:
		probe_handle_mtu_answer(p, e);
		break;
	case FRAME_DOWN:
		probe_handle_down(p, e);
		break;
	case FRAME_REPORT: /* the TUN reader's: intake.c */
	case FRAME_REPAIR:
	case FRAME_APART: /* the receive lane's */
		break;
	}
}

static void sample(struct rate_meter *m, const struct path_count *c, nsec_t elapsed)
{
	rate_meter_observe(m, atomic_load_explicit(&c->bytes, memory_order_relaxed), elapsed);
}

void probe_find_nearest(const struct probe *p, nsec_t *nearest)
{
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		const struct probe_path *pp = p->paths[i];
		nsec_t *least;

		if (!pp || pp->health.state != HEALTH_UP)
			continue;
		least = &nearest[pp->path->link->number];
		*least = nsec_min(*least, pp->health.rtt_min);
	}
}

void probe_sample(struct probe *p, nsec_t elapsed, nsec_t now)
{
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (!pp)
			continue;
		sample(&pp->tx_rate, &pp->path->sent, elapsed);
		sample(&pp->rx_rate, &pp->path->received, elapsed);
		probe_stock_sample(pp, now);
	}
}
