/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/news.h"

#include "dataplane/network_state.h"
#include "dataplane/probe.h"
#include "util/log.h"

static void begin(struct record *r, const char *name, const struct network *n)
{
	record_init(r, name);
	record_add(r, "network", n->settings->name);
}

static void tell(struct network *n, int level, const char *message, const struct record *r)
{
	log_record(level, message, r);
	if (n->happened)
		n->happened(n->calls_ctx, r);
}

static void add_addr(struct record *r, const char *key, const struct addr *a)
{
	char text[ADDR_TEXT_MAX];

	if (addr_is_set(a))
		record_add(r, key, addr_format(a, text));
}

static void begin_path(struct record *r, const char *name, const struct probe_path *pp)
{
	begin(r, name, pp->probe->network);
	record_add(r, "peer", pp->probe->bond->settings->name);
	record_add(r, "link", pp->path->link->settings->name);
	record_number(r, "path", "%u", pp->path->id);
	add_addr(r, "remote", &pp->to.remote);
	record_add(r, "state", health_state_name(pp->health.state));
}

static void tell_path(const struct probe_path *pp, int level, const char *message,
		      const struct record *r)
{
	tell(pp->probe->network, level, message, r);
}

void news_path_learnt(const struct probe_path *pp)
{
	struct record r;

	begin_path(&r, "path_learnt", pp);
	tell_path(pp, LOG_INFO, "path learnt", &r);
}

void news_path_moved(const struct probe_path *pp, const struct addr *from)
{
	struct record r;

	begin_path(&r, "path_moved", pp);
	add_addr(&r, "from", from);
	tell_path(pp, LOG_INFO, "path moved", &r);
}

void news_path_removed(const struct probe_path *pp)
{
	struct record r;

	begin_path(&r, "path_removed", pp);
	tell_path(pp, LOG_INFO, "path removed", &r);
}

void news_path_state(const struct probe_path *pp, const char *reason)
{
	static const char *const names[][2] = {
		[HEALTH_PROBING] = {"path_probing", "path is tried again"},
		[HEALTH_UP] = {"path_up", "path is up"},
		[HEALTH_DOWN] = {"path_down", "path is down"},
	};
	const char *const *name = names[pp->health.state];
	struct record r;

	begin_path(&r, name[0], pp);
	if (pp->health.rtt)
		record_number(&r, "rtt_ms", "%.3f", (double)pp->health.rtt / NSEC_PER_MSEC);
	record_number(&r, "downs", "%llu", (unsigned long long)pp->health.n_downs);
	record_add(&r, "reason", reason);
	tell_path(pp, LOG_NOTICE, name[1], &r);
}

void news_path_quality(const struct probe_path *pp)
{
	struct record r;

	begin_path(&r, pp->is_poor ? "path_poor" : "path_good", pp);
	if (pp->tx_loss.loss >= 0)
		record_number(&r, "tx_loss", "%.3f", pp->tx_loss.loss);
	if (pp->rx_loss.loss >= 0)
		record_number(&r, "rx_loss", "%.3f", pp->rx_loss.loss);
	record_number(&r, "rtt_ms", "%.3f", (double)pp->health.rtt / NSEC_PER_MSEC);
	tell_path(pp, LOG_NOTICE,
		  pp->is_poor ? "path is beyond the thresholds of loss or latency"
			      : "path is good again",
		  &r);
}

void news_path_mtu(const struct probe_path *pp)
{
	struct record r;

	begin_path(&r, "path_mtu", pp);
	record_number(&r, "mtu", "%u", pp->pmtu.mtu);
	tell_path(pp, LOG_INFO, "MTU of a path", &r);
}

static void begin_link(struct record *r, const char *name, const struct network *n,
		       const struct link *l, const char *state)
{
	begin(r, name, n);
	record_add(r, "link", l->settings->name);
	if (l->settings->device[0])
		record_add(r, "device", l->settings->device);
	record_add(r, "state", state);
}

void news_link_open(struct network *n, const struct link *l, const struct addr *local)
{
	struct record r;

	begin_link(&r, "link_open", n, l, "open");
	add_addr(&r, "local", local);
	tell(n, LOG_INFO, "link has its socket", &r);
}

void news_link_closed(struct network *n, const struct link *l, const char *reason)
{
	struct record r;

	begin_link(&r, "link_closed", n, l, "closed");
	record_add(&r, "reason", reason);
	tell(n, LOG_WARNING, "link has lost its socket", &r);
}

void news_link_carrier(struct network *n, const struct link *l, bool has_carrier)
{
	struct record r;

	begin_link(&r, "link_carrier", n, l, has_carrier ? "carrier" : "no_carrier");
	tell(n, LOG_NOTICE,
	     has_carrier ? "link's interface has a carrier" : "link's interface has no carrier",
	     &r);
}

void news_link_gso(struct network *n, const struct link *l)
{
	struct record r;

	begin_link(&r, "link_gso_refused", n, l, "open");
	record_add(&r, "setting", offload_name(l->settings->gso));
	tell(n, l->settings->gso == OFFLOAD_ON ? LOG_WARNING : LOG_NOTICE,
	     "link's device does not cut bursts (UDP_SEGMENT): datagrams are sent one by one", &r);
}

void news_link_flood(struct network *n, const struct link *l, bool is_flooded)
{
	struct record r;

	begin_link(&r, is_flooded ? "link_flooded" : "link_flood_over", n, l, "open");
	record_number(&r, "kept_back", "%llu",
		      (unsigned long long)drops_get(&l->drops, DROP_rx_flood));
	tell(n, is_flooded ? LOG_WARNING : LOG_NOTICE,
	     is_flooded ? "link is flooded with handshake messages: most of them are kept back"
			: "link is not flooded any more",
	     &r);
}

void news_tun_refused(struct network *n, const char *what)
{
	struct record r;

	begin(&r, "offload_refused", n);
	record_add(&r, "offload", what);
	tell(n, LOG_WARNING,
	     "tunnel interface refuses super-packets: packets are written one by one", &r);
}

void news_handshake(const struct bond *bond)
{
	struct record r;

	begin(&r, "peer_handshake", bond->network);
	record_add(&r, "peer", bond->settings->name);
	tell(bond->network, LOG_DEBUG, "new session with the peer", &r);
}

void news_peer(const struct bond *bond, bool is_up)
{
	struct record r;

	begin(&r, is_up ? "peer_up" : "peer_down", bond->network);
	record_add(&r, "peer", bond->settings->name);
	record_add(&r, "state", is_up ? "up" : "down");
	tell(bond->network, LOG_NOTICE, is_up ? "peer is up" : "peer is down", &r);
}
