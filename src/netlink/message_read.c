/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "netlink/message.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>

/* The kernel's own limit to what an error pointer can say. */
#define ERRNO_MAX 4095

/* An errno as the kernel writes it: 0 or negative. */
static int parse_error(const struct nlmsghdr *message, size_t payload_min)
{
	int error;

	if (mnl_nlmsg_get_payload_len(message) < payload_min)
		return -EBADMSG;
	memcpy(&error, mnl_nlmsg_get_payload(message), sizeof(error));
	return error > 0 || error < -ERRNO_MAX ? -EBADMSG : error;
}

/* What belongs to netlink itself, and not to the dump. */
static int read_control(const struct message_expected *expected, const struct nlmsghdr *message,
			struct message_progress *progress)
{
	int r;

	switch (message->nlmsg_type) {
	case NLMSG_NOOP:
		return 0;
	case NLMSG_OVERRUN:
		return -ENOBUFS;
	case NLMSG_ERROR:
		r = parse_error(message, sizeof(struct nlmsgerr));
		/* A dump does not end in an acknowledgement. */
		if (!r && expected->type)
			return -EBADMSG;
		break;
	case NLMSG_DONE:
		if (!expected->type)
			return -EBADMSG;
		r = parse_error(message, sizeof(int));
		break;
	default:
		return -EBADMSG;
	}
	progress->is_complete = true;
	return r;
}

static bool is_part(const struct message_expected *expected, const struct nlmsghdr *message)
{
	return expected->type && message->nlmsg_type == expected->type &&
	       message->nlmsg_flags & NLM_F_MULTI;
}

/* A message in what should be the answer to a request. */
struct reading {
	const struct message_expected *expected;
	struct message_progress *progress;
	message_fn each;
	void *ctx;
};

static int read_one(void *ctx, const struct nlmsghdr *message)
{
	const struct reading *r = ctx;
	bool is_answer =
		message->nlmsg_seq == r->expected->seq && message->nlmsg_pid == r->expected->portid;

	if (!is_answer || r->progress->is_complete)
		return -EBADMSG;
	if (message->nlmsg_flags & NLM_F_DUMP_INTR)
		r->progress->is_interrupted = true;
	if (is_part(r->expected, message))
		return r->each(r->ctx, message);
	return read_control(r->expected, message, r->progress);
}

int message_each(const void *datagram, size_t len, message_fn each, void *ctx)
{
	const struct nlmsghdr *message = datagram;
	int left = (int)len;
	int r;

	if (len < sizeof(*message) || len > MESSAGE_DATAGRAM_MAX)
		return -EBADMSG;
	while (mnl_nlmsg_ok(message, left)) {
		/* libmnl 1.0.4 compares as signed, and so takes 2 GB and more for short. */
		if (message->nlmsg_len > (unsigned)left)
			return -EBADMSG;
		r = each(ctx, message);
		if (r < 0)
			return r;
		message = mnl_nlmsg_next(message, &left);
	}
	return left > 0 ? -EBADMSG : 0;
}

int message_read(const struct message_expected *expected, const void *datagram, size_t len,
		 message_fn each, void *ctx, struct message_progress *progress)
{
	struct reading reading = {expected, progress, each, ctx};

	return message_each(datagram, len, read_one, &reading);
}

/*
 * Has it the fixed part, and attributes that end where it does? libmnl rounds their end up, which
 * would be beyond the datagram.
 */
static bool is_whole(const struct nlmsghdr *message, size_t fixed)
{
	return mnl_nlmsg_get_payload_len(message) >= fixed && !(message->nlmsg_len % MNL_ALIGNTO);
}

typedef int (*attr_fn)(void *ctx, const struct nlattr *attr);

/*
 * Gives `take` each attribute of a message that is_whole(). 0, what `take` returns below 0, or
 * -EBADMSG for one that is longer than what is left of the message.
 */
static int each_attr(const struct nlmsghdr *message, size_t fixed, attr_fn take, void *ctx)
{
	const struct nlattr *attr;
	int r;

	mnl_attr_for_each(attr, message, fixed)
	{
		r = take(ctx, attr);
		if (r < 0)
			return r;
	}
	return (const char *)attr < (const char *)mnl_nlmsg_get_payload_tail(message) ? -EBADMSG
										      : 0;
}

/* An attribute that says whose something is: is that we? */
static int take_is_ours(const struct nlattr *attr, bool *ret)
{
	if (mnl_attr_get_payload_len(attr) != 1)
		return -EBADMSG;
	*ret = mnl_attr_get_u8(attr) == ROUTE_PROTOCOL;
	return 0;
}

