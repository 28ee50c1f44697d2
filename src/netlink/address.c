/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "netlink/address.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>

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

int netif_add_address(const char *ifname, const struct prefix *p, const struct prefix *destination)
{
	union message_buffer request;
	unsigned ifindex = if_nametoindex(ifname);

	if (!ifindex)
		return -errno;
	if (destination && !destination->family)
		destination = NULL;
	if (destination && destination->family != p->family)
		return -EINVAL;
	message_add_address(&request, ifindex, p, destination);
	return change(&request);
}

struct search {
	const struct prefix *wanted;
	unsigned except; /* 0: none */
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
	const size_t len = search->wanted->family == AF_INET ? 4 : 16;
	struct prefix address;
	unsigned ifindex;
	int r = message_parse_address(message, &address, &ifindex);

	if (r < 0)
		return r;
	if (address.family == search->wanted->family && ifindex != search->except &&
	    !memcmp(address.bytes, search->wanted->bytes, len))
		search->found = ifindex;
	return 0;
}

/* All addresses of the family; the kernel has no request for one. */
static int run_search(struct search *search)
{
	const struct exchange_dump dump = {
		.type = RTM_NEWADDR,
		.restart = search_restart,
		.each = search_message,
		.ctx = search,
	};
	union message_buffer request;
	struct exchange x;
	int r = exchange_open(&x);

	if (r < 0)
		return r;
	message_dump_addresses(&request, search->wanted->family);
	r = exchange_dump(&x, &request, &dump);
	exchange_close(&x);
	return r;
}

int netif_find_address(const struct prefix *p, const char *except, char ret_ifname[16])
{
	struct search search = {.wanted = p, .except = except ? if_nametoindex(except) : 0};
	char name[IF_NAMESIZE];
	int r = run_search(&search);

	if (r < 0)
		return r;
	/* It may have vanished since. */
	if (!search.found || !if_indextoname(search.found, name))
		return -ENOENT;
	memcpy(ret_ifname, name, sizeof(name));
	return 0;
}
