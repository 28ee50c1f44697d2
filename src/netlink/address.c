/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "netlink/address.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink/exchange.h"

static int change(union message_buffer *request)
{
	struct exchange x;
	int r = exchange_open(&x);

	if (r < 0)
		return r;
	r = exchange_change(&x, request);
	exchange_close(&x);
	return r;
}

int netif_set_mtu(const char *ifname, uint32_t mtu)
{
	union message_buffer request;
	unsigned ifindex = if_nametoindex(ifname);

	if (!ifindex)
		return -errno;
	message_set_mtu(&request, ifindex, mtu);
	return change(&request);
}

int netif_set_up(const char *ifname)
{
	union message_buffer request;
	unsigned ifindex = if_nametoindex(ifname);

	if (!ifindex)
		return -errno;
	message_set_up(&request, ifindex);
	return change(&request);
}

static int change_address(const char *ifname, const struct prefix *p,
			  const struct prefix *destination, bool is_new)
{
	union message_buffer request;
	unsigned ifindex = if_nametoindex(ifname);

	if (!ifindex)
		return -errno;
	if (destination && !destination->family)
		destination = NULL;
	if (destination && destination->family != p->family)
		return -EINVAL;
	message_change_address(&request, ifindex, p, destination, is_new);
	return change(&request);
}

int netif_add_address(const char *ifname, const struct prefix *p, const struct prefix *destination)
{
	return change_address(ifname, p, destination, true);
}

int netif_remove_address(const char *ifname, const struct prefix *p,
			 const struct prefix *destination)
{
	return change_address(ifname, p, destination, false);
}

struct search {
	const struct prefix *wanted;
	bool is_for_subnet;
	unsigned except; /* 0: none */
	unsigned only;	 /* 0: any */
	unsigned found;	 /* 0: not yet */
};

static void search_restart(void *ctx)
{
	struct search *search = ctx;

	search->found = 0;
}

static int search_message(void *ctx, const struct nlmsghdr *message)
{
	struct search *search = ctx;
	const struct prefix *wanted = search->wanted;
	struct prefix address;
	bool is_wanted;
	unsigned ifindex;
	int r = message_parse_address(message, &address, &ifindex);

	if (r < 0)
		return r;
	is_wanted = search->is_for_subnet ? message_subnet_len(message) == wanted->len &&
						    prefix_covers(wanted, &address)
					  : prefix_is_address(wanted, &address);
	if (is_wanted && ifindex != search->except && (!search->only || ifindex == search->only))
		search->found = ifindex;
	return 0;
}

/* All addresses of the family; the kernel has no request for one. */
static int dump_addresses(uint8_t family, const struct exchange_dump *dump)
{
	union message_buffer request;
	struct exchange x;
	int r = exchange_open(&x);

	if (r < 0)
		return r;
	message_dump_addresses(&request, family);
	r = exchange_dump(&x, &request, dump);
	exchange_close(&x);
	return r;
}

static int find(struct search *search, const char *except, char ret_ifname[16])
{
	const struct exchange_dump dump = {
		.type = RTM_NEWADDR,
		.restart = search_restart,
		.each = search_message,
		.ctx = search,
	};
	char name[IF_NAMESIZE];
	int r;

	search->except = except ? if_nametoindex(except) : 0;
	r = dump_addresses(search->wanted->family, &dump);
	if (r < 0)
		return r;
	/* It may have vanished since. */
	if (!search->found || !if_indextoname(search->found, name))
		return -ENOENT;
	memcpy(ret_ifname, name, sizeof(name));
	return 0;
}

int netif_find_address(const struct prefix *p, const char *except, char ret_ifname[16])
{
	struct search search = {.wanted = p};

	return find(&search, except, ret_ifname);
}

int netif_find_subnet(const struct prefix *p, const char *except, char ret_ifname[16])
{
	struct search search = {.wanted = p, .is_for_subnet = true};

	return find(&search, except, ret_ifname);
}

int netif_look_for_address(const char *ifname, const struct prefix *p)
{
	struct search search = {.wanted = p, .only = if_nametoindex(ifname)};
	char found[IF_NAMESIZE];

	return search.only ? find(&search, NULL, found) : -errno;
}

struct list {
	unsigned ifindex;
	struct netif_address *addresses;
	size_t n;
};

static void list_restart(void *ctx)
{
	struct list *l = ctx;

	l->n = 0;
}

/* An interface has few. */
static int list_message(void *ctx, const struct nlmsghdr *message)
{
	struct list *l = ctx;
	struct netif_address address, *grown;
	unsigned ifindex;
	int r = message_parse_our_address(message, &address, &ifindex);

	if (r <= 0 || ifindex != l->ifindex)
		return r < 0 ? r : 0;
	grown = reallocarray(l->addresses, l->n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	l->addresses = grown;
	l->addresses[l->n++] = address;
	return 0;
}

int netif_list_addresses(const char *ifname, uint8_t family, struct netif_address **ret,
			 size_t *ret_n)
{
	struct list list = {.ifindex = if_nametoindex(ifname)};
	const struct exchange_dump dump = {
		.type = RTM_NEWADDR,
		.restart = list_restart,
		.each = list_message,
		.ctx = &list,
	};
	int r = list.ifindex ? dump_addresses(family, &dump) : -errno;

	if (r < 0) {
		free(list.addresses);
		return r;
	}
	*ret = list.addresses;
	*ret_n = list.n;
	return 0;
}

struct census {
	unsigned ifindex;
	bool has_address;
};

static void census_restart(void *ctx)
{
	struct census *census = ctx;

	census->has_address = false;
}

static int census_message(void *ctx, const struct nlmsghdr *message)
{
	struct census *census = ctx;
	struct prefix address;
	unsigned ifindex;
	int r = message_parse_address(message, &address, &ifindex);
	bool is_link_local;

	if (r < 0)
		return r;
	is_link_local = address.family == AF_INET6 && address.bytes[0] == 0xfe &&
			(address.bytes[1] & 0xc0) == 0x80;
	census->has_address |= ifindex == census->ifindex && !is_link_local;
	return 0;
}

int netif_has_address(unsigned ifindex, uint8_t family, bool *ret)
{
	struct census census = {.ifindex = ifindex};
	const struct exchange_dump dump = {
		.type = RTM_NEWADDR,
		.restart = census_restart,
		.each = census_message,
		.ctx = &census,
	};
	int r = dump_addresses(family, &dump);

	if (r < 0)
		return r;
	*ret = census.has_address;
	return 0;
}

int netif_look(const char *ifname, unsigned *ret_ifindex, bool *ret_is_running)
{
	struct ifreq request = {0};
	unsigned ifindex;
	int fd;
	int r;

	if (strlen(ifname) >= sizeof(request.ifr_name))
		return -ENODEV;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	strcpy(request.ifr_name, ifname);
	r = ioctl(fd, SIOCGIFFLAGS, &request) < 0 ? -errno : 0;
	close(fd);
	ifindex = r < 0 ? 0 : if_nametoindex(ifname);
	if (r == 0 && !ifindex)
		r = -errno;
	if (r < 0)
		return r;
	*ret_ifindex = ifindex;
	*ret_is_running = request.ifr_flags & IFF_UP && request.ifr_flags & IFF_RUNNING;
	return 0;
}
