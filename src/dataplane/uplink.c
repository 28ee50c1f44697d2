/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/uplink.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/network_state.h"
#include "dataplane/news.h"
#include "dataplane/probe.h"
#include "dataplane/resolver.h"
#include "netlink/address.h"
#include "util/container.h"
#include "util/log.h"

/*
 * A NAT may keep an entry for our port that leads nowhere (made while its own uplink was another),
 * and each packet of ours keeps it alive. So after a time without any answer another port is tried:
 * three timeouts of the health checks, this long at least; then after twice as long, and so on.
 */
#define PATIENCE_MIN (15 * NSEC_PER_SEC)
#define PATIENCE_MAX (300 * NSEC_PER_SEC)
/* When nothing has been kept back for so long. */
#define FLOOD_IS_OVER (10 * NSEC_PER_SEC)

static bool is_open(const struct uplink *u)
{
	return atomic_load_explicit(&u->link->is_open, memory_order_relaxed);
}

static bool has_carrier(const struct uplink *u)
{
	return atomic_load_explicit(&u->link->has_carrier, memory_order_relaxed);
}

static nsec_t backoff(const struct uplink *u)
{
	return u->network->settings->health.error_backoff;
}

/* Tells the paths that the link is usable now, or `why` they are down. */
static void tell_paths(const struct uplink *u, const char *why, nsec_t now)
{
	for (size_t i = 0; i < u->network->n_bonds; i++) {
		struct probe *p = u->network->bonds[i]->probe;

		if (p)
			probe_link_changed(p, u->link, why, now);
	}
}

/* Another interface, address or mark: what was learnt of the paths holds no longer. */
static void forget_paths(const struct uplink *u, nsec_t now)
{
	for (size_t i = 0; i < u->network->n_bonds; i++) {
		if (u->network->bonds[i]->probe)
			probe_link_elsewhere(u->network->bonds[i]->probe, u->link, now);
	}
}

/* What has failed may work now. */
static void retry_paths(const struct uplink *u, nsec_t now)
{
	for (size_t i = 0; i < u->network->n_bonds; i++) {
		if (u->network->bonds[i]->probe)
			probe_link_retry(u->network->bonds[i]->probe, u->link, now);
	}
}

/* The socket's family: that of the endpoint, if it is written as an address. */
static int link_family(const struct network *n, const struct link_settings *s)
{
	const struct endpoint_name *name = s->endpoint.host[0] ? &s->endpoint : NULL;
	struct addr a;

	if (addr_is_set(&s->bind))
		return s->bind.sa.sa_family;
	if (!name && n->n_bonds == 1)
		name = n->bonds[0]->settings->endpoint;
	if (name && resolver_literal(&a, name, AF_UNSPEC) == 0)
		return a.sa.sa_family;
	return AF_UNSPEC;
}

/* What the settings want to have in any case, and the kernel does not know. */
static const char *find_refused(const struct link_settings *s, const struct udp_socket *socket)
{
	if (s->gso == OFFLOAD_ON && !socket->has_gso)
		return "gso is 'on', but the kernel has no UDP_SEGMENT";
	if (s->gro == OFFLOAD_ON && !socket->has_gro)
		return "gro is 'on', but the kernel has no UDP_GRO";
	return NULL;
}

static int open_socket(struct uplink *u, nsec_t now)
{
	struct link *l = u->link;
	struct udp_socket s;
	int family = link_family(u->network, l->settings);
	int r = broker_open_udp(u->network->broker, &s, l->settings, family, l->burst_bytes);

	u->refused = r == 0 ? find_refused(l->settings, &s) : NULL;
	if (r == 0) {
		udp_local_addr(&s, &u->local);
		r = u->refused ? -EOPNOTSUPP : link_set_socket(l, &s);
		if (r < 0)
			close(s.fd);
	}
	atomic_store_explicit(&l->last_error, -r, memory_order_relaxed);
	if (r < 0)
		return r;
	u->family = family;
	u->last_error = 0;
	u->opened = now;
	news_link_open(u->network, l, &u->local);
	if (has_carrier(u))
		tell_paths(u, NULL, now);
	return 0;
}

static void close_socket(struct uplink *u, int error, nsec_t now)
{
	if (!is_open(u))
		return;
	news_link_closed(u->network, u->link, strerror(error));
	link_set_socket(u->link, NULL); /* no memory: it stays as it is, and fails again */
	memset(&u->local, 0, sizeof(u->local));
	atomic_store_explicit(&u->link->last_error, error, memory_order_relaxed);
	u->last_error = error;
	tell_paths(u, "the link has no socket", now);
	forget_paths(u, now);
}

/* What a device or an address that comes later would mend. */
static bool may_mend(int r)
{
	return r == -ENODEV || r == -EADDRNOTAVAIL || r == -ENETDOWN || r == -EHOSTUNREACH;
}

