/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* rtnetlink without a kernel: the bytes of requests, and answers that no kernel would give. */
#include "check_main.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "netlink/address.h"
#include "netlink/exchange.h"
#include "netlink/message.h"

#define PORT 4711
#define INDEX 7

static struct prefix address_of(const char *text, uint8_t len)
{
	struct prefix p;

	ck_assert_int_eq(prefix_parse(&p, text), 0);
	p.len = len;
	return p;
}

/* Requests */

static const struct nlattr *find_attr(const union message_buffer *m, size_t head, uint16_t type)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, &m->header, head) if (mnl_attr_get_type(attr) == type) return attr;
	return NULL;
}

static void check_attr(const union message_buffer *m, uint16_t type, const struct prefix *wanted)
{
	const struct nlattr *attr = find_attr(m, sizeof(struct ifaddrmsg), type);
	size_t len = wanted->family == AF_INET ? 4 : 16;

	ck_assert_ptr_nonnull(attr);
	ck_assert_uint_eq(mnl_attr_get_payload_len(attr), len);
	ck_assert_mem_eq(mnl_attr_get_payload(attr), wanted->bytes, len);
}

START_TEST(broadcast_sets_the_host_bits_of_every_prefix_length)
{
	struct prefix p = address_of("10.73.146.37", 0);
	uint32_t host_order = 10u << 24 | 73u << 16 | 146u << 8 | 37u;
	uint8_t broadcast[4];

	for (unsigned len = 0; len <= 30; len++) {
		uint32_t want = host_order | (uint32_t)(0xffffffffULL >> len);
		uint8_t bytes[4] = {want >> 24, want >> 16 & 0xff, want >> 8 & 0xff, want & 0xff};

		p.len = (uint8_t)len;
		ck_assert(message_broadcast(&p, broadcast));
		ck_assert_mem_eq(broadcast, bytes, 4);
	}
}
END_TEST

START_TEST(broadcast_is_in_network_order)
{
	static const struct {
		const char *address;
		uint8_t len;
		uint8_t broadcast[4];
	} table[] = {
		{"192.168.1.20", 0, {255, 255, 255, 255}},
		{"192.168.1.20", 16, {192, 168, 255, 255}},
		{"192.168.1.20", 24, {192, 168, 1, 255}},
		{"192.168.1.127", 25, {192, 168, 1, 127}},
		{"192.168.1.128", 25, {192, 168, 1, 255}},
		{"10.0.0.1", 30, {10, 0, 0, 3}},
	};
	uint8_t broadcast[4];

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct prefix p = address_of(table[i].address, table[i].len);

		ck_assert(message_broadcast(&p, broadcast));
		ck_assert_mem_eq(broadcast, table[i].broadcast, 4);
	}
}
END_TEST

START_TEST(pairs_hosts_and_ipv6_have_no_broadcast)
{
	struct prefix pair = address_of("10.0.0.0", 31);
	struct prefix host = address_of("10.0.0.1", 32);
	struct prefix v6 = address_of("fd00::1", 24);
	uint8_t broadcast[4];

	ck_assert(!message_broadcast(&pair, broadcast));
	ck_assert(!message_broadcast(&host, broadcast));
	ck_assert(!message_broadcast(&v6, broadcast));
}
END_TEST

