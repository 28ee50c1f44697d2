/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/mtu.h"
#include "dataplane/network_state.h"
#include "dataplane/news.h"
#include "dataplane/probe_internal.h"

#define UDP_HEADER 8

static uint32_t ip_overhead(const struct probe_path *pp)
{
	return (pp->to.remote.sa.sa_family == AF_INET ? 20 : 40) + UDP_HEADER;
}

uint32_t probe_path_inner_mtu(const struct probe_path *pp)
{
	uint32_t overhead = ip_overhead(pp) + MESSAGE_DATA_OVERHEAD;

	return pp->pmtu.mtu > overhead ? pp->pmtu.mtu - overhead : 0;
}

/* Where the search ends: at what the interface may give us, or Ethernet. */
static uint32_t size_most(const struct probe_path *pp)
{
	uint32_t most = pp->probe->network->settings->mtu + MESSAGE_DATA_OVERHEAD + ip_overhead(pp);

	return most > PMTU_MAX ? most : PMTU_MAX;
}

static void begin(struct probe_path *pp, nsec_t now)
{
	bool is_v4 = pp->to.remote.sa.sa_family == AF_INET;

	pmtu_init(&pp->pmtu, is_v4 ? PMTU_MIN_V4 : PMTU_MIN_V6, size_most(pp), now);
	pp->route_mtu = 0;
}

void probe_mtu_retune(struct probe_path *pp, nsec_t now)
{
	if (pp->pmtu.max && pp->pmtu.max != size_most(pp))
		begin(pp, now);
}

/* Only where the peer can answer, and the path is good enough for a lost probe to mean something.
 */
static bool is_searched(const struct probe_path *pp)
{
	return pp->probe->is_multilink && pp->health.state == HEALTH_UP;
}

nsec_t probe_mtu_deadline(const struct probe_path *pp)
{
	return is_searched(pp) ? pp->pmtu.at : NSEC_NEVER;
}

static void send_probe(struct probe_path *pp, const struct pmtu_probe *probe, nsec_t now)
{
	const struct frame f = {
		.type = FRAME_MTU_PROBE,
		.mtu = {.number = probe->number, .path_id = pp->path->id, .size = probe->size},
	};
	uint8_t payload[FRAME_PACKET_MAX];
	const struct path_entry *e;
	int len = frame_write(&f, payload, sizeof(payload));

	rcu_begin();
	e = path_set_by_slot(rcu_read(&pp->probe->bond->paths), pp->path->slot);
	if (e)
		bond_send_mtu_probe_rcu(pp->probe->bond, e, payload, (size_t)len,
					probe->size - ip_overhead(pp), now);
	rcu_end();
}

/* Of a probe or of its answer. */
static double round_trip_loss(const struct probe_path *pp)
{
	double tx = pp->tx_loss.loss > 0 ? pp->tx_loss.loss : 0;
	double rx = pp->rx_loss.loss > 0 ? pp->rx_loss.loss : 0;

	return 1 - (1 - tx) * (1 - rx);
}

void probe_mtu_tick(struct probe_path *pp, nsec_t now)
{
	const struct health_settings *s = &pp->probe->network->settings->health;
	struct pmtu_conditions c = {
		.is_answering = !health_is_overdue(&pp->health, s, now),
		.patience = health_patience(&pp->health, s),
		.loss = round_trip_loss(pp),
		.tx_bytes = atomic_load_explicit(&pp->path->sent.bytes, memory_order_relaxed),
	};
	struct pmtu_probe probe;

	if (!is_searched(pp) || now < pp->pmtu.at)
		return;
	if (!pp->pmtu.max)
		begin(pp, now);
	/* Asked anew for each size: ICMP may have come for the one before. */
	if (!pp->pmtu.size)
		pp->route_mtu = udp_route_mtu(pp->path->link->settings, &pp->to.remote);
	c.hint = pp->route_mtu;
	if (pmtu_tick(&pp->pmtu, &c, now, &probe)) {
		news_path_mtu(pp);
		mtu_update(pp->probe->network, now);
	}
	if (probe.size)
		send_probe(pp, &probe, now);
}

void probe_handle_mtu_probe(struct probe *p, const struct event *e)
{
	const struct frame answer = {.type = FRAME_MTU_ANSWER, .mtu = e->frame.mtu};
	struct probe_path *pp =
		e->frame.mtu.path_id ? probe_path_of_frame(p, e, e->frame.mtu.path_id) : NULL;

	if (pp)
		probe_path_send(pp, &answer, 1, e->at);
}

void probe_handle_mtu_answer(struct probe *p, const struct event *e)
{
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = p->paths[i];

		if (!pp || pp->path->id != e->frame.mtu.path_id || pp->path->link != e->link)
			continue;
		if (pmtu_answer(&pp->pmtu, e->frame.mtu.number, e->at))
			mtu_update(p->network, e->at);
		probe_path_arm(pp);
		return;
	}
}
