/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "broker/request.h"

/* With that member of the union, or none of them. */
#define LEN_WITH(member)                                                                           \
	(offsetof(struct broker_request, member) + sizeof(((struct broker_request *)NULL)->member))
#define LEN_ALONE offsetof(struct broker_request, tun)

static const size_t request_lens[] = {
	[BROKER_OPEN_TUN] = LEN_WITH(tun),
	[BROKER_CLOSE_TUN] = LEN_WITH(interface),
	[BROKER_SET_MTU] = LEN_WITH(interface),
	[BROKER_SET_UP] = LEN_WITH(interface),
	[BROKER_ADD_ADDRESS] = LEN_WITH(address),
	[BROKER_ADD_ROUTE] = LEN_WITH(route),
	[BROKER_REMOVE_ROUTE] = LEN_WITH(route),
	[BROKER_OPEN_UDP] = LEN_WITH(udp),
	[BROKER_LOAD_STAMP] = LEN_WITH(stamp),
	[BROKER_STORE_STAMP] = LEN_WITH(stamp),
	[BROKER_OPEN_RESOLVER] = LEN_ALONE,
	[BROKER_READY] = LEN_ALONE,
	[BROKER_ALIVE] = LEN_ALONE,
	[BROKER_READ_CONFIG] = LEN_ALONE,
	[BROKER_KEEP_CONFIG] = LEN_ALONE,
	[BROKER_RUN_HOOK] = LEN_WITH(hook),
	[BROKER_OPEN_UAPI] = LEN_WITH(interface),
	[BROKER_CLOSE_UAPI] = LEN_WITH(interface),
	[BROKER_REMOVE_ADDRESS] = LEN_WITH(address),
	[BROKER_NEXT_KEY] = LEN_WITH(key),
	[BROKER_SET_RULES] = LEN_WITH(rules),
	[BROKER_TELL] = LEN_WITH(event),
	[BROKER_OPEN_METRICS] = LEN_WITH(metrics),
	[BROKER_OPEN_QUEUE] = LEN_WITH(queue),
	[BROKER_KEEP_ENDPOINTS] = LEN_WITH(endpoints),
	[BROKER_LOAD_ENDPOINTS] = LEN_WITH(network),
};

size_t broker_request_len(uint32_t kind)
{
	return kind < sizeof(request_lens) / sizeof(*request_lens) ? request_lens[kind] : 0;
}
