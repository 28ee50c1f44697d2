/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "broker/endpoints.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROOM_MIN 4

void endpoints_deinit(struct endpoints *all)
{
	free(all->list);
	*all = (struct endpoints){0};
}

static bool is_multicast(const struct addr *a)
{
	return a->sa.sa_family == AF_INET ? IN_MULTICAST(ntohl(a->v4.sin_addr.s_addr))
					  : IN6_IS_ADDR_MULTICAST(&a->v6.sin6_addr);
}

/* One host, in the form that all others use. */
static bool is_host(const struct addr *a)
{
	struct prefix host;
	struct addr unmapped = *a;

	if (a->sa.sa_family != AF_INET && a->sa.sa_family != AF_INET6)
		return false;
	addr_unmap(&unmapped);
	return unmapped.sa.sa_family == a->sa.sa_family && addr_host(a, &host) && !is_multicast(a);
}

static bool is_sound(const struct broker_endpoint *e)
{
	if (!*e->link || !memchr(e->link, 0, sizeof(e->link)))
		return false;
	if (!is_host(&e->remote) || !addr_port(&e->remote))
		return false;
	return e->local.sa.sa_family == AF_UNSPEC ||
	       (e->local.sa.sa_family == e->remote.sa.sa_family && is_host(&e->local));
}

bool endpoints_are_sound(const struct broker_endpoints *e)
{
	if (e->n > BROKER_ENDPOINTS_MAX || e->session_at < 0)
		return false;
	for (uint32_t i = 0; i < e->n; i++)
		if (!is_sound(&e->list[i]))
			return false;
	return true;
}

static struct broker_endpoints *find(const struct endpoints *all, const struct broker_endpoints *e)
{
	for (size_t i = 0; i < all->n; i++)
		if (!memcmp(all->list[i].public_key, e->public_key, sizeof(e->public_key)) &&
		    !strcmp(all->list[i].network, e->network))
			return &all->list[i];
	return NULL;
}

static void drop(struct endpoints *all, struct broker_endpoints *e)
{
	*e = all->list[--all->n];
}

static struct broker_endpoints *add(struct endpoints *all)
{
	size_t room = all->room ? 2 * all->room : ROOM_MIN;
	struct broker_endpoints *list = all->list;

	if (all->n == all->room) {
		list = realloc(all->list, room * sizeof(*list));
		if (!list)
			return NULL;
		all->list = list;
		all->room = room;
	}
	return &list[all->n++];
}

int endpoints_keep(struct endpoints *all, const struct broker_endpoints *e)
{
	struct broker_endpoints *known = find(all, e);

	if (!e->n) {
		if (known)
			drop(all, known);
		return 0;
	}
	if (!known)
		known = add(all);
	if (!known)
		return -ENOMEM;
	*known = *e;
	/* Nobody has looked at what lies behind them. */
	memset(&known->list[e->n], 0, (BROKER_ENDPOINTS_MAX - e->n) * sizeof(e->list[0]));
	return 0;
}

static int write_all(const struct endpoints *all, const char *network, int fd)
{
	int r = -ENOENT;

	for (size_t i = 0; i < all->n; i++) {
		if (strcmp(all->list[i].network, network) != 0)
			continue;
		if (write(fd, &all->list[i], sizeof(all->list[i])) != sizeof(all->list[i]))
			return -EIO;
		r = 0;
	}
	return r;
}

int endpoints_open(const struct endpoints *all, const char *network, int *ret_fd)
{
	int fd = all->n ? memfd_create("endpoints", MFD_CLOEXEC) : -1;
	int r;

	if (fd < 0)
		return all->n ? -errno : -ENOENT;
	r = write_all(all, network, fd);
	if (r < 0)
		close(fd);
	else
		*ret_fd = fd;
	return r;
}

void endpoints_prune(struct endpoints *all, bool (*has_network)(void *ctx, const char *name),
		     void *ctx)
{
	for (size_t i = all->n; i > 0; i--)
		if (!has_network(ctx, all->list[i - 1].network))
			drop(all, &all->list[i - 1]);
}
