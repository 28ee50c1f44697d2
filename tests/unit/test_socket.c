/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Real sockets on the loopback device. */
#include "check_main.h"

#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "links/socket.h"
#include "wire/ecn.h"

#define CAPACITY BURST_BYTES_MAX
#define CELLS (UDP_BATCH + 4)

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

/* How the system refuses to cut bursts: the errno of sendmsg(); or it is too old to know of that.
 */
static int refusal;
static bool is_old;
static uint32_t n_asked; /* to cut */

/* These take the place of libc's. */
ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR((struct msghdr *)msg, c)) {
		if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_SEGMENT)
			continue;
		n_asked++;
		if (refusal) {
			errno = refusal;
			return -1;
		}
	}
	return syscall(SYS_sendmsg, fd, msg, flags);
}

int setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	if (level == IPPROTO_UDP && is_old) {
		errno = ENOPROTOOPT;
		return -1;
	}
	return (int)syscall(SYS_setsockopt, fd, level, option, value, len);
}

static struct pool *pool;
static struct udp_socket here, there;
static struct burst *out;
static struct burst *in[UDP_BATCH];

static void setup(void)
{
	ck_assert_int_eq(pool_new(&pool, CELLS, sizeof(struct burst) + CAPACITY), 0);
	here.fd = there.fd = -1;
	refusal = 0;
	is_old = false;
	n_asked = 0;
	out = burst_take(pool);
	for (int i = 0; i < UDP_BATCH; i++)
		in[i] = burst_take(pool);
}

static void teardown(void)
{
	burst_put(out);
	for (int i = 0; i < UDP_BATCH; i++)
		burst_put(in[i]);
	pool_free(pool);
	if (here.fd >= 0)
		close(here.fd);
	if (there.fd >= 0)
		close(there.fd);
}

static struct addr address(const char *text)
{
	struct addr a;

	ck_assert_int_eq(addr_parse(&a, text, 0), 0);
	return a;
}

/* `bind` NULL: the wildcard of `family`. */
static struct udp_socket opened(const char *bind, int family, size_t bytes)
{
	struct link_settings s = {.name = "test"};
	struct udp_socket u;

	if (bind)
		s.bind = address(bind);
	ck_assert_int_eq(udp_open(&u, &s, family, bytes), 0);
	return u;
}

static struct endpoint endpoint_of(const struct udp_socket *u, const char *ip)
{
	struct endpoint e = {.remote = address(ip)};
	struct addr bound;

	udp_local_addr(u, &bound);
	addr_set_port(&e.remote, addr_port(&bound));
	return e;
}

/* A burst of `n` datagrams of `stride` bytes, the last of `last`; each is told by its bytes. */
static void fill(uint32_t n, uint32_t stride, uint32_t last)
{
	out->stride = stride;
	out->len = (n - 1) * stride + last;
	burst_count(out);
	ck_assert_uint_eq(out->n, n);
	for (uint32_t i = 0; i < n; i++)
		memset(burst_datagram(out, i), (int)i + 1, burst_datagram_len(out, i));
}

static void send_all(struct udp_socket *u, const struct endpoint *to)
{
	ck_assert_int_eq(udp_send(u, out, 0, to), (int)out->n);
}

static int receive(struct udp_socket *u)
{
	struct pollfd fd = {.fd = u->fd, .events = POLLIN};

	ck_assert_int_eq(poll(&fd, 1, 5000), 1);
	return udp_receive(u, in, UDP_BATCH, CAPACITY);
}

/* Receives until all of `out` has come, in whatever pieces; returns the number of messages. */
static int receive_all(struct udp_socket *u)
{
	uint32_t at = 0;
	int messages = 0;

	while (at < out->n) {
		int got = receive(u);

		ck_assert_int_gt(got, 0);
		messages += got;
		for (int i = 0; i < got; i++) {
			for (uint32_t j = 0; j < in[i]->n; j++, at++) {
				uint32_t len = burst_datagram_len(in[i], j);

				ck_assert_uint_lt(at, out->n);
				ck_assert_uint_eq(len, burst_datagram_len(out, at));
				ck_assert_mem_eq(burst_datagram(in[i], j), burst_datagram(out, at),
						 len);
			}
		}
	}
	ck_assert_int_eq(udp_receive(u, in, UDP_BATCH, CAPACITY), -EAGAIN);
	return messages;
}