START_TEST(address_request_has_exactly_these_bytes)
{
	struct prefix p = address_of("10.9.8.7", 24);
	union message_buffer m;
	static const uint8_t body[] = {
		AF_INET, 24, 0, RT_SCOPE_UNIVERSE, /* family, length, flags, scope */
		0,	 0,  0, 0,		   /* the index, checked below */
		0,	 0,  0, 0,
		10,	 9,  8, 7, /* IFA_LOCAL */
		0,	 0,  0, 0,
		10,	 9,  8, 7, /* IFA_ADDRESS */
		0,	 0,  0, 0,
		10,	 9,  8, 255, /* IFA_BROADCAST */
		0,	 0,  0, 0,
		119,	 0,  0, 0, /* IFA_PROTO, one byte */
	};
	static const struct nlattr attrs[] = {
		{8, IFA_LOCAL}, {8, IFA_ADDRESS}, {8, IFA_BROADCAST}, {5, 11}};
	uint8_t want[sizeof(body)];
	uint32_t ifindex = INDEX;

	memcpy(want, body, sizeof(body));
	memcpy(want + 4, &ifindex, 4);
	for (size_t i = 0; i < 4; i++)
		memcpy(want + 8 + 8 * i, &attrs[i], sizeof(attrs[i]));
	message_change_address(&m, INDEX, &p, NULL, true);
	ck_assert_uint_eq(m.header.nlmsg_type, RTM_NEWADDR);
	ck_assert_uint_eq(m.header.nlmsg_flags,
			  NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	ck_assert_uint_eq(m.header.nlmsg_len, sizeof(struct nlmsghdr) + sizeof(want));
	ck_assert_mem_eq(m.bytes + sizeof(struct nlmsghdr), want, sizeof(want));
}
END_TEST

START_TEST(ipv6_address_skips_duplicate_detection)
{
	struct prefix p = address_of("fd00::7", 64);
	union message_buffer m;
	const struct ifaddrmsg *head;

	message_change_address(&m, INDEX, &p, NULL, true);
	head = mnl_nlmsg_get_payload(&m.header);
	ck_assert_uint_eq(head->ifa_family, AF_INET6);
	ck_assert_uint_eq(head->ifa_prefixlen, 64);
	ck_assert_uint_eq(head->ifa_flags, IFA_F_NODAD);
	check_attr(&m, IFA_LOCAL, &p);
	check_attr(&m, IFA_ADDRESS, &p);
	ck_assert_ptr_null(find_attr(&m, sizeof(*head), IFA_BROADCAST));
}
END_TEST

START_TEST(point_to_point_address_names_the_other_end)
{
	struct prefix p = address_of("10.0.0.1", 24);
	struct prefix destination = address_of("10.0.0.2", 32);
	union message_buffer m;
	const struct ifaddrmsg *head;

	message_change_address(&m, INDEX, &p, &destination, true);
	head = mnl_nlmsg_get_payload(&m.header);
	ck_assert_uint_eq(head->ifa_prefixlen, 32);
	check_attr(&m, IFA_LOCAL, &p);
	check_attr(&m, IFA_ADDRESS, &destination);
	ck_assert_ptr_null(find_attr(&m, sizeof(*head), IFA_BROADCAST));
}
END_TEST

START_TEST(route_request_names_prefix_interface_table_and_metric)
{
	struct route r = {address_of("10.9.0.0", 16), 100000, 50};
	const struct rtmsg *head;
	union message_buffer m;

	message_change_route(&m, INDEX, &r, true);
	head = mnl_nlmsg_get_payload(&m.header);
	ck_assert_uint_eq(m.header.nlmsg_type, RTM_NEWROUTE);
	ck_assert_uint_eq(m.header.nlmsg_flags,
			  NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL);
	ck_assert_uint_eq(head->rtm_family, AF_INET);
	ck_assert_uint_eq(head->rtm_dst_len, 16);
	ck_assert_uint_eq(head->rtm_protocol, ROUTE_PROTOCOL);
	ck_assert_mem_eq(mnl_attr_get_payload(find_attr(&m, sizeof(*head), RTA_DST)), r.to.bytes,
			 4);
	ck_assert_uint_eq(mnl_attr_get_u32(find_attr(&m, sizeof(*head), RTA_OIF)), INDEX);
	ck_assert_uint_eq(mnl_attr_get_u32(find_attr(&m, sizeof(*head), RTA_TABLE)), 100000);
	ck_assert_uint_eq(mnl_attr_get_u32(find_attr(&m, sizeof(*head), RTA_PRIORITY)), 50);
}
END_TEST

START_TEST(default_route_has_no_destination)
{
	struct route r = {address_of("fd00::", 0), ROUTE_TABLE_MAIN, 0};
	const struct rtmsg *head;
	union message_buffer m;

	message_change_route(&m, INDEX, &r, false);
	head = mnl_nlmsg_get_payload(&m.header);
	ck_assert_uint_eq(m.header.nlmsg_type, RTM_DELROUTE);
	ck_assert_uint_eq(m.header.nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK);
	ck_assert_uint_eq(head->rtm_family, AF_INET6);
	ck_assert_uint_eq(head->rtm_dst_len, 0);
	ck_assert_ptr_null(find_attr(&m, sizeof(*head), RTA_DST));
}
END_TEST

/* As the kernel tells of it, which leaves out a metric of 0. */
START_TEST(route_of_ours_is_known_by_its_protocol)
{
	const struct route routes[] = {{address_of("fd00::", 48), 51820, 7},
				       {address_of("10.9.0.0", 16), 254, 0},
				       {address_of("0.0.0.0", 0), 100, 0}};
	struct route route;
	unsigned ifindex;

	for (int i = 0; i < 3; i++) {
		union message_buffer m;
		struct rtmsg *head;

		message_change_route(&m, INDEX, &routes[i], true);
		ck_assert_int_eq(message_parse_route(&m.header, &route, &ifindex), 1);
		ck_assert_uint_eq(ifindex, INDEX);
		ck_assert(prefix_equal(&route.to, &routes[i].to));
		ck_assert_uint_eq(route.table, routes[i].table);
		ck_assert_uint_eq(route.metric, routes[i].metric);
		head = mnl_nlmsg_get_payload(&m.header);
		head->rtm_protocol = RTPROT_BOOT;
		ck_assert_int_eq(message_parse_route(&m.header, &route, &ifindex), 0);
		head->rtm_dst_len = 129;
		ck_assert_int_eq(message_parse_route(&m.header, &route, &ifindex), -EBADMSG);
		head->rtm_family = 0;
		ck_assert_int_eq(message_parse_route(&m.header, &route, &ifindex), 0);
		m.header.nlmsg_len -= 4;
		head->rtm_family = AF_INET;
		head->rtm_dst_len = 16;
		ck_assert_int_eq(message_parse_route(&m.header, &route, &ifindex), -EBADMSG);
	}
}
END_TEST

START_TEST(address_of_ours_is_known_by_its_protocol)
{
	const struct prefix none = {0};
	const struct netif_address addresses[] = {
		{address_of("10.9.0.1", 24), none},
		{address_of("fd00::1", 64), none},
		{address_of("10.9.0.1", 32), address_of("10.8.0.0", 24)}};
	struct netif_address address;
	unsigned ifindex;

	for (int i = 0; i < 3; i++) {
		const struct prefix *destination = &addresses[i].destination;
		union message_buffer m;

		message_change_address(&m, INDEX, &addresses[i].prefix,
				       destination->family ? destination : NULL, true);
		ck_assert_int_eq(message_parse_our_address(&m.header, &address, &ifindex), 1);
		ck_assert_uint_eq(ifindex, INDEX);
		ck_assert_mem_eq(&address, &addresses[i], sizeof(address));
		/* As somebody else's, who does not say whose it is. */
		message_change_address(&m, INDEX, &addresses[i].prefix,
				       destination->family ? destination : NULL, false);
		ck_assert_int_eq(message_parse_our_address(&m.header, &address, &ifindex), 0);
		m.header.nlmsg_len = NLMSG_LENGTH(4);
		ck_assert_int_eq(message_parse_our_address(&m.header, &address, &ifindex),
				 -EBADMSG);
	}
}
END_TEST

/* One that is not named would be any. */
START_TEST(route_without_a_metric_names_what_the_kernel_takes_for_it)
{
	const struct route routes[] = {{address_of("fd00::", 0), 100, 0},
				       {address_of("10.9.0.0", 16), 100, 0}};
	const uint32_t metrics[] = {1024, 0};
	union message_buffer m;

	for (int i = 0; i < 4; i++) {
		message_change_route(&m, INDEX, &routes[i / 2], i % 2);
		ck_assert_uint_eq(
			mnl_attr_get_u32(find_attr(&m, sizeof(struct rtmsg), RTA_PRIORITY)),
			metrics[i / 2]);
	}
}
END_TEST

START_TEST(link_requests_change_one_thing_each)
{
	union message_buffer m;
	const struct ifinfomsg *head;
	const struct nlattr *mtu;

	message_set_mtu(&m, INDEX, 1380);
	head = mnl_nlmsg_get_payload(&m.header);
	mtu = find_attr(&m, sizeof(*head), IFLA_MTU);
	ck_assert_uint_eq(m.header.nlmsg_flags, NLM_F_REQUEST | NLM_F_ACK);
	ck_assert_int_eq(head->ifi_index, INDEX);
	ck_assert_uint_eq(head->ifi_change, 0);
	ck_assert_ptr_nonnull(mtu);
	ck_assert_uint_eq(mnl_attr_get_u32(mtu), 1380);

	message_set_up(&m, INDEX);
	head = mnl_nlmsg_get_payload(&m.header);
	ck_assert_int_eq(head->ifi_index, INDEX);
	ck_assert_uint_eq(head->ifi_flags, IFF_UP);
	ck_assert_uint_eq(head->ifi_change, IFF_UP);
	ck_assert_uint_eq(m.header.nlmsg_len, sizeof(struct nlmsghdr) + sizeof(*head));
}
END_TEST

/* Answers: a fake kernel writes them into a socket pair before we ask. */

struct answer {
	_Alignas(struct nlmsghdr) uint8_t bytes[2 * MESSAGE_DATAGRAM_MAX];
	size_t len;
};

static struct exchange ours;
static int kernel = -1;

static void open_pair(void)
{
	int fds[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
	ours = (struct exchange){.fd = fds[0], .portid = PORT, .seq = 99};
	kernel = fds[1];
}

static void close_pair(void)
{
	exchange_close(&ours);
	close(kernel);
}

/* Appends a message to the datagram; the first request has the sequence number 100. */
static struct nlmsghdr *put_message(struct answer *a, uint16_t type, uint16_t flags, uint32_t seq,
				    const void *payload, size_t len)
{
	struct nlmsghdr *header = mnl_nlmsg_put_header(a->bytes + a->len);

	header->nlmsg_type = type;
	header->nlmsg_flags = flags;
	header->nlmsg_seq = seq;
	header->nlmsg_pid = PORT;
	if (len)
		memcpy(mnl_nlmsg_put_extra_header(header, len), payload, len);
	a->len += header->nlmsg_len;
	return header;
}

static struct nlmsghdr *put_error(struct answer *a, int error)
{
	struct nlmsgerr payload = {.error = error};

	return put_message(a, NLMSG_ERROR, 0, 100, &payload, sizeof(payload));
}

static struct nlmsghdr *put_done(struct answer *a, uint32_t seq, int error)
{
	return put_message(a, NLMSG_DONE, NLM_F_MULTI, seq, &error, sizeof(error));
}

static struct nlmsghdr *put_address(struct answer *a, uint32_t seq, const char *text)
{
	struct prefix p = address_of(text, 24);
	union message_buffer m;

	message_change_address(&m, INDEX, &p, NULL, true);
	m.header.nlmsg_len = mnl_nlmsg_size(0) + mnl_nlmsg_get_payload_len(&m.header);
	return put_message(a, RTM_NEWADDR, NLM_F_MULTI, seq, mnl_nlmsg_get_payload(&m.header),
			   mnl_nlmsg_get_payload_len(&m.header));
}

static void answer(struct answer *a)
{
	ck_assert_int_eq(send(kernel, a->bytes, a->len, 0), (ssize_t)a->len);
	a->len = 0;
}

static int ask_change(void)
{
	union message_buffer request;

	message_set_up(&request, INDEX);
	return exchange_change(&ours, &request);
}

struct seen {
	unsigned n, n_restarts;
	struct prefix last;
};

static void forget(void *ctx)
{
	struct seen *seen = ctx;

	seen->n = 0;
	seen->n_restarts++;
}

static int see(void *ctx, const struct nlmsghdr *message)
{
	struct seen *seen = ctx;
	unsigned ifindex;
	int r = message_parse_address(message, &seen->last, &ifindex);

	if (r == 0)
		ck_assert_uint_eq(ifindex, INDEX);
	seen->n++;
	return r;
}

static int ask_dump(struct seen *seen)
{
	const struct exchange_dump dump = {
		.type = RTM_NEWADDR, .restart = forget, .each = see, .ctx = seen};
	union message_buffer request;

	*seen = (struct seen){0};
	message_dump_addresses(&request, AF_INET);
	return exchange_dump(&ours, &request, &dump);
}

START_TEST(acknowledgement_ends_a_change)
{
	struct answer a = {0};

	put_error(&a, 0);
	answer(&a);
	ck_assert_int_eq(ask_change(), 0);
}
END_TEST

START_TEST(error_frame_becomes_its_errno)
{
	struct answer a = {0};

	put_error(&a, -EEXIST);
	answer(&a);
	ck_assert_int_eq(ask_change(), -EEXIST);
}
END_TEST

START_TEST(error_that_is_no_errno_is_refused)
{
	static const int errors[] = {1, INT32_MAX, INT32_MIN, -4096};

	for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
		struct answer a = {0};

		ours.seq = 99;
		put_error(&a, errors[i]);
		answer(&a);
		ck_assert_int_eq(ask_change(), -EBADMSG);
	}
}
END_TEST

START_TEST(noop_is_passed_over)
{
	struct answer a = {0};

	put_message(&a, NLMSG_NOOP, 0, 100, NULL, 0);
	answer(&a);
	put_message(&a, NLMSG_NOOP, 0, 100, NULL, 0);
	put_error(&a, -EPERM);
	answer(&a);
	ck_assert_int_eq(ask_change(), -EPERM);
}
END_TEST

START_TEST(overrun_and_foreign_types_are_errors)
{
	static const struct {
		uint16_t type;
		int result;
	} table[] = {
		{NLMSG_OVERRUN, -ENOBUFS}, {NLMSG_DONE, -EBADMSG}, {RTM_NEWADDR, -EBADMSG},
		{RTM_NEWLINK, -EBADMSG},   {0, -EBADMSG},	   {0xffff, -EBADMSG},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct answer a = {0};
		uint32_t zeroes[8] = {0};

		ours.seq = 99;
		put_message(&a, table[i].type, 0, 100, zeroes, sizeof(zeroes));
		answer(&a);
		ck_assert_int_eq(ask_change(), table[i].result);
	}
}
END_TEST

START_TEST(answer_to_another_request_is_refused)
{
	struct answer a = {0};

	put_error(&a, 0)->nlmsg_seq = 99;
	answer(&a);
	ck_assert_int_eq(ask_change(), -EBADMSG);
	ours.seq = 99;
	put_error(&a, 0)->nlmsg_pid = PORT + 1;
	answer(&a);
	ck_assert_int_eq(ask_change(), -EBADMSG);
}
END_TEST

START_TEST(vanished_kernel_is_an_error)
{
	ck_assert_int_eq(shutdown(kernel, SHUT_WR), 0);
	ck_assert_int_eq(ask_change(), -EBADMSG);
}
END_TEST

START_TEST(datagram_larger_than_the_buffer_is_refused)
{
	struct answer a = {0};

	put_error(&a, 0);
	a.len = MESSAGE_DATAGRAM_MAX + 4;
	answer(&a);
	ck_assert_int_eq(ask_change(), -EBADMSG);
}
END_TEST

START_TEST(dump_spans_datagrams)
{
	struct answer a = {0};
	struct prefix last = address_of("10.0.0.3", 32);
	struct seen seen;

	put_address(&a, 100, "10.0.0.1");
	put_address(&a, 100, "10.0.0.2");
	answer(&a);
	put_address(&a, 100, "10.0.0.3");
	put_done(&a, 100, 0);
	answer(&a);
	ck_assert_int_eq(ask_dump(&seen), 0);
	ck_assert_uint_eq(seen.n, 3);
	ck_assert(prefix_equal(&seen.last, &last));
}
END_TEST

START_TEST(interrupted_dump_starts_again)
{
	struct answer a = {0};
	struct seen seen;

	put_address(&a, 100, "10.0.0.1")->nlmsg_flags |= NLM_F_DUMP_INTR;
	answer(&a);
	put_address(&a, 100, "10.0.0.2");
	put_done(&a, 100, 0);
	answer(&a);
	put_address(&a, 101, "10.0.0.1");
	put_done(&a, 101, 0);
	answer(&a);
	ck_assert_int_eq(ask_dump(&seen), 0);
	ck_assert_uint_eq(seen.n_restarts, 1);
	ck_assert_uint_eq(seen.n, 1);
}
END_TEST

START_TEST(dump_that_is_always_interrupted_is_given_up)
{
	struct answer a = {0};
	struct seen seen;

	for (uint32_t seq = 100; seq < 105; seq++) {
		put_done(&a, seq, 0)->nlmsg_flags |= NLM_F_DUMP_INTR;
		answer(&a);
	}
	ck_assert_int_eq(ask_dump(&seen), -EBUSY);
}
END_TEST

START_TEST(failed_dump_becomes_its_errno)
{
	struct answer a = {0};
	struct seen seen;

	put_address(&a, 100, "10.0.0.1");
	put_done(&a, 100, -EMSGSIZE);
	answer(&a);
	ck_assert_int_eq(ask_dump(&seen), -EMSGSIZE);
	ours.seq = 99;
	put_error(&a, -EOPNOTSUPP);
	answer(&a);
	ck_assert_int_eq(ask_dump(&seen), -EOPNOTSUPP);
}
END_TEST

START_TEST(dump_without_its_form_is_refused)
{
	struct answer a = {0};
	struct seen seen;

	put_address(&a, 100, "10.0.0.1")->nlmsg_flags &= ~NLM_F_MULTI;
	answer(&a);
	ck_assert_int_eq(ask_dump(&seen), -EBADMSG);
	ours.seq = 99;
	put_error(&a, 0);
	answer(&a);
	ck_assert_int_eq(ask_dump(&seen), -EBADMSG);
	ours.seq = 99;
	put_message(&a, NLMSG_DONE, NLM_F_MULTI, 100, NULL, 0);
	answer(&a);
	ck_assert_int_eq(ask_dump(&seen), -EBADMSG);
}
END_TEST

START_TEST(message_after_the_end_is_refused)
{
	struct answer a = {0};
	struct seen seen;

	put_done(&a, 100, 0);
	put_address(&a, 100, "10.0.0.1");
	answer(&a);
	ck_assert_int_eq(ask_dump(&seen), -EBADMSG);
	ck_assert_uint_eq(seen.n, 0);
}
END_TEST

/* In memory of exactly that size, so that a sanitizer sees one byte too far. */
static int read_exactly(const void *bytes, size_t len, struct message_progress *ret_progress)
{
	const struct message_expected expected = {.seq = 100, .portid = PORT, .type = RTM_NEWADDR};
	struct seen seen = {0};
	void *copy = malloc(len ? len : 1);
	int r;

	memcpy(copy, bytes, len);
	*ret_progress = (struct message_progress){0};
	r = message_read(&expected, copy, len, see, &seen, ret_progress);
	free(copy);
	return r;
}

START_TEST(datagram_cut_anywhere_is_refused_or_incomplete)
{
	struct message_progress progress;
	struct answer a = {0};
	size_t first = put_address(&a, 100, "10.0.0.1")->nlmsg_len;

	put_done(&a, 100, 0);
	ck_assert_int_eq(read_exactly(a.bytes, a.len, &progress), 0);
	ck_assert(progress.is_complete);
	for (size_t len = 0; len < a.len; len++) {
		int r = read_exactly(a.bytes, len, &progress);

		ck_assert_int_eq(r, len == first ? 0 : -EBADMSG);
		ck_assert(!progress.is_complete);
	}
}
END_TEST

START_TEST(message_length_that_lies_is_refused)
{
	static const uint32_t lengths[] = {0,  1,	   15,	       16,	  20,
					   25, 0x7fffffff, 0x80000010, 0xffffffff};
	struct message_progress progress;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		struct answer a = {0};

		put_address(&a, 100, "10.0.0.1")->nlmsg_len = lengths[i];
		ck_assert_int_eq(read_exactly(a.bytes, a.len, &progress), -EBADMSG);
	}
}
END_TEST

