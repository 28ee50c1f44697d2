/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/monitor.h"

#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/network_state.h"
#include "dataplane/probe.h"
#include "dataplane/status_fill.h"
#include "dataplane/tx.h"
#include "util/log.h"

#define QUEUE_SLOTS 512
#define SAMPLE_INTERVAL NSEC_PER_SEC

/* A link's socket as the monitor manages it; the worker owns the descriptor. */
struct monitored_link {
	struct timer timer; /* to open it, or to see whether its device is still the same */
	struct monitor *monitor;
	struct link *link;
	struct addr local;
	unsigned device_index;
	int last_error; /* what has been reported */
};

struct monitor {
	struct network *network;
	struct thread thread;
	struct waker waker;
	_Atomic bool stop;
	struct ring *events;
	/* monitor */
	struct timerq timers;
	struct timer sample_timer;
	nsec_t last_sample;
	struct resolver *resolver;
	struct monitored_link *links;
};

struct status_request {
	struct network_status *status;
	int result;
	sem_t done;
};

static nsec_t backoff(const struct monitor *m)
{
	return m->network->settings->health.error_backoff;
}

bool monitor_post(struct network *n, const struct event *e)
{
	if (!ring_push(n->monitor->events, e))
		return false;
	waker_wake(&n->monitor->waker);
	return true;
}

/* The socket's family: that of the endpoint, if it is written as an address. */
static int link_family(const struct monitor *m, const struct link_settings *s)
{
	const struct network_settings *net = m->network->settings;
	const struct endpoint_name *name = &s->endpoint;
	struct addr a;

	if (addr_is_set(&s->bind))
		return s->bind.sa.sa_family;
	if (!name->host[0] && net->n_peers == 1)
		name = &net->peers[0].endpoint;
	if (name->host[0] && resolver_literal(&a, name, AF_UNSPEC) == 0)
		return a.sa.sa_family;
	return AF_UNSPEC;
}

static void publish_link(struct monitor *m, struct link *l, nsec_t now)
{
	for (size_t i = 0; i < m->network->n_bonds; i++) {
		struct probe *p = m->network->bonds[i].probe;

		if (p)
			probe_link_changed(p, l, now);
	}
}

static int open_link(struct monitored_link *ml, nsec_t now)
{
	struct monitor *m = ml->monitor;
	struct link *l = ml->link;
	char text[ADDR_TEXT_MAX];
	struct udp_socket u;
	int r = broker_open_udp(m->network->broker, &u, l->settings, link_family(m, l->settings),
				l->burst_bytes);

	if (r == 0) {
		udp_local_addr(&u, &ml->local);
		ml->device_index = u.device_index;
		r = link_set_socket(l, &u);
		if (r < 0)
			close(u.fd);
	}
	atomic_store_explicit(&l->last_error, -r, memory_order_relaxed);
	if (r < 0)
		return r;
	ml->last_error = 0;
	log_info("network %s: link %s: socket bound to %s%s%s", m->network->settings->name,
		 l->settings->name, addr_format(&ml->local, text),
		 l->settings->device[0] ? " on " : "", l->settings->device);
	publish_link(m, l, now);
	return 0;
}

static void close_link(struct monitored_link *ml, int error, nsec_t now)
{
	struct monitor *m = ml->monitor;

	if (!atomic_load_explicit(&ml->link->is_open, memory_order_relaxed))
		return;
	log_warn("network %s: link %s: %s; the socket is closed and opened anew in %lld s",
		 m->network->settings->name, ml->link->settings->name, strerror(error),
		 (long long)(backoff(m) / NSEC_PER_SEC));
	link_set_socket(ml->link, NULL); /* no memory: it stays as it is, and fails again */
	memset(&ml->local, 0, sizeof(ml->local));
	publish_link(m, ml->link, now);
}

/* What a device or an address that comes later would mend. */
static bool may_mend(int r)
{
	return r == -ENODEV || r == -EADDRNOTAVAIL || r == -ENETDOWN || r == -EHOSTUNREACH;
}

static void report_open_failure(struct monitored_link *ml, int r, const char *what_now)
{
	const struct link_settings *s = ml->link->settings;
	char text[ADDR_TEXT_MAX];

	if (ml->last_error == -r)
		return;
	ml->last_error = -r;
	log_warn("network %s: link %s: cannot open its socket (bind %s, device %s): %s; %s",
		 ml->monitor->network->settings->name, s->name, addr_format(&s->bind, text),
		 s->device[0] ? s->device : "any", strerror(-r), what_now);
}

static void link_tick(struct timer *t, nsec_t now)
{
	struct monitored_link *ml =
		(struct monitored_link *)((char *)t - offsetof(struct monitored_link, timer));
	struct monitor *m = ml->monitor;
	const char *device = ml->link->settings->device;
	int r;

	/* A device that was removed and has come back is another one to the kernel. */
	if (ml->device_index && if_nametoindex(device) != ml->device_index) {
		ml->device_index = 0;
		close_link(ml, ENODEV, now);
	}
	if (!atomic_load_explicit(&ml->link->is_open, memory_order_relaxed)) {
		r = open_link(ml, now);
		if (r < 0)
			report_open_failure(ml, r, "trying on");
	}
	timerq_arm(&m->timers, t, now + backoff(m));
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
	m->links = calloc(n->n_links, sizeof(*m->links));
	r = m->links ? ring_new(&m->events, QUEUE_SLOTS, sizeof(struct event)) : -ENOMEM;
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
		probe_free(m->network->bonds[i].probe);
		m->network->bonds[i].probe = NULL;
	}
	timerq_deinit(&m->timers);
	waker_deinit(&m->waker);
	ring_free(m->events);
	free(m->links);
	free(m);
}

