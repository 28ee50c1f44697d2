/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Any datagram that claims to be from rtnetlink is taken apart within its bounds, as an answer and
 * as news. */
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "netlink/message.h"

static int each(void *ctx, const struct nlmsghdr *message)
{
	struct prefix address;
	unsigned ifindex;
	int r = message_parse_address(message, &address, &ifindex);

	(void)ctx;
	if (r == 0 && address.len != (address.family == AF_INET ? 32 : 128))
		abort();
	return r;
}

/* Whatever kind it claims to be. */
static void read_what_is_ours(const struct nlmsghdr *message)
{
	struct netif_address address;
	struct rule rule;
	struct route route;
	unsigned ifindex;
	uint32_t table;

	if (message_parse_our_address(message, &address, &ifindex) == 1 &&
	    address.prefix.len > (address.prefix.family == AF_INET ? 32 : 128))
		abort();
	message_parse_rule(message, &rule);
	if (message_parse_route(message, &route, &ifindex) == 1 &&
	    route.to.len > (route.to.family == AF_INET ? 32 : 128))
		abort();
	message_parse_route_table(message, &table);
}

static void read_news(const uint8_t *data, size_t size)
{
	const struct nlmsghdr *message = (const void *)data;
	struct netif_change change;
	int left = (int)size;

	while (mnl_nlmsg_ok(message, left) && message->nlmsg_len <= (unsigned)left) {
		read_what_is_ours(message);
		if (message_parse_change(message, &change) == 1 &&
		    !memchr(change.name, 0, IFNAMSIZ))
			abort();
		message = mnl_nlmsg_next(message, &left);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t types[] = {0, RTM_NEWADDR};

	for (size_t i = 0; i < 2; i++) {
		const struct message_expected expected = {.seq = 1, .portid = 2, .type = types[i]};
		struct message_progress progress = {0};

		message_read(&expected, data, size, each, NULL, &progress);
	}
	read_news(data, size);
	return 0;
}