START_TEST(attribute_length_that_lies_is_refused)
{
	struct message_progress progress;

	for (unsigned len = 0; len <= 0xffff; len++) {
		struct answer a = {0};
		struct nlmsghdr *message = put_address(&a, 100, "10.0.0.1");
		struct nlattr *attr =
			mnl_nlmsg_get_payload_offset(message, sizeof(struct ifaddrmsg));

		/* 8 is the truth; 16 and 24 swallow IFA_ADDRESS and IFA_BROADCAST. */
		attr->nla_len = (uint16_t)len;
		ck_assert_int_eq(read_exactly(a.bytes, a.len, &progress), len == 8 ? 0 : -EBADMSG);
	}
}
END_TEST

START_TEST(padding_of_an_attribute_may_hold_anything)
{
	struct message_progress progress;
	struct answer a = {0};
	struct {
		struct ifaddrmsg head;
		uint8_t label[12];
		struct nlattr local;
		uint8_t address[4];
	} payload = {
		.head = {.ifa_family = AF_INET, .ifa_prefixlen = 24, .ifa_index = INDEX},
		.label = {9, 0, IFA_LABEL, 0, 't', 'u', 'n', '0', 0, 0xff, 0xff, 0xff},
		.local = {8, IFA_LOCAL},
		.address = {10, 0, 0, 1},
	};

	put_message(&a, RTM_NEWADDR, NLM_F_MULTI, 100, &payload, sizeof(payload));
	ck_assert_int_eq(read_exactly(a.bytes, a.len, &progress), 0);
}
END_TEST