static void sample_tick(struct timer *t, nsec_t now)
{
	struct monitor *m = (struct monitor *)((char *)t - offsetof(struct monitor, sample_timer));

	for (size_t i = 0; i < m->network->n_bonds; i++)
		probe_sample_rates(m->network->bonds[i].probe, now - m->last_sample);
	m->last_sample = now;
	timerq_arm(&m->timers, t, now + SAMPLE_INTERVAL);
}

static int prepare_links(struct monitor *m, nsec_t now)
{
	for (size_t i = 0; i < m->network->n_links; i++) {
		struct monitored_link *ml = &m->links[i];
		int r;

		ml->monitor = m;
		ml->link = &m->network->links[i];
		ml->timer.fire = link_tick;
		r = open_link(ml, now);
		if (r < 0 && !may_mend(r)) {
			report_open_failure(ml, r, "giving up");
			return r;
		}
		if (r < 0)
			report_open_failure(ml, r, "waiting for it to appear");
		timerq_arm(&m->timers, &ml->timer, now + backoff(m));
	}
	return 0;
}

int monitor_prepare(struct monitor *m, nsec_t now)
{
	struct probe_context c = {m->network, &m->timers, &m->resolver};
	int r = timerq_reserve(&m->timers, m->network->n_links + 1);

	for (size_t i = 0; r == 0 && i < m->network->n_bonds; i++)
		r = probe_new(&m->network->bonds[i].probe, &c, &m->network->bonds[i], now);
	if (r == 0)
		r = prepare_links(m, now);
	if (r < 0)
		return r;
	m->last_sample = now;
	m->sample_timer.fire = sample_tick;
	timerq_arm(&m->timers, &m->sample_timer, now + SAMPLE_INTERVAL);
	return 0;
}

static void handle_failure(struct monitor *m, const struct event *e)
{
	struct monitored_link *ml = &m->links[e->link->number];

	for (size_t i = 0; e->path_id && i < m->network->n_bonds; i++) {
		if (probe_path_failed(m->network->bonds[i].probe, e->path_id, e->error, e->at))
			break;
	}
	/* These say that the socket itself is of no use any more. */
	if (e->error == ENODEV || e->error == ENXIO || e->error == EBADF || e->error == ENOTSOCK)
		close_link(ml, e->error, e->at);
}

static void handle_event(struct monitor *m, const struct event *e)
{
	switch (e->kind) {
	case EVENT_HEARD:
		probe_heard(e->bond->probe, e);
		break;
	case EVENT_FRAME:
		probe_frame(e->bond->probe, e);
		break;
	case EVENT_SESSION:
		probe_session(e->bond->probe, e->at);
		break;
	case EVENT_RESOLVED:
		probe_resolved(e->bond->probe, e);
		break;
	case EVENT_FAILED:
		handle_failure(m, e);
		break;
	case EVENT_STATUS:
		e->status->result = status_fill(m->network, e->status->status, clock_now());
		for (size_t i = 0; e->status->result == 0 && i < m->network->n_links; i++)
			e->status->status->links[i].local = m->links[i].local;
		sem_post(&e->status->done);
		break;
	}
}

static void wait_for_work(struct monitor *m, nsec_t until)
{
	struct pollfd fd = {.fd = m->waker.fd, .events = POLLIN};
	nsec_t left = nsec_max(until - clock_now(), 0);
	struct timespec timeout = {.tv_sec = left / NSEC_PER_SEC, .tv_nsec = left % NSEC_PER_SEC};

	waker_sleep(&m->waker);
	if (!atomic_load(&m->stop) && !ring_used(m->events))
		ppoll(&fd, 1, until == NSEC_NEVER ? NULL : &timeout, NULL);
	waker_awake(&m->waker);
}

nsec_t monitor_work(struct monitor *m, nsec_t now)
{
	struct event e;

	while (ring_pop(m->events, &e))
		handle_event(m, &e);
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
	return thread_start(&m->thread, "vt-monitor", run, m);
}

void monitor_stop(struct monitor *m)
{
	/* Its thread first: it posts events. */
	atomic_store(&m->stop, true);
	waker_wake(&m->waker);
	thread_join(&m->thread);
	resolver_free(m->resolver);
	m->resolver = NULL;
}

int monitor_status(struct monitor *m, struct network_status *ret)
{
	struct status_request q = {.status = ret};
	const struct event e = {.kind = EVENT_STATUS, .status = &q};

	sem_init(&q.done, 0, 0);
	if (!monitor_post(m->network, &e)) {
		sem_destroy(&q.done);
		return -EAGAIN;
	}
	while (sem_wait(&q.done) < 0)
		continue;
	sem_destroy(&q.done);
	return q.result;
}
