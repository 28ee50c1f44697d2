/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * How a link is removed while traffic runs: first the paths over it go, so that nobody chooses it
 * or answers over it; after a grace period nobody who chose it before is still using it, and its
 * workers end. What they gave to other threads is done with when these have run an errand.
 */
#include "dataplane/links.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/bonds.h"
#include "dataplane/handshaker.h"
#include "dataplane/monitor.h"
#include "dataplane/network_state.h"
#include "dataplane/rx.h"
#include "util/log.h"

int network_link_new(struct link **ret, struct network *n, uint32_t number,
		     const struct link_settings *s)
{
	struct link_settings *own = malloc(sizeof(*own));
	struct link *l = NULL;
	int r;

	if (!own || posix_memalign((void **)&l, _Alignof(struct link), sizeof(*l))) {
		free(own);
		return -ENOMEM;
	}
	*own = *s;
	r = link_init(l, number, own, n->bursts, n->burst_bytes, &n->settings->sizes.link,
		      &rx_link_calls, n);
	for (uint32_t i = 0; r == 0 && i < l->n_workers; i++)
		r = rx_new((struct rx **)&l->workers[i].user, n);
	if (r < 0) {
		network_link_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void network_link_free(struct link *l)
{
	if (!l)
		return;
	for (uint32_t i = 0; i < l->n_workers; i++)
		rx_free(l->workers[i].user);
	link_deinit(l);
	free(l->settings);
	free(l);
}

int network_put_by_bursts(struct network *n, size_t n_links)
{
	size_t wanted = n_links < PATHS_MAX ? PATHS_MAX - n_links : 0;

	wanted *= network_bursts_per_link(n);
	if (!n->put_by)
		n->put_by = calloc(PATHS_MAX * network_bursts_per_link(n), sizeof(*n->put_by));
	if (!n->put_by)
		return -ENOMEM;
	while (n->n_put_by > wanted)
		pool_give(n->bursts, n->put_by[--n->n_put_by]);
	while (n->n_put_by < wanted && (n->put_by[n->n_put_by] = pool_take(n->bursts)))
		n->n_put_by++;
	return 0;
}

void network_give_back_bursts(struct network *n)
{
	while (n->n_put_by)
		pool_give(n->bursts, n->put_by[--n->n_put_by]);
	free(n->put_by);
	n->put_by = NULL;
}

struct link *network_link_find(const struct network *n, const char *name)
{
	for (size_t i = 0; i < n->n_links; i++) {
		struct link *l = n->links[i];

		if (l && strcmp(l->settings->name, name) == 0)
			return l;
	}
	return NULL;
}

static size_t count_links(const struct network *n)
{
	size_t count = 0;

	for (size_t i = 0; i < n->n_links; i++)
		count += n->links[i] != NULL;
	return count;
}

/* For errands that concern one link. */
struct link_errand {
	struct network *network;
	struct link *link;
	struct rx *rx; /* of the worker that runs it */
	const struct link_settings *wanted;
	bool is_other_way;
	int result;
};

static void add(void *arg)
{
	struct link_errand *v = arg;

	v->result = monitor_add_link(v->network->monitor, v->link, clock_now());
	if (v->result == 0)
		monitor_configure_link(v->network->monitor, v->link, clock_now());
}

static void take_paths(void *arg)
{
	struct link_errand *v = arg;

	monitor_remove_link(v->network->monitor, v->link);
}

static void take_events(void *arg)
{
	monitor_take_events(arg);
}

/* `rx` NULL: nobody is there to. */
static void take_over_from(struct rx *rx, struct link *ended)
{
	for (uint32_t i = 0; i < ended->n_workers; i++)
		rx_take_over(rx, ended->workers[i].user);
}

static void take_over(void *arg)
{
	struct link_errand *v = arg;

	take_over_from(v->rx, v->link);
}

/* Handshake thread: with a link that has an endpoint, peers are within reach. */
static void want_peers(void *arg)
{
	struct network *n = arg;

	for (size_t i = 0; i < n->n_bonds; i++)
		device_set_wanted_up(&n->bonds[i]->peer, bond_is_wanted_up(n->bonds[i]),
				     clock_now());
}

/*
 * The first finds all that is left to watch. What the link's workers have left in a lane may be
 * taken by one that has been asked before: after the second round nobody is still at it.
 */
static void ask_others_to_take_over(struct network *n, struct link_errand *e)
{
	for (size_t i = 0; i < 2 * n->n_links; i++) {
		struct link *other = n->links[i % n->n_links];

		for (uint32_t k = 0; other && k < other->n_workers; k++) {
			e->rx = other->workers[k].user;
			link_send_errand(&other->workers[k], take_over, e);
		}
	}
}

static void remove_link(struct network *n, struct link *l)
{
	struct link_errand v = {.network = n, .link = l};

	n->links[l->number] = NULL; /* nothing is learnt of it any more */
	monitor_send_errand(n->monitor, take_paths, &v);
	handshaker_send_errand(n->handshaker, want_peers, n);
	rcu_drain();
	link_stop(l);
	ask_others_to_take_over(n, &v);
	take_over_from(NULL, l);
	monitor_send_errand(n->monitor, take_events, n->monitor);
	log_notice("network %s: link %s: removed", n->settings->name, l->settings->name);
	network_link_free(l);
	network_put_by_bursts(n, count_links(n));
}

static int add_link(struct network *n, const struct link_settings *s)
{
	struct link_errand v = {.network = n};
	size_t number = 0;
	int r;

	while (number < NETWORK_LINKS_MAX && n->links[number])
		number++;
	if (number == NETWORK_LINKS_MAX)
		return -E2BIG;
	r = network_link_new(&v.link, n, (uint32_t)number, s);
	if (r == 0 && n->started.monitor)
		r = link_start(v.link);
	if (r < 0) {
		network_link_free(v.link);
		return r;
	}
	n->links[number] = v.link;
	if (n->n_links <= number)
		n->n_links = number + 1;
	network_put_by_bursts(n, count_links(n));
	monitor_send_errand(n->monitor, add, &v);
	if (v.result < 0) {
		remove_link(n, v.link);
		return v.result;
	}
	handshaker_send_errand(n->handshaker, want_peers, n);
	return 0;
}

static bool is_other_socket(const struct link_settings *a, const struct link_settings *b)
{
	return !addr_equal(&a->bind, &b->bind) || a->port != b->port || a->fwmark != b->fwmark ||
	       a->is_disabled != b->is_disabled || a->gso != b->gso || a->gro != b->gro ||
	       a->receive_buffer != b->receive_buffer || a->send_buffer != b->send_buffer ||
	       strcmp(a->device, b->device) != 0;
}

/* Do packets take another way, as far as the settings decide that? */
static bool is_other_way(const struct link_settings *a, const struct link_settings *b)
{
	struct prefix from, to;
	bool is_bound = addr_host(&a->bind, &from);

	return is_bound != addr_host(&b->bind, &to) || (is_bound && !prefix_equal(&from, &to)) ||
	       a->fwmark != b->fwmark || strcmp(a->device, b->device) != 0;
}

/* Of the settings, what the socket is made from. */
static void take_socket_settings(struct link_settings *to, const struct link_settings *from)
{
	to->bind = from->bind;
	to->port = from->port;
	to->fwmark = from->fwmark;
	to->is_disabled = from->is_disabled;
	to->gso = from->gso;
	to->gro = from->gro;
	to->receive_buffer = from->receive_buffer;
	to->send_buffer = from->send_buffer;
	memcpy(to->device, from->device, sizeof(to->device));
}

static void close_socket(void *arg)
{
	struct link_errand *v = arg;

	take_socket_settings(v->link->settings, v->wanted);
	monitor_close_link(v->network->monitor, v->link);
}

static void open_socket(void *arg)
{
	struct link_errand *v = arg;

	v->result = v->link->settings->is_disabled
			    ? 0
			    : monitor_reopen_link(v->network->monitor, v->link, v->is_other_way,
						  clock_now());
}

/* What was closed is closed by the link's worker, and its port may be the new socket's. */
static void reopen(struct link_errand *v)
{
	link_settle(v->link);
	monitor_send_errand(v->network->monitor, open_socket, v);
}

static void replace_socket(struct link_errand *v, const struct link_settings *wanted)
{
	v->wanted = wanted;
	monitor_send_errand(v->network->monitor, close_socket, v);
	reopen(v);
}

struct families {
	struct network *network;
	bool is_wrong[NETWORK_LINKS_MAX]; /* by the link's number */
};

static void close_wrong(void *arg)
{
	struct families *f = arg;
	struct network *n = f->network;

	for (size_t i = 0; i < n->n_links; i++) {
		struct link *l = n->links[i];

		f->is_wrong[i] = l && monitor_link_has_wrong_family(n->monitor, l);
		if (f->is_wrong[i])
			monitor_close_link(n->monitor, l);
	}
}

/* One that cannot be had is tried again, as after all that may come later. */
void network_links_follow_endpoints(struct network *n)
{
	struct families f = {.network = n};

	monitor_send_errand(n->monitor, close_wrong, &f);
	for (size_t i = 0; i < n->n_links; i++) {
		struct link_errand v = {.network = n, .link = n->links[i]};

		if (f.is_wrong[i])
			reopen(&v);
	}
}

static void configure(void *arg)
{
	struct link_errand *v = arg;

	v->link->settings->weight = v->wanted->weight;
	v->link->settings->endpoint = v->wanted->endpoint;
	v->link->settings->role = v->wanted->role;
	v->link->settings->rate = v->wanted->rate;
	monitor_configure_link(v->network->monitor, v->link, clock_now());
}

static bool is_other_use(const struct link_settings *a, const struct link_settings *b)
{
	return a->weight != b->weight || a->role != b->role || a->rate != b->rate ||
	       /* That of the addresses that a name is looked up for. */
	       a->bind.sa.sa_family != b->bind.sa.sa_family ||
	       a->endpoint.port != b->endpoint.port ||
	       strcmp(a->endpoint.host, b->endpoint.host) != 0;
}

static int change_link(struct network *n, struct link *l, const struct link_settings *wanted)
{
	struct link_errand v = {.network = n, .link = l};
	const struct link_settings had = *l->settings;

	v.is_other_way = is_other_way(&had, wanted);
	if (is_other_socket(&had, wanted)) {
		replace_socket(&v, wanted);
		if (v.result < 0)
			return v.result;
	}
	if (!is_other_use(&had, wanted))
		return 0;
	v.wanted = wanted;
	monitor_send_errand(n->monitor, configure, &v);
	handshaker_send_errand(n->handshaker, want_peers, n);
	return 0;
}

static void give_up_socket(void *arg)
{
	struct link_errand *v = arg;

	monitor_close_link(v->network->monitor, v->link);
}

/* 0: any that is free. */
static uint16_t port_of(const struct link_settings *s)
{
	uint16_t port = addr_port(&s->bind);

	return port ? port : s->port;
}

/* Does another one want the port that it has? */
static bool is_in_the_way(const struct link *l, const struct link_change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct link_settings *other = &changes[i].settings;

		if (!changes[i].is_removed && strcmp(other->name, l->settings->name) != 0 &&
		    port_of(other) && port_of(other) == port_of(l->settings))
			return true;
	}
	return false;
}

/* Of those that get another socket: so that ports may go around among them, and back. */
static void give_way(struct network *n, const struct link_change *changes, size_t count)
{
	struct link_errand v = {.network = n};

	for (size_t i = 0; i < count; i++) {
		v.link = network_link_find(n, changes[i].settings.name);
		if (!v.link || !is_other_socket(v.link->settings, &changes[i].settings) ||
		    !is_in_the_way(v.link, changes, count))
			continue;
		monitor_send_errand(n->monitor, give_up_socket, &v);
		link_settle(v.link);
	}
}

int network_links_change(struct network *n, const struct link_change *changes, size_t count)
{
	int failure = 0;

	for (size_t i = 0; i < count; i++) {
		struct link *l = network_link_find(n, changes[i].settings.name);

		if (changes[i].is_removed && l)
			remove_link(n, l);
	}
	give_way(n, changes, count);
	for (size_t i = 0; i < count; i++) {
		const struct link_settings *wanted = &changes[i].settings;
		struct link *l = network_link_find(n, wanted->name);
		int r = 0;

		if (!changes[i].is_removed)
			r = l ? change_link(n, l, wanted) : add_link(n, wanted);
		failure = failure ? failure : r;
	}
	return failure;
}