START_TEST(messages_begin_at_multiples_of_four)
{
	const struct message_expected expected = {.seq = 100, .portid = PORT};
	struct message_progress progress = {0};
	struct answer a = {0};
	struct nlmsghdr *noop = put_message(&a, NLMSG_NOOP, 0, 100, "abcd", 4);

	noop->nlmsg_len -= 3; /* the three bytes are padding now */
	put_error(&a, 0);
	ck_assert_int_eq(message_read(&expected, a.bytes, a.len, NULL, NULL, &progress), 0);
	ck_assert(progress.is_complete);
}
END_TEST

START_TEST(bytes_behind_the_last_message_are_refused)
{
	for (uint8_t filler = 0; filler < 2; filler++) {
		for (size_t more = 1; more < sizeof(struct nlmsghdr); more++) {
			struct message_progress progress;
			struct answer a = {0};

			put_done(&a, 100, 0);
			memset(a.bytes + a.len, filler, more);
			ck_assert_int_eq(read_exactly(a.bytes, a.len + more, &progress), -EBADMSG);
		}
	}
}
END_TEST

START_TEST(every_flipped_bit_is_survived)
{
	struct message_progress progress;
	struct answer a = {0};

	put_address(&a, 100, "10.0.0.1");
	put_done(&a, 100, 0);
	for (size_t bit = 0; bit < 8 * a.len; bit++) {
		struct answer broken = a;

		/* The index is for the caller to know; see() insists on it. */
		if (bit / 8 >= 20 && bit / 8 < 24)
			continue;
		broken.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_int_le(read_exactly(broken.bytes, broken.len, &progress), 0);
	}
}
END_TEST

