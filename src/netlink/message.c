/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "netlink/message.h"

#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

static struct nlmsghdr *put_header(union message_buffer *m, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(m->bytes);

	header->nlmsg_type = type;
	header->nlmsg_flags = NLM_F_REQUEST | flags;
	return header;
}

static struct ifinfomsg *put_link(union message_buffer *m, unsigned ifindex)
{
	struct nlmsghdr *header = put_header(m, RTM_NEWLINK, NLM_F_ACK);
	struct ifinfomsg *link = mnl_nlmsg_put_extra_header(header, sizeof(*link));

	link->ifi_family = AF_UNSPEC;
	link->ifi_index = (int)ifindex;
	return link;
}

void message_set_mtu(union message_buffer *m, unsigned ifindex, uint32_t mtu)
{
	put_link(m, ifindex);
	mnl_attr_put_u32(&m->header, IFLA_MTU, mtu);
}

void message_set_up(union message_buffer *m, unsigned ifindex)
{
	struct ifinfomsg *link = put_link(m, ifindex);

	link->ifi_flags = IFF_UP;
	link->ifi_change = IFF_UP;
}

bool message_broadcast(const struct prefix *p, uint8_t ret_address[4])
{
	if (p->family != AF_INET || p->len > 30)
		return false;
	for (unsigned i = 0; i < 4; i++) {
		unsigned before = 8 * i;
		unsigned n = p->len > before ? p->len - before : 0;

		ret_address[i] = n >= 8 ? p->bytes[i] : (uint8_t)(p->bytes[i] | 0xff >> n);
	}
	return true;
}

void message_change_address(union message_buffer *m, unsigned ifindex, const struct prefix *p,
			    const struct prefix *destination, bool is_new)
{
	uint16_t flags = NLM_F_ACK | (is_new ? NLM_F_CREATE | NLM_F_EXCL : 0);
	struct nlmsghdr *header = put_header(m, is_new ? RTM_NEWADDR : RTM_DELADDR, flags);
	struct ifaddrmsg *address = mnl_nlmsg_put_extra_header(header, sizeof(*address));
	/* On a point-to-point interface the prefix length belongs to the other end. */
	const struct prefix *subnet = destination ? destination : p;
	size_t len = addr_bytes(p->family);
	uint8_t broadcast[4];

	address->ifa_family = p->family;
	address->ifa_prefixlen = subnet->len;
	address->ifa_scope = RT_SCOPE_UNIVERSE;
	address->ifa_index = ifindex;
	/*
	 * Nobody else is on a tunnel; detection would only keep the address unusable for a second.
	 */
	if (p->family == AF_INET6)
		address->ifa_flags = IFA_F_NODAD;
	mnl_attr_put(header, IFA_LOCAL, len, p->bytes);
	mnl_attr_put(header, IFA_ADDRESS, len, subnet->bytes);
	if (!destination && message_broadcast(p, broadcast))
		mnl_attr_put(header, IFA_BROADCAST, sizeof(broadcast), broadcast);
	if (is_new)
		mnl_attr_put_u8(header, ADDRESS_PROTOCOL, ROUTE_PROTOCOL);
}

void message_change_route(union message_buffer *m, unsigned ifindex, const struct route *r,
			  bool is_new)
{
	uint16_t flags = NLM_F_ACK | (is_new ? NLM_F_CREATE | NLM_F_EXCL : 0);
	struct nlmsghdr *header = put_header(m, is_new ? RTM_NEWROUTE : RTM_DELROUTE, flags);
	struct rtmsg *route = mnl_nlmsg_put_extra_header(header, sizeof(*route));

	route->rtm_family = r->to.family;
	route->rtm_dst_len = r->to.len;
	/* The byte has no room for all tables; the attribute counts. */
	route->rtm_table = RT_TABLE_UNSPEC;
	route->rtm_protocol = ROUTE_PROTOCOL;
	route->rtm_type = RTN_UNICAST;
	/* There is no next hop on a tunnel. */
	route->rtm_scope = r->to.family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	if (r->to.len)
		mnl_attr_put(header, RTA_DST, addr_bytes(r->to.family), r->to.bytes);
	mnl_attr_put_u32(header, RTA_OIF, ifindex);
	mnl_attr_put_u32(header, RTA_TABLE, r->table);
	mnl_attr_put_u32(header, RTA_PRIORITY, route_metric(r));
}

void message_change_rule(union message_buffer *m, const struct rule *r, bool is_new)
{
	uint16_t flags = NLM_F_ACK | (is_new ? NLM_F_CREATE | NLM_F_EXCL : 0);
	struct nlmsghdr *header = put_header(m, is_new ? RTM_NEWRULE : RTM_DELRULE, flags);
	struct fib_rule_hdr *rule = mnl_nlmsg_put_extra_header(header, sizeof(*rule));

	rule->family = r->family;
	rule->table = RT_TABLE_UNSPEC; /* as with routes, the attribute counts */
	rule->action = FR_ACT_TO_TBL;
	rule->flags = r->is_inverted ? FIB_RULE_INVERT : 0;
	mnl_attr_put_u32(header, FRA_PRIORITY, r->priority);
	mnl_attr_put_u32(header, FRA_TABLE, r->table);
	mnl_attr_put_u8(header, FRA_PROTOCOL, ROUTE_PROTOCOL);
	if (r->mark) {
		mnl_attr_put_u32(header, FRA_FWMARK, r->mark);
		mnl_attr_put_u32(header, FRA_FWMASK, UINT32_MAX);
	}
	if (r->skips_defaults)
		mnl_attr_put_u32(header, FRA_SUPPRESS_PREFIXLEN, 0);
}

void message_dump_rules(union message_buffer *m, uint8_t family)
{
	struct nlmsghdr *header = put_header(m, RTM_GETRULE, NLM_F_DUMP);
	struct fib_rule_hdr *rule = mnl_nlmsg_put_extra_header(header, sizeof(*rule));

	rule->family = family;
}

void message_dump_routes(union message_buffer *m, uint8_t family)
{
	struct nlmsghdr *header = put_header(m, RTM_GETROUTE, NLM_F_DUMP);
	struct rtmsg *route = mnl_nlmsg_put_extra_header(header, sizeof(*route));

	route->rtm_family = family;
}

void message_dump_addresses(union message_buffer *m, uint8_t family)
{
	struct nlmsghdr *header = put_header(m, RTM_GETADDR, NLM_F_DUMP);
	struct ifaddrmsg *address = mnl_nlmsg_put_extra_header(header, sizeof(*address));

	address->ifa_family = family;
}