static void connect_over(const char *ip)
{
	here = opened(ip, AF_UNSPEC, BURST_BYTES_MAX);
	there = opened(ip, AF_UNSPEC, BURST_BYTES_MAX);
}

static const char *const loopbacks[] = {"127.0.0.1", "::1"};

START_TEST(burst_crosses_in_one_piece)
{
	const char *ip = loopbacks[_i];
	struct endpoint to;

	connect_over(ip);
	to = endpoint_of(&there, ip);
	ck_assert(here.has_gso && there.has_gro);
	fill(45, 1452, 1452);
	send_all(&here, &to);
	ck_assert_int_eq(receive_all(&there), 1);
	ck_assert_uint_eq(in[0]->stride, 1452);
	fill(BURST_DATAGRAMS, 64, 17);
	send_all(&here, &to);
	ck_assert_int_eq(receive_all(&there), 1);
}
END_TEST

START_TEST(burst_is_sent_one_by_one_where_the_system_cannot_cut)
{
	const char *ip = loopbacks[_i];
	struct endpoint to;

	connect_over(ip);
	to = endpoint_of(&there, ip);
	here.has_gso = false;
	fill(20, 1000, 999);
	send_all(&here, &to);
	ck_assert_int_gt(receive_all(&there), 1);
}
END_TEST

static void send_and_receive(const struct endpoint *to)
{
	fill(20, 1000, 999);
	send_all(&here, to);
	receive_all(&there);
}

START_TEST(device_that_cannot_cut_is_asked_again_only_now_and_then)
{
	struct endpoint to;

	connect_over("127.0.0.1");
	to = endpoint_of(&there, "127.0.0.1");
	refusal = EIO;
	for (int i = 0; i < 300; i++)
		send_and_receive(&to);
	ck_assert(!here.has_gso);
	ck_assert_uint_eq(n_asked, 2);
	ck_assert_uint_eq(here.gso_refused, 2);
	refusal = 0; /* another route */
	for (int i = 0; i < 300; i++)
		send_and_receive(&to);
	ck_assert(here.has_gso);
	ck_assert_uint_eq(here.gso_refused, 2);
}
END_TEST

/* That may be about datagrams of this size only: the system is asked on, until it is too often. */
START_TEST(bursts_are_refused_for_long_before_they_are_given_up)
{
	static const int refusals[] = {EINVAL, EMSGSIZE};
	struct endpoint to;

	connect_over("127.0.0.1");
	to = endpoint_of(&there, "127.0.0.1");
	for (int i = 0; i < 15; i++) {
		refusal = refusals[_i];
		send_and_receive(&to);
		ck_assert(here.has_gso);
	}
	refusal = 0;
	send_and_receive(&to);
	refusal = refusals[_i];
	for (int i = 0; i < 15; i++)
		send_and_receive(&to);
	ck_assert(here.has_gso);
	send_and_receive(&to);
	ck_assert(!here.has_gso);
	ck_assert_uint_eq(here.gso_refused, 31);
}
END_TEST

START_TEST(what_fails_one_by_one_as_well_is_no_refusal_to_cut)
{
	struct endpoint to;

	connect_over("127.0.0.1");
	to = endpoint_of(&there, "127.0.0.1");
	to.remote.v4.sin_port = 0; /* EINVAL */
	fill(20, 1000, 999);
	for (int i = 0; i < 40; i++)
		ck_assert_int_eq(udp_send(&here, out, 0, &to), -EINVAL);
	ck_assert(here.has_gso);
	ck_assert_uint_eq(here.gso_refused, 0);
}
END_TEST

START_TEST(old_system_is_not_asked_to_cut_or_coalesce)
{
	struct endpoint to;

	is_old = true;
	connect_over("127.0.0.1");
	ck_assert(!here.has_gso && !there.has_gro);
	to = endpoint_of(&there, "127.0.0.1");
	send_and_receive(&to);
	ck_assert_uint_eq(n_asked, 0);
}
END_TEST