/* Finds the attribute that names the own address: IFA_LOCAL where there is one. */
static int take_own_address(void *ctx, const struct nlattr *attr)
{
	const struct nlattr **own = ctx;
	uint16_t type = mnl_attr_get_type(attr);

	if (type == IFA_LOCAL || (type == IFA_ADDRESS && !*own))
		*own = attr;
	return 0;
}

int message_parse_address(const struct nlmsghdr *message, struct prefix *ret, unsigned *ret_ifindex)
{
	const struct ifaddrmsg *address = mnl_nlmsg_get_payload(message);
	const struct nlattr *own = NULL;
	size_t len;
	int r;

	if (!is_whole(message, sizeof(*address)))
		return -EBADMSG;
	if (address->ifa_family != AF_INET && address->ifa_family != AF_INET6)
		return -EBADMSG;
	r = each_attr(message, sizeof(*address), take_own_address, &own);
	if (r < 0)
		return r;
	len = addr_bytes(address->ifa_family);
	if (!own || mnl_attr_get_payload_len(own) != len)
		return -EBADMSG;
	*ret = (struct prefix){.family = address->ifa_family, .len = (uint8_t)(8 * len)};
	memcpy(ret->bytes, mnl_attr_get_payload(own), len);
	*ret_ifindex = address->ifa_index;
	return 0;
}

struct address_attrs {
	const struct nlattr *subnet;
	bool is_ours;
};

static int take_address_attr(void *ctx, const struct nlattr *attr)
{
	struct address_attrs *attrs = ctx;

	switch (mnl_attr_get_type(attr)) {
	case IFA_ADDRESS:
		attrs->subnet = attr;
		return 0;
	case ADDRESS_PROTOCOL:
		return take_is_ours(attr, &attrs->is_ours);
	}
	return 0;
}

int message_parse_our_address(const struct nlmsghdr *message, struct netif_address *ret,
			      unsigned *ret_ifindex)
{
	struct address_attrs attrs = {0};
	struct netif_address found = {0};
	unsigned ifindex;
	size_t len;
	int r = message_parse_address(message, &found.prefix, &ifindex);

	if (r == 0)
		r = each_attr(message, sizeof(struct ifaddrmsg), take_address_attr, &attrs);
	if (r < 0 || !attrs.is_ours || !attrs.subnet)
		return r;
	len = addr_bytes(found.prefix.family);
	if (mnl_attr_get_payload_len(attrs.subnet) != len || message_subnet_len(message) > 8 * len)
		return -EBADMSG;
	found.destination =
		(struct prefix){.family = found.prefix.family, .len = message_subnet_len(message)};
	memcpy(found.destination.bytes, mnl_attr_get_payload(attrs.subnet), len);
	if (prefix_is_address(&found.prefix, &found.destination)) {
		found.prefix.len = found.destination.len;
		found.destination = (struct prefix){0};
	}
	*ret = found;
	*ret_ifindex = ifindex;
	return 1;
}

uint8_t message_subnet_len(const struct nlmsghdr *message)
{
	const struct ifaddrmsg *address = mnl_nlmsg_get_payload(message);

	return address->ifa_prefixlen;
}

/* An attribute of 32 bits. */
static int take_u32(const struct nlattr *attr, uint32_t *ret)
{
	if (mnl_attr_get_payload_len(attr) != sizeof(*ret))
		return -EBADMSG;
	*ret = mnl_attr_get_u32(attr);
	return 0;
}

struct parsed_rule {
	struct rule rule;
	bool is_ours;
};

static int take_rule_attr(void *ctx, const struct nlattr *attr)
{
	struct parsed_rule *parsed = ctx;
	struct rule *rule = &parsed->rule;
	uint32_t prefix_len;
	int r;

	switch (mnl_attr_get_type(attr)) {
	case FRA_PRIORITY:
		return take_u32(attr, &rule->priority);
	case FRA_TABLE:
		return take_u32(attr, &rule->table);
	case FRA_FWMARK:
		return take_u32(attr, &rule->mark);
	case FRA_SUPPRESS_PREFIXLEN: /* all ones: nothing is passed over */
		r = take_u32(attr, &prefix_len);
		rule->skips_defaults = r == 0 && prefix_len == 0;
		return r;
	case FRA_PROTOCOL:
		return take_is_ours(attr, &parsed->is_ours);
	}
	return 0;
}