static void report_open_failure(struct uplink *u, int r, int priority, const char *what_now)
{
	const struct link_settings *s = u->link->settings;
	char text[ADDR_TEXT_MAX];

	if (u->last_error == -r)
		return;
	u->last_error = -r;
	log_write(priority,
		  "network %s: link %s: cannot open its socket (bind %s, device %s): %s; %s",
		  u->network->settings->name, s->name, addr_format(&s->bind, text),
		  s->device[0] ? s->device : "any", u->refused ? u->refused : strerror(-r),
		  what_now);
}

static void try_open(struct uplink *u, nsec_t now)
{
	int r = u->link->settings->is_disabled || u->is_given_up ? 0 : open_socket(u, now);

	if (r < 0)
		report_open_failure(u, r, LOG_WARNING, "waiting for it to appear");
}

static void set_carrier(struct uplink *u, bool has, nsec_t now)
{
	if (has == has_carrier(u))
		return;
	atomic_store_explicit(&u->link->has_carrier, has, memory_order_relaxed);
	news_link_carrier(u->network, u->link, has);
	if (is_open(u))
		tell_paths(u, has ? NULL : "no carrier", now);
}

static bool has_device(const struct uplink *u)
{
	return u->link->settings->device[0];
}

/* The interface that carries the link now; false if there is none, or the routes decide. */
static bool find_interface(const struct uplink *u, unsigned *ret_ifindex, bool *ret_is_running)
{
	char holder[IFNAMSIZ];
	struct prefix address;

	if (has_device(u))
		return netif_look(u->link->settings->device, ret_ifindex, ret_is_running) == 0;
	return addr_host(&u->link->settings->bind, &address) &&
	       netif_find_address(&address, NULL, holder) == 0 &&
	       netif_look(holder, ret_ifindex, ret_is_running) == 0;
}

static void set_interface(struct uplink *u, unsigned ifindex, bool is_running, nsec_t now)
{
	/* One that was removed and has come back is another one to the kernel. */
	if (u->ifindex && ifindex != u->ifindex)
		close_socket(u, has_device(u) ? ENODEV : EADDRNOTAVAIL, now);
	u->ifindex = ifindex;
	if (ifindex)
		set_carrier(u, is_running, now);
	else
		atomic_store_explicit(&u->link->has_carrier, true, memory_order_relaxed);
	/* An address may be usable without any interface that has it. */
	if (!is_open(u))
		try_open(u, now);
}

void uplink_look(struct uplink *u, nsec_t now)
{
	unsigned ifindex = 0;
	bool is_running = false;

	if (!find_interface(u, &ifindex, &is_running))
		ifindex = 0;
	set_interface(u, ifindex, is_running, now);
}

static void link_change(struct uplink *u, const struct netif_change *c, nsec_t now)
{
	const char *device = u->link->settings->device;
	bool is_ours = has_device(u) ? !strcmp(c->name, device) : c->ifindex == u->ifindex;

	if (c->kind == NETIF_LINK && is_ours)
		set_interface(u, c->ifindex, c->is_running, now);
	else if (u->ifindex && c->ifindex == u->ifindex) /* removed, or renamed */
		uplink_look(u, now);
}

/* An address of the interface has gone, or, where the routes decide, of any interface. */
static void address_gone(struct uplink *u, const struct netif_change *c, nsec_t now)
{
	int family = link_family(u->network, u->link->settings);
	bool has_other = true;

	if (u->ifindex && (family == AF_UNSPEC || c->address.family == family))
		netif_has_address(u->ifindex, c->address.family, &has_other);
	if (!has_other) {
		tell_paths(u, "its interface has lost its address", now);
		return;
	}
	for (size_t i = 0; i < u->network->n_bonds; i++) {
		if (u->network->bonds[i]->probe)
			probe_source_gone(u->network->bonds[i]->probe, u->link, &c->address, now);
	}
}

static void address_change(struct uplink *u, const struct netif_change *c, nsec_t now)
{
	const struct addr *bind = &u->link->settings->bind;
	struct prefix host;

	if (addr_host(bind, &host)) {
		if (prefix_equal(&host, &c->address))
			uplink_look(u, now);
		return;
	}
	if (u->ifindex && c->ifindex != u->ifindex)
		return;
	if (c->kind == NETIF_ADDRESS_GONE)
		address_gone(u, c, now);
	else if (link_is_usable(u->link))
		retry_paths(u, now);
}

void uplink_netif(struct uplink *u, const struct netif_change *c, nsec_t now)
{
	switch (c->kind) {
	case NETIF_LINK:
	case NETIF_LINK_GONE:
		link_change(u, c, now);
		break;
	case NETIF_ADDRESS:
	case NETIF_ADDRESS_GONE:
		address_change(u, c, now);
		break;
	}
}

static nsec_t first_patience(const struct uplink *u)
{
	return nsec_max(3 * u->network->settings->health.timeout, PATIENCE_MIN);
}

