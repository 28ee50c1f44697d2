/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/monitor.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/bonds.h"
#include "dataplane/mtu.h"
#include "dataplane/network_state.h"
#include "dataplane/news.h"
#include "dataplane/probe.h"
#include "dataplane/recall.h"
#include "dataplane/resolver.h"
#include "dataplane/status_fill.h"
#include "dataplane/uplink.h"
#include "netlink/watch.h"
#include "util/container.h"
#include "util/log.h"
#include "util/quota.h"

/* Rates are taken when something else, as the pings of every second, wakes us in between. */
#define SAMPLE_INTERVAL (NSEC_PER_SEC * 9 / 10)
#define SAMPLE_LATEST (NSEC_PER_SEC * 5 / 4)
/* What one peer may have of the queue of events, or the others' pings would find no room. */
#define PEERS_PART 4

struct monitor {
	struct network *network;
	struct thread thread;
	struct waker waker;
	_Atomic bool stop;
	struct ring *events;
	struct errands errands;
	/* monitor */
	struct timerq timers;
	struct timer sample_timer;
	nsec_t last_sample;
	struct resolver *resolver;
	int watch; /* of interfaces and addresses; -1: none, the uplinks look now and then */
	bool has_told_tso, has_told_uso;
	struct uplink *uplinks; /* NETWORK_LINKS_MAX, by number; link NULL: none */
};

/* The peer's count of such events that wait; NULL: of those there are only so many. */
static _Atomic uint32_t *quota_of(const struct event *e)
{
	return e->kind == EVENT_FRAME || e->kind == EVENT_HEARD ? &e->bond->events_queued : NULL;
}

bool monitor_post(struct network *n, const struct event *e)
{
	struct ring *events = n->monitor->events;
	const uint32_t most = n->settings->sizes.event_queue / PEERS_PART;
	_Atomic uint32_t *quota = quota_of(e);

	if (!(quota ? quota_push(quota, most, events, e) : ring_push(events, e)))
		return false;
	waker_wake(&n->monitor->waker);
	return true;
}