int message_parse_rule(const struct nlmsghdr *message, struct rule *ret)
{
	const struct fib_rule_hdr *head = mnl_nlmsg_get_payload(message);
	struct parsed_rule parsed = {0};
	int r;

	if (!is_whole(message, sizeof(*head)))
		return -EBADMSG;
	parsed.rule.family = head->family;
	parsed.rule.is_inverted = head->flags & FIB_RULE_INVERT;
	r = each_attr(message, sizeof(*head), take_rule_attr, &parsed);
	if (r < 0 || !parsed.is_ours)
		return r;
	*ret = parsed.rule;
	return 1;
}

struct parsed_route {
	struct route route;
	unsigned ifindex;
};

static int take_route_attr(void *ctx, const struct nlattr *attr)
{
	struct parsed_route *parsed = ctx;
	struct route *route = &parsed->route;
	size_t len = addr_bytes(route->to.family);

	switch (mnl_attr_get_type(attr)) {
	case RTA_DST:
		if (mnl_attr_get_payload_len(attr) != len)
			return -EBADMSG;
		memcpy(route->to.bytes, mnl_attr_get_payload(attr), len);
		return 0;
	case RTA_OIF:
		return take_u32(attr, &parsed->ifindex);
	case RTA_TABLE:
		return take_u32(attr, &route->table);
	case RTA_PRIORITY:
		return take_u32(attr, &route->metric);
	}
	return 0;
}

int message_parse_route(const struct nlmsghdr *message, struct route *ret, unsigned *ret_ifindex)
{
	const struct rtmsg *head = mnl_nlmsg_get_payload(message);
	struct parsed_route parsed = {0};
	struct route *route = &parsed.route;
	int r;

	if (!is_whole(message, sizeof(*head)))
		return -EBADMSG;
	if (head->rtm_family != AF_INET && head->rtm_family != AF_INET6)
		return 0;
	route->to.family = head->rtm_family;
	route->to.len = head->rtm_dst_len;
	route->table = head->rtm_table;
	if (route->to.len > 8 * addr_bytes(route->to.family))
		return -EBADMSG;
	r = each_attr(message, sizeof(*head), take_route_attr, &parsed);
	if (r < 0 || head->rtm_protocol != ROUTE_PROTOCOL || !parsed.ifindex)
		return r;
	*ret = *route;
	*ret_ifindex = parsed.ifindex;
	return 1;
}

static int take_table(void *ctx, const struct nlattr *attr)
{
	return mnl_attr_get_type(attr) == RTA_TABLE ? take_u32(attr, ctx) : 0;
}

int message_parse_route_table(const struct nlmsghdr *message, uint32_t *ret)
{
	const struct rtmsg *route = mnl_nlmsg_get_payload(message);
	uint32_t table;
	int r;

	if (!is_whole(message, sizeof(*route)))
		return -EBADMSG;
	table = route->rtm_table;
	r = each_attr(message, sizeof(*route), take_table, &table);
	if (r == 0)
		*ret = table;
	return r;
}

static int take_name(void *ctx, const struct nlattr *attr)
{
	size_t len = mnl_attr_get_payload_len(attr);
	const char *name = mnl_attr_get_payload(attr);

	if (mnl_attr_get_type(attr) != IFLA_IFNAME)
		return 0;
	if (!len || len > IFNAMSIZ || name[len - 1])
		return -EBADMSG;
	memcpy(ctx, name, len);
	return 0;
}

static int parse_link(const struct nlmsghdr *message, struct netif_change *ret)
{
	const struct ifinfomsg *link = mnl_nlmsg_get_payload(message);
	int r;

	if (!is_whole(message, sizeof(*link)))
		return -EBADMSG;
	/* A port that leaves its bridge is "deleted" too, for the family of bridges. */
	if (link->ifi_family != AF_UNSPEC)
		return 0;
	if (link->ifi_index <= 0)
		return -EBADMSG;
	ret->ifindex = (unsigned)link->ifi_index;
	ret->is_running = link->ifi_flags & IFF_UP && link->ifi_flags & IFF_RUNNING;
	r = each_attr(message, sizeof(*link), take_name, ret->name);
	return r < 0 ? r : 1;
}

int message_parse_change(const struct nlmsghdr *message, struct netif_change *ret)
{
	struct netif_change change = {0};
	int r;

	switch (message->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		change.kind = message->nlmsg_type == RTM_NEWLINK ? NETIF_LINK : NETIF_LINK_GONE;
		r = parse_link(message, &change);
		break;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		change.kind =
			message->nlmsg_type == RTM_NEWADDR ? NETIF_ADDRESS : NETIF_ADDRESS_GONE;
		r = message_parse_address(message, &change.address, &change.ifindex);
		r = r < 0 ? r : 1;
		break;
	default:
		return 0;
	}
	if (r == 1)
		*ret = change;
	return r;
}