/*
 * Since when has nothing been answered on any path? NSEC_NEVER: something is, or nothing is asked.
 */
static nsec_t quiet_since(const struct uplink *u, nsec_t now)
{
	nsec_t since = 0;

	for (size_t i = 0; i < u->network->n_bonds; i++) {
		struct probe *p = u->network->bonds[i]->probe;

		if (p)
			since = nsec_max(since, probe_link_quiet_since(p, u->link, now));
	}
	return since ? nsec_max(since, u->opened) : NSEC_NEVER;
}

static void change_port_if_stuck(struct uplink *u, nsec_t now)
{
	nsec_t since = quiet_since(u, now);

	if (since == NSEC_NEVER)
		u->patience = first_patience(u);
	if (since == NSEC_NEVER || now - since < u->patience || !link_is_usable(u->link) ||
	    addr_port(&u->link->settings->bind) || u->link->settings->port)
		return;
	u->patience = nsec_min(2 * u->patience, PATIENCE_MAX);
	log_notice("network %s: link %s: no answer for %lld s; trying another source port",
		   u->network->settings->name, u->link->settings->name,
		   (long long)((now - since) / NSEC_PER_SEC));
	try_open(u, now);
}

static void tick(struct timer *t, nsec_t now)
{
	struct uplink *u = container_of(t, struct uplink, timer);

	uplink_look(u, now);
	change_port_if_stuck(u, now);
	timerq_arm(u->timers, t, now + backoff(u));
}

/* Only what another one holds, or forbids, is an error; what is not there (yet) may come. */
static int open_first(struct uplink *u, nsec_t now)
{
	int r = u->link->settings->is_disabled ? 0 : open_socket(u, now);

	if (r < 0 && !may_mend(r)) {
		report_open_failure(u, r, LOG_ERR, "giving up");
		return r;
	}
	if (r < 0)
		report_open_failure(u, r, LOG_WARNING, "waiting for it to appear");
	return 0;
}

int uplink_start(struct uplink *u, struct network *n, struct timerq *timers, struct link *l,
		 nsec_t now)
{
	bool is_running;
	int r;

	*u = (struct uplink){.timer.fire = tick, .network = n, .timers = timers, .link = l};
	u->patience = first_patience(u);
	if (find_interface(u, &u->ifindex, &is_running))
		set_carrier(u, is_running, now);
	r = open_first(u, now);
	if (r == 0)
		timerq_arm(timers, &u->timer, now + backoff(u));
	return r;
}

void uplink_stop(struct uplink *u)
{
	timerq_disarm(u->timers, &u->timer);
	u->link = NULL;
}

void uplink_close(struct uplink *u, nsec_t now)
{
	if (is_open(u))
		link_set_socket(u->link, NULL);
	memset(&u->local, 0, sizeof(u->local));
	u->is_given_up = true;
	u->ifindex = 0; /* the device may be another one now */
	if (u->link->settings->is_disabled)
		tell_paths(u, "the link is disabled", now);
}

int uplink_reopen(struct uplink *u, bool is_other_way, nsec_t now)
{
	bool is_running;
	int r;

	u->is_given_up = false;
	if (find_interface(u, &u->ifindex, &is_running))
		set_carrier(u, is_running, now);
	r = open_first(u, now);
	if (r == 0 && is_other_way)
		forget_paths(u, now);
	if (!is_open(u))
		tell_paths(u, "the link has no socket", now);
	return r;
}

bool uplink_has_wrong_family(const struct uplink *u)
{
	return is_open(u) && u->family != AF_UNSPEC &&
	       u->family != link_family(u->network, u->link->settings);
}

static void tell_flood(struct uplink *u, nsec_t now)
{
	uint64_t kept_back = drops_get(&u->link->drops, DROP_rx_flood);

	if (kept_back != u->flood_told) {
		u->flood_told = kept_back;
		if (!u->flooded_at)
			news_link_flood(u->network, u->link, true);
		u->flooded_at = now;
	} else if (u->flooded_at && now - u->flooded_at >= FLOOD_IS_OVER) {
		u->flooded_at = 0;
		news_link_flood(u->network, u->link, false);
	}
}

static void tell_gso(struct uplink *u)
{
	uint64_t refused = atomic_load_explicit(&u->link->gso_refused, memory_order_relaxed);

	if (refused == u->gso_told || atomic_load_explicit(&u->link->has_gso, memory_order_relaxed))
		return;
	if (!u->gso_told)
		news_link_gso(u->network, u->link);
	u->gso_told = refused;
}

void uplink_sample(struct uplink *u, nsec_t now)
{
	tell_gso(u);
	tell_flood(u, now);
}

void uplink_failed(struct uplink *u, int error, nsec_t now)
{
	/* These say that the socket itself is of no use any more. */
	if (error == ENODEV || error == ENXIO || error == EBADF || error == ENOTSOCK)
		close_socket(u, error, now);
}