int monitor_new(struct monitor **ret, struct network *n)
{
	struct monitor *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->network = n;
	m->waker.fd = -1;
	timerq_init(&m->timers);
	m->watch = -1;
	m->uplinks = calloc(NETWORK_LINKS_MAX, sizeof(*m->uplinks));
	r = m->uplinks ? ring_new(&m->events, n->settings->sizes.event_queue, sizeof(struct event))
		       : -ENOMEM;
	if (r == 0)
		r = waker_init(&m->waker);
	if (r < 0) {
		monitor_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

void monitor_free(struct monitor *m)
{
	if (!m)
		return;
	/* It may have begun to look up names though the monitor's thread never ran. */
	resolver_free(m->resolver);
	for (size_t i = 0; i < m->network->n_bonds; i++) {
		probe_free(m->network->bonds[i]->probe);
		m->network->bonds[i]->probe = NULL;
	}
	timerq_deinit(&m->timers);
	waker_deinit(&m->waker);
	ring_free(m->events);
	if (m->watch >= 0)
		close(m->watch);
	free(m->uplinks);
	free(m);
}

static void tell_refused(struct monitor *m, const char *what, const _Atomic bool *is_refused,
			 bool *has_told)
{
	if (*has_told || !atomic_load_explicit(is_refused, memory_order_relaxed))
		return;
	*has_told = true;
	news_tun_refused(m->network, what);
}

/* Each link is told how far away the nearest of its peers is. */
static void measure_links(struct monitor *m)
{
	nsec_t nearest[NETWORK_LINKS_MAX];

	for (size_t i = 0; i < NETWORK_LINKS_MAX; i++)
		nearest[i] = NSEC_NEVER;
	for (size_t i = 0; i < m->network->n_bonds; i++) {
		if (m->network->bonds[i]->probe)
			probe_find_nearest(m->network->bonds[i]->probe, nearest);
	}
	for (size_t i = 0; i < m->network->n_links; i++) {
		if (m->uplinks[i].link)
			link_set_round_trip(m->uplinks[i].link,
					    nearest[i] == NSEC_NEVER ? 0 : nearest[i]);
	}
}

static void sample_tick(struct timer *t, nsec_t now)
{
	struct monitor *m = container_of(t, struct monitor, sample_timer);

	for (size_t i = 0; i < m->network->n_bonds; i++) {
		struct probe *p = m->network->bonds[i]->probe;

		if (!p)
			continue;
		probe_sample(p, now - m->last_sample, now);
		probe_judge_peer(p, now);
	}
	for (size_t i = 0; i < m->network->n_links; i++) {
		if (m->uplinks[i].link)
			uplink_sample(&m->uplinks[i], now);
	}
	measure_links(m);
	tell_refused(m, "tso", &m->network->is_tso_refused, &m->has_told_tso);
	tell_refused(m, "uso", &m->network->is_uso_refused, &m->has_told_uso);
	mtu_update(m->network, now);
	m->last_sample = now;
	timerq_arm(&m->timers, t, now + SAMPLE_LATEST);
}

static void open_watch(struct monitor *m)
{
	int fd = netif_watch_open();

	if (fd < 0)
		log_warn("network %s: cannot watch the interfaces: %s; looking at them every %d s",
			 m->network->settings->name, strerror(-fd),
			 (int)(m->network->settings->health.error_backoff / NSEC_PER_SEC));
	m->watch = fd < 0 ? -1 : fd;
}

/* The watch comes first, so that no change is missed. */
static int start_uplinks(struct monitor *m, nsec_t now)
{
	int r = 0;

	open_watch(m);
	for (size_t i = 0; r == 0 && i < m->network->n_links; i++)
		r = uplink_start(&m->uplinks[i], m->network, &m->timers, m->network->links[i], now);
	return r;
}

static struct probe_context context_of(struct monitor *m)
{
	return (struct probe_context){m->network, &m->timers, &m->resolver};
}

static int make_probe(struct monitor *m, struct bond *bond, nsec_t now)
{
	const struct probe_context c = context_of(m);

	return probe_new(&bond->probe, &c, bond, now);
}

/* A peer whose endpoint nobody has told us costs nothing until it is heard from. */
static int begin_bond(struct monitor *m, struct bond *bond, nsec_t now)
{
	return bond_has_endpoint(bond) ? make_probe(m, bond, now) : 0;
}

int monitor_prepare(struct monitor *m, nsec_t now)
{
	const struct probe_context c = context_of(m);
	int r = timerq_add_room(&m->timers, NETWORK_LINKS_MAX + 1);

	for (size_t i = 0; r == 0 && i < m->network->n_bonds; i++)
		r = begin_bond(m, m->network->bonds[i], now);
	if (r == 0)
		r = start_uplinks(m, now);
	if (r < 0)
		return r;
	recall_load(&c, now);
	m->last_sample = now;
	m->sample_timer.fire = sample_tick;
	timerq_arm(&m->timers, &m->sample_timer, now + SAMPLE_LATEST);
	return 0;
}

static void handle_failure(struct monitor *m, const struct event *e)
{
	for (size_t i = 0; e->path_id && i < m->network->n_bonds; i++) {
		struct probe *p = m->network->bonds[i]->probe;

		if (p && probe_path_failed(p, e->path_id, e->error, e->at))
			break;
	}
	uplink_failed(&m->uplinks[e->link->number], e->error, e->at);
}

/* The resolver may answer for a path, and even a peer, that is gone by now. */
static void handle_resolved(struct monitor *m, const struct event *e)
{
	for (size_t i = 0; i < m->network->n_bonds; i++) {
		struct probe *p = m->network->bonds[i]->probe;

		if (p && probe_resolved(p, e))
			break;
	}
}

/* What concerns one peer. */
static void handle_peer_event(struct monitor *m, const struct event *e)
{
	struct bond *bond = e->bond;

	if (bond->is_removed)
		return;
	if (!bond->probe && make_probe(m, bond, e->at) < 0)
		return;
	if (e->kind == EVENT_HEARD || e->kind == EVENT_HANDSHAKE)
		probe_heard(bond->probe, e);
	if (e->kind == EVENT_HANDSHAKE)
		probe_handshake(bond->probe, e);
	else if (e->kind == EVENT_FRAME)
		probe_frame(bond->probe, e);
	else if (e->kind == EVENT_SESSION)
		probe_session(bond->probe, e->at);
}

static void handle_event(struct monitor *m, const struct event *e)
{
	if (e->link && m->network->links[e->link->number] != e->link)
		return; /* the link is about to go */
	switch (e->kind) {
	case EVENT_HEARD:
	case EVENT_HANDSHAKE:
	case EVENT_FRAME:
	case EVENT_SESSION:
		handle_peer_event(m, e);
		break;
	case EVENT_RESOLVED:
		handle_resolved(m, e);
		break;
	case EVENT_FAILED:
		handle_failure(m, e);
		break;
	}
}

struct news {
	struct monitor *monitor;
	nsec_t now;
};

static void take_change(void *ctx, const struct netif_change *change)
{
	const struct news *news = ctx;

	for (size_t i = 0; i < news->monitor->network->n_links; i++) {
		if (news->monitor->uplinks[i].link)
			uplink_netif(&news->monitor->uplinks[i], change, news->now);
	}
}

static void read_watch(struct monitor *m, nsec_t now)
{
	struct news news = {m, now};
	int r = m->watch < 0 ? 0 : netif_watch_read(m->watch, take_change, &news);

	if (r == 0)
		return;
	for (size_t i = 0; i < m->network->n_links; i++) {
		if (m->uplinks[i].link)
			uplink_look(&m->uplinks[i], now);
	}
	if (r == -ENOBUFS)
		return;
	close(m->watch);
	open_watch(m);
}

static void wait_for_work(struct monitor *m, nsec_t until)
{
	struct pollfd fds[2] = {
		{.fd = m->waker.fd, .events = POLLIN},
		{.fd = m->watch, .events = POLLIN},
	};
	nsec_t left = nsec_max(until - clock_now(), 0);
	struct timespec timeout = {.tv_sec = left / NSEC_PER_SEC, .tv_nsec = left % NSEC_PER_SEC};

	waker_sleep(&m->waker);
	if (!atomic_load(&m->stop) && !ring_used(m->events) && !errands_wait(&m->errands))
		ppoll(fds, 2, until == NSEC_NEVER ? NULL : &timeout, NULL);
	waker_awake(&m->waker);
}

void monitor_take_events(struct monitor *m)
{
	struct event e;

	while (ring_pop(m->events, &e)) {
		if (quota_of(&e))
			quota_give(quota_of(&e));
		handle_event(m, &e);
	}
}

nsec_t monitor_work(struct monitor *m, nsec_t now)
{
	m->network->recall_at = nsec_max(m->network->recall_at, now);
	errands_do(&m->errands);
	read_watch(m, now);
	monitor_take_events(m);
	if (timer_is_armed(&m->sample_timer) && now - m->last_sample >= SAMPLE_INTERVAL)
		sample_tick(&m->sample_timer, now);
	return timerq_run(&m->timers, now);
}

static void run(void *arg)
{
	struct monitor *m = arg;

	while (!atomic_load_explicit(&m->stop, memory_order_relaxed))
		wait_for_work(m, monitor_work(m, clock_now()));
}

int monitor_start(struct monitor *m)
{
	int r = thread_start(&m->thread, "vt-monitor", run, m);

	if (r == 0)
		errands_open(&m->errands);
	return r;
}

void monitor_stop(struct monitor *m)
{
	atomic_store(&m->stop, true);
	waker_wake(&m->waker);
	thread_join(&m->thread);
	errands_close(&m->errands);
	/* Last, since the monitor's thread begins it with the first name. */
	resolver_free(m->resolver);
	m->resolver = NULL;
}

void monitor_retune(struct monitor *m)
{
	nsec_t now = clock_now();

	for (size_t i = 0; i < m->network->n_bonds; i++)
		if (m->network->bonds[i]->probe)
			probe_retune(m->network->bonds[i]->probe, now);
}

void monitor_send_errand(struct monitor *m, errand_fn fn, void *arg)
{
	errands_send(&m->errands, &m->waker, fn, arg);
}

void monitor_set_multilink(struct bond *bond)
{
	if (bond->probe)
		probe_set_multilink(bond->probe, clock_now());
}

void monitor_configure_bond(struct monitor *m, struct bond *bond)
{
	nsec_t now = clock_now();
	int r = bond->probe ? probe_configure(bond->probe, now) : begin_bond(m, bond, now);

	if (r < 0)
		log_error("network %s: peer %s: no memory for its paths; they are made when it is "
			  "heard from",
			  m->network->settings->name, bond->settings->name);
}

int monitor_add_link(struct monitor *m, struct link *l, nsec_t now)
{
	return uplink_start(&m->uplinks[l->number], m->network, &m->timers, l, now);
}

void monitor_remove_link(struct monitor *m, struct link *l)
{
	for (size_t i = 0; i < m->network->n_bonds; i++) {
		if (m->network->bonds[i]->probe)
			probe_remove_link(m->network->bonds[i]->probe, l);
	}
	uplink_stop(&m->uplinks[l->number]);
}

void monitor_close_link(struct monitor *m, struct link *l)
{
	uplink_close(&m->uplinks[l->number], clock_now());
}

int monitor_reopen_link(struct monitor *m, struct link *l, bool is_other_way, nsec_t now)
{
	return uplink_reopen(&m->uplinks[l->number], is_other_way, now);
}

bool monitor_link_has_wrong_family(const struct monitor *m, const struct link *l)
{
	return uplink_has_wrong_family(&m->uplinks[l->number]);
}

void monitor_configure_link(struct monitor *m, struct link *l, nsec_t now)
{
	for (size_t i = 0; i < m->network->n_bonds; i++) {
		struct bond *bond = m->network->bonds[i];

		if (bond->probe)
			probe_reconfigure_link(bond->probe, l, now);
		else
			begin_bond(m, bond, now);
	}
}

void monitor_remove_bonds(struct monitor *m, struct bond **bonds, size_t n)
{
	monitor_take_events(m); /* after this nobody posts any of these */
	for (size_t i = 0; i < n; i++) {
		probe_free(bonds[i]->probe);
		bonds[i]->probe = NULL;
	}
}

struct status_request {
	struct monitor *monitor;
	struct network_status *status;
	int result;
};

static void fill_status(void *arg)
{
	struct status_request *q = arg;
	struct monitor *m = q->monitor;
	size_t n = 0;

	q->result = status_fill(m->network, q->status, clock_now());
	for (size_t i = 0; q->result == 0 && i < m->network->n_links; i++) {
		if (m->network->links[i])
			q->status->links[n++].local = m->uplinks[i].local;
	}
}

int monitor_status(struct monitor *m, struct network_status *ret)
{
	struct status_request q = {.monitor = m, .status = ret};

	monitor_send_errand(m, fill_status, &q);
	return q.result;
}