START_TEST(unknown_interface_is_reported)
{
	struct prefix p = address_of("10.0.0.1", 24);
	struct prefix v6 = address_of("fd00::1", 64);

	ck_assert_int_eq(netif_set_mtu("no-such-if", 1400), -ENODEV);
	ck_assert_int_eq(netif_set_up("no-such-if"), -ENODEV);
	ck_assert_int_eq(netif_add_address("no-such-if", &p, NULL), -ENODEV);
	ck_assert_int_eq(netif_remove_address("no-such-if", &p, NULL), -ENODEV);
	ck_assert_int_eq(netif_add_address("lo", &p, &v6), -EINVAL);
}
END_TEST

static void add_requests(Suite *suite)
{
	TCase *tc = tcase_create("requests");

	tcase_add_test(tc, broadcast_sets_the_host_bits_of_every_prefix_length);
	tcase_add_test(tc, broadcast_is_in_network_order);
	tcase_add_test(tc, pairs_hosts_and_ipv6_have_no_broadcast);
	tcase_add_test(tc, address_request_has_exactly_these_bytes);
	tcase_add_test(tc, ipv6_address_skips_duplicate_detection);
	tcase_add_test(tc, point_to_point_address_names_the_other_end);
	tcase_add_test(tc, route_request_names_prefix_interface_table_and_metric);
	tcase_add_test(tc, default_route_has_no_destination);
	tcase_add_test(tc, route_of_ours_is_known_by_its_protocol);
	tcase_add_test(tc, address_of_ours_is_known_by_its_protocol);
	tcase_add_test(tc, route_without_a_metric_names_what_the_kernel_takes_for_it);
	tcase_add_test(tc, link_requests_change_one_thing_each);
	tcase_add_test(tc, unknown_interface_is_reported);
	suite_add_tcase(suite, tc);
}

