/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "broker/interfaces.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "netlink/route.h"
#include "netlink/rule.h"

static size_t find(const struct interfaces *all, const char name[IFNAMSIZ])
{
	size_t at = 0;

	while (at < all->n && strncmp(all->tuns[at].name, name, IFNAMSIZ) != 0)
		at++;
	return at;
}

bool interfaces_has(const struct interfaces *all, const char name[IFNAMSIZ])
{
	return find(all, name) < all->n;
}

void interfaces_adopt(struct interfaces *all, const struct tun *tun)
{
	all->tuns[all->n++] = *tun;
}

static void drop(struct interfaces *all, size_t at)
{
	tun_close(&all->tuns[at]);
	all->tuns[at] = all->tuns[--all->n];
}

static int give(const struct tun *tun, struct tun *ret, int *ret_fd)
{
	int fd = fcntl(tun->fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	*ret = *tun;
	*ret_fd = fd;
	return 0;
}

int interfaces_open(struct interfaces *all, const char *name, struct tun_wants wants,
		    struct tun *ret, bool *ret_was_kept, int *ret_fd)
{
	size_t at = find(all, name);
	int r;

	*ret_was_kept = at < all->n && tun_set_offloads(&all->tuns[at], wants) == 0;
	if (*ret_was_kept)
		return give(&all->tuns[at], ret, ret_fd);
	if (at < all->n)
		drop(all, at); /* somebody has deleted the interface */
	if (all->n == INTERFACES_MAX)
		return -EMFILE;
	at = all->n;
	r = tun_open(&all->tuns[at], name, wants);
	if (r < 0)
		return r;
	all->n++;
	r = give(&all->tuns[at], ret, ret_fd);
	if (r < 0)
		drop(all, at);
	return r;
}

int interfaces_open_queue(const struct interfaces *all, const char *name, bool is_detached,
			  int *ret_fd)
{
	return interfaces_has(all, name) ? tun_open_queue(ret_fd, name, is_detached) : -ENODEV;
}

static char *rules_owner(struct interfaces *all, uint8_t family)
{
	return all->rules_of[family == AF_INET6];
}

static int remove_rules(struct interfaces *all, uint8_t family)
{
	char *owner = rules_owner(all, family);
	int r = *owner ? netif_remove_rules(family) : 0;

	*owner = '\0';
	return r;
}

void interfaces_remove_rules(struct interfaces *all)
{
	remove_rules(all, AF_INET);
	remove_rules(all, AF_INET6);
}

int interfaces_set_rules(struct interfaces *all, const char *name, uint8_t family, uint32_t mark)
{
	char *owner = rules_owner(all, family);
	int r;

	if (*owner && strcmp(owner, name) != 0)
		return mark ? -EBUSY : 0;
	if (!mark)
		return remove_rules(all, family);
	r = netif_set_rules(family, ROUTE_TABLE_TUNNEL, mark);
	if (r == 0)
		strcpy(owner, name);
	else
		netif_remove_rules(family); /* one without the other leads astray */
	return r;
}

int interfaces_close(struct interfaces *all, const char name[IFNAMSIZ])
{
	size_t at = find(all, name);

	if (at == all->n)
		return -ENODEV;
	if (!strcmp(rules_owner(all, AF_INET), name))
		remove_rules(all, AF_INET);
	if (!strcmp(rules_owner(all, AF_INET6), name))
		remove_rules(all, AF_INET6);
	drop(all, at);
	return 0;
}

void interfaces_deinit(struct interfaces *all)
{
	while (all->n)
		drop(all, all->n - 1);
}
