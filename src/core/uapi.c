/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/uapi.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/broker.h"
#include "util/log.h"

/* The network that runs on that interface, if there is one that wants a socket. */
static const struct network_slot *find_slot(const struct uapi *u, const char *interface)
{
	for (size_t i = 0; i < networks_count(u->networks); i++) {
		const struct network_slot *slot = networks_at(u->networks, i);

		if (slot->network && slot->settings->has_uapi &&
		    !strcmp(slot->settings->interface, interface))
			return slot;
	}
	return NULL;
}

static struct network *find_network(void *ctx, size_t interface)
{
	const struct uapi *u = ctx;
	const struct network_slot *slot = find_slot(u, u->places[interface].interface);

	return slot ? slot->network : NULL;
}

/* WireGuard has one socket and one mark for an interface: those of the first link. */
static const struct link_settings *first_link(const struct network *n)
{
	for (size_t i = 0; i < network_n_links(n); i++) {
		if (network_link(n, i))
			return network_link(n, i);
	}
	return NULL;
}

static int write_network(const struct network *n, const struct network_status *status,
			 struct buffer *to)
{
	const struct link_settings *link = first_link(n);
	const struct uapi_device d = {
		.private_key = network_settings(n)->private_key,
		.listen_port = status->n_links ? addr_port(&status->links[0].local) : 0,
		.fwmark = link ? link->fwmark : 0,
	};
	int r = uapi_write_device(to, &d);

	for (size_t i = 0; r == 0 && i < status->n_peers; i++)
		r = uapi_write_peer(to, network_peer(n, i), &status->peers[i]);
	return r;
}

static int get(void *ctx, size_t interface, struct buffer *to)
{
	struct network *n = find_network(ctx, interface);
	struct network_status status;
	int r = n ? network_status(n, &status) : -ENODEV;

	if (r < 0)
		return r;
	r = write_network(n, &status, to);
	network_status_free(&status);
	return r;
}

static void set_port(struct link_settings *s, uint16_t port)
{
	if (addr_is_set(&s->bind))
		addr_set_port(&s->bind, port);
	else
		s->port = port;
}

/* The port is the first link's, the mark is for all. 0 or -ENOMEM. */
static int plan_links(const struct network *n, const struct uapi_set *set, struct link_change **ret,
		      size_t *ret_n)
{
	size_t count = 0;
	struct link_change *changes;

	*ret = NULL;
	*ret_n = 0;
	if (!set->has_listen_port && !set->has_fwmark)
		return 0;
	changes = calloc(network_n_links(n) + 1, sizeof(*changes));
	if (!changes)
		return -ENOMEM;
	for (size_t i = 0; i < network_n_links(n); i++) {
		struct link_settings *s = &changes[count].settings;

		if (!network_link(n, i))
			continue;
		*s = *network_link(n, i);
		if (set->has_fwmark)
			s->fwmark = set->fwmark;
		if (set->has_listen_port && count == 0)
			set_port(s, set->listen_port);
		count++;
	}
	*ret = changes;
	*ret_n = count;
	return 0;
}

static int set(void *ctx, size_t interface, const struct uapi_set *set)
{
	struct network *n = find_network(ctx, interface);
	struct network_change change = set->change;
	struct link_change *links;
	int r = n ? plan_links(n, set, &links, &change.n_links) : -ENODEV;

	if (r < 0)
		return r;
	change.links = links;
	r = network_change(n, &change);
	free(links);
	return r;
}

int uapi_init(struct uapi *u, struct networks *networks, struct broker *broker)
{
	static const struct uapi_calls calls = {.get = get, .set = set};

	u->networks = networks;
	u->broker = broker;
	return uapi_server_new(&u->server, &calls, u);
}

/* The place of that interface; with "", a free one. NULL if there is none. */
static struct uapi_place *find_place(struct uapi *u, const char *interface)
{
	for (size_t i = 0; i < UAPI_LISTENERS_MAX; i++)
		if (!strcmp(u->places[i].interface, interface))
			return &u->places[i];
	return NULL;
}

/* Once for each start of the network: the supervisor says why there is no socket. */
static void open_place(struct uapi *u, const char *interface)
{
	struct uapi_place *p = find_place(u, "");
	int r;

	if (!p)
		return;
	strcpy(p->interface, interface);
	if (broker_open_uapi(u->broker, interface, &p->fd) < 0) {
		p->fd = -1;
		return;
	}
	r = uapi_server_add(u->server, p->fd, (size_t)(p - u->places));
	if (r < 0) {
		log_warn("interface %s: cannot serve wg(8): %s", interface, strerror(-r));
		close(p->fd);
		p->fd = -1;
	}
}

static void close_place(struct uapi *u, struct uapi_place *p)
{
	if (p->fd >= 0) {
		uapi_server_remove(u->server, (size_t)(p - u->places));
		close(p->fd);
		broker_close_uapi(u->broker, p->interface);
	}
	*p->interface = '\0';
}

void uapi_follow(struct uapi *u)
{
	for (size_t i = 0; i < UAPI_LISTENERS_MAX; i++)
		if (*u->places[i].interface && !find_slot(u, u->places[i].interface))
			close_place(u, &u->places[i]);
	for (size_t i = 0; i < networks_count(u->networks); i++) {
		const struct network_settings *s = networks_at(u->networks, i)->settings;

		if (find_slot(u, s->interface) && !find_place(u, s->interface))
			open_place(u, s->interface);
	}
}

/* The supervisor keeps its own for the next engine, or removes them. */
void uapi_deinit(struct uapi *u)
{
	uapi_server_free(u->server);
	for (size_t i = 0; i < UAPI_LISTENERS_MAX; i++)
		if (*u->places[i].interface && u->places[i].fd >= 0)
			close(u->places[i].fd);
}