static void add_answers(Suite *suite)
{
	TCase *tc = tcase_create("answers");

	tcase_add_checked_fixture(tc, open_pair, close_pair);
	tcase_add_test(tc, acknowledgement_ends_a_change);
	tcase_add_test(tc, error_frame_becomes_its_errno);
	tcase_add_test(tc, error_that_is_no_errno_is_refused);
	tcase_add_test(tc, noop_is_passed_over);
	tcase_add_test(tc, overrun_and_foreign_types_are_errors);
	tcase_add_test(tc, answer_to_another_request_is_refused);
	tcase_add_test(tc, vanished_kernel_is_an_error);
	tcase_add_test(tc, datagram_larger_than_the_buffer_is_refused);
	tcase_add_test(tc, dump_spans_datagrams);
	tcase_add_test(tc, interrupted_dump_starts_again);
	tcase_add_test(tc, dump_that_is_always_interrupted_is_given_up);
	tcase_add_test(tc, failed_dump_becomes_its_errno);
	tcase_add_test(tc, dump_without_its_form_is_refused);
	tcase_add_test(tc, message_after_the_end_is_refused);
	suite_add_tcase(suite, tc);
}

static void add_hostile(Suite *suite)
{
	TCase *tc = tcase_create("hostile");

	tcase_add_test(tc, datagram_cut_anywhere_is_refused_or_incomplete);
	tcase_add_test(tc, message_length_that_lies_is_refused);
	tcase_add_test(tc, attribute_length_that_lies_is_refused);
	tcase_add_test(tc, padding_of_an_attribute_may_hold_anything);
	tcase_add_test(tc, messages_begin_at_multiples_of_four);
	tcase_add_test(tc, bytes_behind_the_last_message_are_refused);
	tcase_add_test(tc, every_flipped_bit_is_survived);
	suite_add_tcase(suite, tc);
}

static Suite *make_suite(void)
{
	Suite *suite = suite_create("address");

	add_requests(suite);
	add_answers(suite);
	add_hostile(suite);
	return suite;
}