START_TEST(what_is_off_is_not_asked_for)
{
	const struct link_settings s = {
		.name = "test",
		.bind = address("127.0.0.1"),
		.gso = OFFLOAD_OFF,
		.gro = OFFLOAD_OFF,
	};
	struct endpoint to;

	ck_assert_int_eq(udp_open(&here, &s, AF_INET, BURST_BYTES_MAX), 0);
	ck_assert_int_eq(udp_open(&there, &s, AF_INET, BURST_BYTES_MAX), 0);
	ck_assert(!here.has_gso && !there.has_gro);
	to = endpoint_of(&there, "127.0.0.1");
	for (int i = 0; i < 300; i++)
		send_and_receive(&to);
	ck_assert_uint_eq(n_asked, 0);
}
END_TEST

START_TEST(what_the_system_had_no_room_for_is_told)
{
	struct endpoint to;
	int small = 1;
	int got, n = 0;

	connect_over("127.0.0.1");
	to = endpoint_of(&there, "127.0.0.1");
	ck_assert_int_eq(setsockopt(there.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	fill(1, 1000, 1000);
	for (int i = 0; i < 100; i++)
		send_all(&here, &to);
	while ((got = udp_receive(&there, in, UDP_BATCH, CAPACITY)) > 0)
		n += got;
	ck_assert_int_lt(n, 100);
	send_all(&here, &to); /* what comes after the loss tells of it */
	ck_assert_int_eq(receive(&there), 1);
	ck_assert_uint_eq(there.overflow + n, 100);
}
END_TEST

START_TEST(burst_is_received_one_by_one_with_small_buffers)
{
	struct endpoint to;

	here = opened("127.0.0.1", AF_UNSPEC, BURST_BYTES_MAX);
	there = opened("127.0.0.1", AF_UNSPEC, 2048);
	ck_assert(!there.has_gro);
	to = endpoint_of(&there, "127.0.0.1");
	fill(20, 1000, 1);
	send_all(&here, &to);
	ck_assert_int_eq(receive_all(&there), 20);
}
END_TEST

/* The system coalesces up to 64 KB with the headers, so whatever comes fits the capacity. */
START_TEST(longest_coalesced_message_fits)
{
	const char *ip = loopbacks[_i];
	struct endpoint to;

	connect_over(ip);
	to = endpoint_of(&there, ip);
	for (uint32_t stride = 1400; stride < 1500; stride++) {
		fill(BURST_BYTES_MAX / stride, stride, stride);
		send_all(&here, &to);
		receive_all(&there);
	}
}
END_TEST

START_TEST(rest_of_a_burst_is_sent)
{
	struct endpoint to;

	connect_over("127.0.0.1");
	to = endpoint_of(&there, "127.0.0.1");
	fill(10, 100, 50);
	ck_assert_int_eq(udp_send(&here, out, 8, &to), 2);
	ck_assert_int_eq(receive(&there), 1);
	ck_assert_uint_eq(in[0]->len, 150);
	ck_assert_uint_eq(in[0]->data[0], 9);
}
END_TEST

/* Larger than the device's MTU: the system refuses to cut, and fragments them instead. */
START_TEST(datagrams_beyond_the_mtu_are_fragmented)
{
	struct endpoint to;

	connect_over("127.0.0.1");
	to = endpoint_of(&there, "127.0.0.1");
	fill(1, BURST_BYTES_MAX, BURST_BYTES_MAX);
	send_all(&here, &to);
	ck_assert_int_eq(receive_all(&there), 1);
}
END_TEST

START_TEST(datagram_that_does_not_fit_is_marked)
{
	struct endpoint to;

	connect_over("127.0.0.1");
	to = endpoint_of(&there, "127.0.0.1");
	fill(1, 1000, 1000);
	send_all(&here, &to);
	fill(1, 500, 500);
	send_all(&here, &to);
	ck_assert_int_eq(udp_receive(&there, in, UDP_BATCH, 600), 2);
	ck_assert_uint_eq(in[0]->n, 1);
	ck_assert_uint_eq(in[0]->len, 1);
	ck_assert_uint_eq(burst_datagram_len(in[0], 0), 1);
	ck_assert_uint_eq(in[1]->len, 500);
}
END_TEST

START_TEST(truncated_coalesced_message_is_marked)
{
	struct endpoint to;

	connect_over("127.0.0.1");
	to = endpoint_of(&there, "127.0.0.1");
	fill(10, 100, 100);
	send_all(&here, &to);
	ck_assert_int_eq(udp_receive(&there, in, UDP_BATCH, 600), 1);
	ck_assert_uint_eq(in[0]->n, 1);
	ck_assert_uint_eq(burst_datagram_len(in[0], 0), 1);
}
END_TEST

START_TEST(empty_datagram_holds_nothing)
{
	struct endpoint to;
	struct burst *b = in[0];

	connect_over("127.0.0.1");
	to = endpoint_of(&there, "127.0.0.1");
	ck_assert_int_eq(sendto(here.fd, "", 0, 0, &to.remote.sa, addr_len(&to.remote)), 0);
	ck_assert_int_eq(receive(&there), 1);
	ck_assert_uint_eq(b->n, 0);
	ck_assert_uint_eq(b->len, 0);
}
END_TEST

START_TEST(batch_is_received_by_one_call)
{
	struct endpoint to;

	connect_over("127.0.0.1");
	to = endpoint_of(&there, "127.0.0.1");
	for (int i = 0; i < UDP_BATCH + 3; i++) {
		fill(1, 40, 40);
		send_all(&here, &to);
	}
	ck_assert_int_eq(udp_receive(&there, in, UDP_BATCH, CAPACITY), UDP_BATCH);
	ck_assert_int_eq(udp_receive(&there, in, UDP_BATCH, CAPACITY), 3);
	ck_assert_int_eq(udp_receive(&there, in, UDP_BATCH, CAPACITY), -EAGAIN);
}
END_TEST

START_TEST(source_is_known)
{
	struct endpoint to;
	struct addr source;

	connect_over("127.0.0.1");
	to = endpoint_of(&there, "127.0.0.1");
	udp_local_addr(&here, &source);
	fill(1, 40, 40);
	send_all(&here, &to);
	ck_assert_int_eq(receive(&there), 1);
	ck_assert(addr_equal(&in[0]->from.remote, &source));
	/* A bound socket has but one address of its own. */
	ck_assert(!addr_is_set(&in[0]->from.local));
}
END_TEST

/* `there` is a wildcard socket; it is asked at `ip` and has to answer from there. */
static void ask_at(const char *ip)
{
	struct endpoint to = endpoint_of(&there, ip);
	struct endpoint answer;
	struct addr asked = to.remote;

	fill(3, 40, 40);
	send_all(&here, &to);
	ck_assert_int_ge(receive(&there), 1);
	answer = in[0]->from;
	ck_assert_int_eq(answer.local.sa.sa_family, asked.sa.sa_family);
	ck_assert_int_eq(answer.remote.sa.sa_family, asked.sa.sa_family);
	send_all(&there, &answer);
	ck_assert_int_ge(receive(&here), 1);
	ck_assert(addr_equal(&in[0]->from.remote, &asked));
}

START_TEST(wildcard_socket_answers_from_the_address_that_was_asked)
{
	here = opened("127.0.0.1", AF_UNSPEC, BURST_BYTES_MAX);
	there = opened(NULL, AF_INET, BURST_BYTES_MAX);
	ck_assert(there.is_wildcard && !there.is_v6);
	ask_at("127.0.0.1");
	ask_at("127.0.0.2");
	ask_at("127.9.8.7");
}
END_TEST

START_TEST(dual_stack_socket_answers_ipv4_from_the_address_that_was_asked)
{
	here = opened("127.0.0.1", AF_UNSPEC, BURST_BYTES_MAX);
	there = opened(NULL, AF_UNSPEC, BURST_BYTES_MAX);
	ck_assert(there.is_wildcard && there.is_v6);
	ask_at("127.0.0.1");
	ask_at("127.0.0.2");
}
END_TEST

START_TEST(dual_stack_socket_takes_ipv6_too)
{
	here = opened("::1", AF_UNSPEC, BURST_BYTES_MAX);
	there = opened(NULL, AF_UNSPEC, BURST_BYTES_MAX);
	ask_at("::1");
}
END_TEST

/* Both ways; a message without a mark after one with it has none. */
static void send_marked(const char *ip)
{
	struct endpoint to = endpoint_of(&there, ip);
	struct endpoint answer;

	for (int ecn = ECN_CE; ecn >= ECN_NOT_ECT; ecn--) {
		out->ecn = (uint8_t)ecn;
		fill(3, 40, 40);
		send_all(&here, &to);
		ck_assert_int_ge(receive(&there), 1);
		ck_assert_uint_eq(in[0]->ecn, ecn);
		answer = in[0]->from;
		send_all(&there, &answer);
		ck_assert_int_ge(receive(&here), 1);
		ck_assert_uint_eq(in[0]->ecn, ecn);
	}
}

/* Sends one, which is taken after so long; returns how long it says that it has waited. */
static nsec_t waited_for(const struct endpoint *to, nsec_t time)
{
	nsec_t begin;

	fill(1, 40, 40);
	send_all(&here, to);
	for (begin = clock_now(); clock_now() - begin < time;)
		;
	ck_assert_int_eq(receive(&there), 1);
	return in[0]->waited;
}

/* The system begins to stamp some time after it was asked to. */
START_TEST(how_long_a_message_has_waited_is_told_once_it_was_asked_for)
{
	const char *ip = loopbacks[_i];
	struct endpoint to;
	nsec_t waited;

	connect_over(ip);
	to = endpoint_of(&there, ip);
	ck_assert_int_eq(waited_for(&to, 5 * NSEC_PER_MSEC), 0);
	udp_stamp(&there);
	ck_assert(there.has_stamps);
	while ((waited = waited_for(&to, 5 * NSEC_PER_MSEC)) < 5 * NSEC_PER_MSEC)
		;
	ck_assert_int_lt(waited, NSEC_PER_SEC);
}
END_TEST

START_TEST(congestion_marks_cross)
{
	const char *ip = loopbacks[_i];

	connect_over(ip);
	send_marked(ip);
}
END_TEST

START_TEST(dual_stack_socket_has_congestion_marks_of_both_families)
{
	const char *ip = loopbacks[_i];

	here = opened(ip, AF_UNSPEC, BURST_BYTES_MAX);
	there = opened(NULL, AF_UNSPEC, BURST_BYTES_MAX);
	send_marked(ip);
}
END_TEST

START_TEST(ipv6_socket_takes_no_ipv4)
{
	struct endpoint to;

	here = opened("127.0.0.1", AF_UNSPEC, BURST_BYTES_MAX);
	there = opened(NULL, AF_INET6, BURST_BYTES_MAX);
	to = endpoint_of(&there, "127.0.0.1");
	fill(1, 40, 40);
	send_all(&here, &to);
	ck_assert_int_eq(udp_receive(&there, in, UDP_BATCH, CAPACITY), -EAGAIN);
}
END_TEST

/* By kernel EINVAL or ENETUNREACH. */
START_TEST(source_that_is_ours_no_longer_is_left_to_the_system)
{
	const char *ip = loopbacks[_i];
	struct endpoint to;

	here = opened(NULL, _i ? AF_INET6 : AF_INET, BURST_BYTES_MAX);
	there = opened(ip, AF_UNSPEC, BURST_BYTES_MAX);
	to = endpoint_of(&there, ip);
	to.local = address(_i ? "2001:db8::77" : "192.0.2.77");
	fill(3, 40, 40);
	send_all(&here, &to);
	ck_assert_int_ge(receive(&there), 1);
	in[0]->from.local = address(ip);
	addr_set_port(&in[0]->from.remote, 0);
	ck_assert(addr_equal(&in[0]->from.remote, &in[0]->from.local));
}
END_TEST

START_TEST(missing_device_is_told)
{
	struct link_settings s = {.name = "test", .device = "nosuchdev0"};
	struct udp_socket u;

	ck_assert_int_eq(udp_open(&u, &s, AF_INET, BURST_BYTES_MAX), -ENODEV);
}
END_TEST

START_TEST(device_is_bound_to)
{
	struct link_settings s = {.name = "test", .device = "lo"};

	ck_assert_int_eq(udp_open(&here, &s, AF_INET, BURST_BYTES_MAX), 0);
	ck_assert_uint_eq(here.device_index, if_nametoindex("lo"));
}
END_TEST

START_TEST(port_that_is_taken_is_told)
{
	struct link_settings s = {.name = "test"};
	struct udp_socket u;

	here = opened("127.0.0.1", AF_UNSPEC, BURST_BYTES_MAX);
	udp_local_addr(&here, &s.bind);
	ck_assert_int_eq(udp_open(&u, &s, AF_INET, BURST_BYTES_MAX), -EADDRINUSE);
}
END_TEST

START_TEST(address_that_is_not_ours_is_told)
{
	struct link_settings s = {.name = "test", .bind = address("192.0.2.77")};
	struct udp_socket u;

	ck_assert_int_eq(udp_open(&u, &s, AF_INET, BURST_BYTES_MAX), -EADDRNOTAVAIL);
}
END_TEST

START_TEST(closed_socket_has_no_address)
{
	struct addr a = address("127.0.0.1");

	udp_local_addr(&here, &a);
	ck_assert(!addr_is_set(&a));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("socket");
	TCase *t = tcase_create("socket");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, burst_crosses_in_one_piece, 0, 2);
	tcase_add_loop_test(t, burst_is_sent_one_by_one_where_the_system_cannot_cut, 0, 2);
	tcase_add_test(t, burst_is_received_one_by_one_with_small_buffers);
	tcase_add_test(t, device_that_cannot_cut_is_asked_again_only_now_and_then);
	tcase_add_test(t, what_fails_one_by_one_as_well_is_no_refusal_to_cut);
	tcase_add_test(t, old_system_is_not_asked_to_cut_or_coalesce);
	tcase_add_test(t, what_is_off_is_not_asked_for);
	tcase_add_test(t, what_the_system_had_no_room_for_is_told);
	tcase_add_loop_test(t, bursts_are_refused_for_long_before_they_are_given_up, 0, 2);
	tcase_add_loop_test(t, longest_coalesced_message_fits, 0, 2);
	tcase_add_test(t, rest_of_a_burst_is_sent);
	tcase_add_test(t, datagrams_beyond_the_mtu_are_fragmented);
	tcase_add_test(t, datagram_that_does_not_fit_is_marked);
	tcase_add_test(t, truncated_coalesced_message_is_marked);
	tcase_add_test(t, empty_datagram_holds_nothing);
	tcase_add_test(t, batch_is_received_by_one_call);
	tcase_add_test(t, source_is_known);
	tcase_add_test(t, wildcard_socket_answers_from_the_address_that_was_asked);
	tcase_add_test(t, dual_stack_socket_answers_ipv4_from_the_address_that_was_asked);
	tcase_add_test(t, dual_stack_socket_takes_ipv6_too);
	tcase_add_loop_test(t, how_long_a_message_has_waited_is_told_once_it_was_asked_for, 0, 2);
	tcase_add_loop_test(t, congestion_marks_cross, 0, 2);
	tcase_add_loop_test(t, dual_stack_socket_has_congestion_marks_of_both_families, 0, 2);
	tcase_add_test(t, ipv6_socket_takes_no_ipv4);
	tcase_add_loop_test(t, source_that_is_ours_no_longer_is_left_to_the_system, 0, 2);
	tcase_add_test(t, missing_device_is_told);
	tcase_add_test(t, device_is_bound_to);
	tcase_add_test(t, port_that_is_taken_is_told);
	tcase_add_test(t, address_that_is_not_ours_is_told);
	tcase_add_test(t, closed_socket_has_no_address);
	suite_add_tcase(s, t);
	return s;
}
