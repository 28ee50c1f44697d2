/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The broker by both ways, and requests that an attacker in the engine would send. */
#include "broker/server.h"
#include "check_main.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/broker.h"
#include "broker/channel.h"
#include "broker/lookup.h"

static char directory[64];
static struct broker_server *server;

static void setup(void)
{
	strcpy(directory, "/tmp/vtrunkd-broker-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	ck_assert_int_eq(broker_server_new(&server, directory, NULL, NULL), 0);
}

static void teardown(void)
{
	char path[128];

	broker_server_free(server);
	snprintf(path, sizeof(path), "%s/home.timestamp", directory);
	unlink(path);
	ck_assert_int_eq(rmdir(directory), 0); /* nothing else was made in it */
}

static unsigned count_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* As the supervisor does it, until the engine closes its end. */
static void *serve(void *arg)
{
	int channel = *(int *)arg;
	struct broker_request q;
	struct broker_reply reply;
	size_t len;
	int fd;

	while (channel_receive(channel, &q, sizeof(q), &len, &fd) == 0) {
		ck_assert_int_eq(fd, -1);
		broker_serve(server, &q, len, &reply, &fd);
		ck_assert_int_eq(channel_send(channel, &reply, sizeof(reply), fd), 0);
		if (fd >= 0)
			close(fd);
	}
	close(channel);
	return NULL;
}

static const uint8_t key_of_client[32] = {7};

static struct broker_request sound_endpoints(void)
{
	struct broker_request q = {.kind = BROKER_KEEP_ENDPOINTS,
				   .endpoints = {.network = "home", .session_at = 1, .n = 2}};
	struct broker_endpoint *list = q.endpoints.list;

	memcpy(q.endpoints.public_key, key_of_client, sizeof(key_of_client));
	for (int i = 0; i < 2; i++)
		strcpy(list[i].link, i ? "wan 2" : "wan1");
	ck_assert_int_eq(addr_parse(&list[0].remote, "192.0.2.1:51820", 0), 0);
	ck_assert_int_eq(addr_parse(&list[0].local, "198.51.100.1", 0), 0);
	ck_assert_int_eq(addr_parse(&list[1].remote, "[2001:db8::1]:51820", 0), 0);
	return q;
}

static void use(struct broker *b)
{
	const struct link_settings wildcard = {.name = "any"};
	struct link_settings absent = {.name = "absent", .device = "nosuchdev0"};
	struct udp_socket u;
	struct addr local;
	nsec_t saved = 1;
	const struct broker_request sound = sound_endpoints();
	struct broker_endpoints *endpoints;
	bool was_kept;
	struct tun tun;
	size_t n;
	int fd;

	ck_assert_int_eq(broker_open_udp(b, &u, &wildcard, AF_INET, BURST_BYTES_MAX), 0);
	ck_assert(!u.is_v6 && u.is_wildcard);
	udp_local_addr(&u, &local);
	ck_assert_uint_ne(addr_port(&local), 0);
	close(u.fd);
	ck_assert_int_eq(broker_open_udp(b, &u, &absent, AF_INET, BURST_BYTES_MAX), -ENODEV);

	ck_assert_int_eq(broker_load_stamp(b, "home", &saved), 0);
	ck_assert_int_eq(saved, 0);
	ck_assert_int_eq(broker_store_stamp(b, "home", 4711), 0);
	ck_assert_int_eq(broker_load_stamp(b, "home", &saved), 0);
	ck_assert_int_eq(saved, 4711);

	ck_assert_int_eq(broker_keep_endpoints(b, &sound.endpoints), 0);
	ck_assert_int_eq(broker_load_endpoints(b, "home", &endpoints, &n), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(endpoints[0].list[1].link, "wan 2");
	free(endpoints);

	ck_assert_int_eq(broker_open_resolver(b, &fd), -EOPNOTSUPP);
	ck_assert_int_eq(
		broker_open_tun(b, &tun, &was_kept, "far-too-long-name", (struct tun_wants){0}),
		-ENAMETOOLONG);
	/* None of these is ours. */
	ck_assert_int_eq(broker_set_mtu(b, "lo", 1280), -ENODEV);
	ck_assert_int_eq(broker_set_up(b, "lo"), -ENODEV);
	ck_assert_int_eq(broker_close_tun(b, "lo"), -ENODEV);
}

START_TEST(direct_broker_does_it_here)
{
	struct broker *b;

	ck_assert_int_eq(broker_new_direct(&b, server), 0);
	use(b);
	broker_free(b);
}
END_TEST

START_TEST(remote_broker_does_the_same_and_no_descriptor_is_left)
{
	unsigned before = count_descriptors();
	struct broker *b;
	pthread_t thread;
	int fds[2];

	ck_assert_int_eq(channel_pair(fds), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, serve, &fds[1]), 0);
	ck_assert_int_eq(broker_new_remote(&b, fds[0]), 0);
	use(b);
	broker_free(b);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(count_descriptors(), before);
}
END_TEST

START_TEST(supervisor_that_is_gone_is_an_error)
{
	struct broker *b;
	int fds[2];
	nsec_t saved;

	ck_assert_int_eq(channel_pair(fds), 0);
	close(fds[1]);
	ck_assert_int_eq(broker_new_remote(&b, fds[0]), 0);
	ck_assert_int_eq(broker_load_stamp(b, "home", &saved), -EPIPE);
	broker_free(b);
}
END_TEST

static int result_of(const void *request, size_t len)
{
	struct broker_reply reply;
	int fd;

	broker_serve(server, request, len, &reply, &fd);
	ck_assert(reply.has_fd == (fd >= 0));
	if (fd >= 0)
		close(fd);
	return reply.result;
}

START_TEST(request_of_any_other_length_is_refused)
{
	struct broker_request q = {.kind = BROKER_LOAD_STAMP, .stamp.network = "home"};
	size_t right = broker_request_len(q.kind);

	for (size_t len = 0; len <= sizeof(q) + 8; len++) {
		uint8_t bytes[sizeof(q) + 8] = {0};

		memcpy(bytes, &q, sizeof(q));
		ck_assert_int_eq(result_of(bytes, len), len == right ? 0 : -EINVAL);
	}
}
END_TEST

START_TEST(requests_that_say_no_more_than_their_kind_have_nothing_behind_it)
{
	static const uint32_t kinds[] = {BROKER_OPEN_RESOLVER, BROKER_READY, BROKER_ALIVE,
					 BROKER_READ_CONFIG, BROKER_KEEP_CONFIG};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		ck_assert_uint_eq(broker_request_len(kinds[i]),
				  offsetof(struct broker_request, tun));
}
END_TEST

START_TEST(unknown_kinds_are_refused)
{
	struct broker_request q = {0};

	for (uint32_t kind = 0; kind < 1000; kind++) {
		q.kind = kind;
		if (!broker_request_len(kind))
			ck_assert_int_eq(result_of(&q, sizeof(q)), -EINVAL);
	}
	q.kind = UINT32_MAX;
	ck_assert_int_eq(result_of(&q, sizeof(q)), -EINVAL);
}
END_TEST

START_TEST(names_that_leave_the_state_directory_are_refused)
{
	static const char *const names[] = {
		"", ".", "..", "../home", "a/b", "/etc/passwd", "a b", ".hidden", "a\nb"};
	struct broker_request q = {.kind = BROKER_STORE_STAMP, .stamp.time = 1};
	size_t len = broker_request_len(q.kind);

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		memset(q.stamp.network, 0, sizeof(q.stamp.network));
		strcpy(q.stamp.network, names[i]);
		ck_assert_int_eq(result_of(&q, len), -EINVAL);
	}
	memset(q.stamp.network, 'a', sizeof(q.stamp.network)); /* without an end */
	ck_assert_int_eq(result_of(&q, len), -EINVAL);
	strcpy(q.stamp.network, "home");
	q.stamp.time = -1;
	ck_assert_int_eq(result_of(&q, len), -EINVAL);
}
END_TEST

START_TEST(values_out_of_range_are_refused)
{
	struct broker_request udp = {.kind = BROKER_OPEN_UDP, .udp.family = AF_INET};
	struct broker_request tun = {.kind = BROKER_OPEN_TUN, .tun.interface = "tun/../x"};
	struct broker_request queue = {.kind = BROKER_OPEN_QUEUE, .queue.interface = "tun77"};

	udp.udp.family = AF_UNIX;
	ck_assert_int_eq(result_of(&udp, broker_request_len(udp.kind)), -EINVAL);
	udp.udp.family = AF_INET;
	udp.udp.bind.sa.sa_family = AF_NETLINK;
	ck_assert_int_eq(result_of(&udp, broker_request_len(udp.kind)), -EINVAL);
	udp.udp.bind.sa.sa_family = AF_UNSPEC;
	udp.udp.bytes = UINT32_MAX;
	ck_assert_int_eq(result_of(&udp, broker_request_len(udp.kind)), -EINVAL);
	udp.udp.bytes = 2048;
	udp.udp.receive_buffer = LINK_SOCKET_BUFFER_MAX + 1;
	ck_assert_int_eq(result_of(&udp, broker_request_len(udp.kind)), -EINVAL);
	udp.udp.receive_buffer = 0;
	memset(udp.udp.device, 'x', sizeof(udp.udp.device));
	ck_assert_int_eq(result_of(&udp, broker_request_len(udp.kind)), -EINVAL);
	ck_assert_int_eq(result_of(&tun, broker_request_len(tun.kind)), -EINVAL);
	strcpy(tun.tun.interface, "tun77");
	tun.tun.wants_tso = 2;
	ck_assert_int_eq(result_of(&tun, broker_request_len(tun.kind)), -EINVAL);
	tun.tun.wants_tso = 0;
	tun.tun.wants_queues = 2;
	ck_assert_int_eq(result_of(&tun, broker_request_len(tun.kind)), -EINVAL);
	ck_assert_int_eq(result_of(&queue, broker_request_len(queue.kind)), -ENODEV);
	queue.queue.is_detached = 2;
	ck_assert_int_eq(result_of(&queue, broker_request_len(queue.kind)), -EINVAL);
}
END_TEST

static int open_uapi(void *ctx, const char *interface, int *ret_fd)
{
	(void)ctx;
	if (strcmp(interface, "tun77") != 0)
		return -EPERM;
	*ret_fd = dup(STDERR_FILENO);
	return 0;
}

static int close_uapi(void *ctx, const char *interface)
{
	(void)ctx;
	return strcmp(interface, "tun77") ? -ENOENT : 0;
}

START_TEST(sockets_of_wg_are_asked_for_by_interface)
{
	static const struct broker_calls calls = {.open_uapi = open_uapi, .close_uapi = close_uapi};
	struct broker_request q = {.kind = BROKER_OPEN_UAPI, .interface.interface = "../tun77"};
	struct broker_server *own = server;
	struct broker *b;
	int fd;

	ck_assert_int_eq(broker_server_new(&server, directory, &calls, NULL), 0);
	ck_assert_int_eq(result_of(&q, broker_request_len(q.kind)), -EINVAL);
	q.kind = BROKER_CLOSE_UAPI;
	ck_assert_int_eq(result_of(&q, broker_request_len(q.kind)), -EINVAL);
	ck_assert_int_eq(broker_new_direct(&b, server), 0);
	ck_assert_int_eq(broker_open_uapi(b, "tun0", &fd), -EPERM);
	ck_assert_int_eq(broker_open_uapi(b, "tun77", &fd), 0);
	close(fd);
	ck_assert_int_eq(broker_close_uapi(b, "tun77"), 0);
	ck_assert_int_eq(broker_close_uapi(b, "tun0"), -ENOENT);
	broker_free(b);
	broker_server_free(server);
	server = own;
}
END_TEST

static bool allow_table_7(void *ctx, const char *interface, uint32_t table)
{
	(void)ctx;
	return !strcmp(interface, "tun77") && table == 7;
}

static bool is_home(void *ctx, const char *name)
{
	(void)ctx;
	return !strcmp(name, "home");
}

START_TEST(times_of_other_networks_are_refused)
{
	static const struct broker_calls calls = {.has_network = is_home};
	struct broker_request q = {.kind = BROKER_STORE_STAMP, .stamp = {"office", 1}};
	struct broker_server *own = server;

	ck_assert_int_eq(broker_server_new(&server, directory, &calls, NULL), 0);
	ck_assert_int_eq(result_of(&q, broker_request_len(q.kind)), -EPERM);
	strcpy(q.stamp.network, "home");
	ck_assert_int_eq(result_of(&q, broker_request_len(q.kind)), 0);
	broker_server_free(server);
	server = own;
}
END_TEST

static int keep(const struct broker_request *q)
{
	return result_of(q, broker_request_len(q->kind));
}

START_TEST(endpoints_are_given_to_whoever_asks_next)
{
	struct broker_request q = sound_endpoints();
	struct broker_endpoints *list;
	struct broker *b;
	size_t n = 0;

	ck_assert_int_eq(broker_new_direct(&b, server), 0);
	ck_assert_int_eq(broker_load_endpoints(b, "home", &list, &n), -ENOENT);
	for (uint8_t i = 0; i < 10; i++) {
		q.endpoints.public_key[1] = i;
		strcpy(q.endpoints.network, i < 7 ? "home" : "office");
		ck_assert_int_eq(broker_keep_endpoints(b, &q.endpoints), 0);
		ck_assert_int_eq(broker_keep_endpoints(b, &q.endpoints), 0);
	}
	ck_assert_int_eq(broker_load_endpoints(b, "office", &list, &n), 0);
	ck_assert_uint_eq(n, 3);
	ck_assert_mem_eq(&list[2], &q.endpoints, sizeof(*list));
	free(list);
	q.endpoints.n = 0;
	ck_assert_int_eq(broker_keep_endpoints(b, &q.endpoints), 0);
	ck_assert_int_eq(broker_load_endpoints(b, "office", &list, &n), 0);
	ck_assert_uint_eq(n, 2);
	free(list);
	ck_assert_int_eq(broker_load_endpoints(b, "hom", &list, &n), -ENOENT);
	ck_assert_int_eq(broker_load_endpoints(b, "../home", &list, &n), -EINVAL);
	broker_free(b);
}
END_TEST

START_TEST(what_lies_behind_the_endpoints_is_not_kept)
{
	struct broker_request q = sound_endpoints();
	struct broker_endpoints *list;
	struct broker *b;
	size_t n;

	memset(&q.endpoints.list[1], 0xff, sizeof(q.endpoints.list[1]));
	q.endpoints.n = 1;
	ck_assert_int_eq(keep(&q), 0);
	ck_assert_int_eq(broker_new_direct(&b, server), 0);
	ck_assert_int_eq(broker_load_endpoints(b, "home", &list, &n), 0);
	for (size_t i = 0; i < sizeof(list->list[1]); i++)
		ck_assert_uint_eq(((const uint8_t *)&list->list[1])[i], 0);
	free(list);
	broker_free(b);
}
END_TEST

START_TEST(endpoints_that_are_none_are_refused)
{
	static const char *const nobody[] = {"0.0.0.0:1", "192.0.2.1",	 "224.0.0.1:1",
					     "[::]:1",	  "2001:db8::1", "[ff02::1]:1"};
	const struct broker_request sound = sound_endpoints();
	struct broker_request q = sound;

	for (size_t i = 0; i < sizeof(nobody) / sizeof(*nobody); i++) {
		memset(&q.endpoints.list[0].local, 0, sizeof(q.endpoints.list[0].local));
		ck_assert_int_eq(addr_parse(&q.endpoints.list[0].remote, nobody[i], 0), 0);
		ck_assert_int_eq(keep(&q), -EINVAL);
	}
	q = sound;
	memset(&q.endpoints.list[0].local, 0, sizeof(q.endpoints.list[0].local));
	addr_map(&q.endpoints.list[0].remote);
	ck_assert_int_eq(keep(&q), -EINVAL);
	q = sound;
	q.endpoints.n = BROKER_ENDPOINTS_MAX + 1;
	ck_assert_int_eq(keep(&q), -EINVAL);
	q.endpoints.n = UINT32_MAX;
	ck_assert_int_eq(keep(&q), -EINVAL);
	q = sound;
	q.endpoints.session_at = -1;
	ck_assert_int_eq(keep(&q), -EINVAL);
	q = sound;
	memset(q.endpoints.list[1].link, 'x', sizeof(q.endpoints.list[1].link));
	ck_assert_int_eq(keep(&q), -EINVAL);
	q.endpoints.list[1].link[0] = 0;
	ck_assert_int_eq(keep(&q), -EINVAL);
	q = sound;
	memset(q.endpoints.network, 'x', sizeof(q.endpoints.network));
	ck_assert_int_eq(keep(&q), -EINVAL);
}
END_TEST

START_TEST(endpoints_of_other_families_are_refused)
{
	const struct broker_request sound = sound_endpoints();

	for (unsigned family = 0; family < 300; family++) {
		struct broker_request q = sound;

		if (family != AF_INET) {
			q.endpoints.list[0].remote.sa.sa_family = (sa_family_t)family;
			ck_assert_int_eq(keep(&q), -EINVAL);
		}
		q = sound;
		q.endpoints.list[0].local.sa.sa_family = (sa_family_t)family;
		ck_assert_int_eq(keep(&q), family == AF_INET || family == AF_UNSPEC ? 0 : -EINVAL);
	}
}
END_TEST

static bool has_client(void *ctx, const char *network, const uint8_t public_key[32])
{
	(void)ctx;
	return !strcmp(network, "home") && !memcmp(public_key, key_of_client, 32);
}

static bool is_gone(void *ctx, const char *name)
{
	(void)ctx;
	(void)name;
	return false;
}

static int keep_config(void *ctx)
{
	(void)ctx;
	return 0;
}

START_TEST(endpoints_of_strangers_are_refused_and_go_with_their_network)
{
	static const struct broker_calls calls = {
		.has_peer = has_client, .has_network = is_gone, .keep_config = keep_config};
	struct broker_request q = sound_endpoints();
	struct broker_server *own = server;
	struct broker_endpoints *list;
	struct broker *b;
	size_t n;

	ck_assert_int_eq(broker_server_new(&server, directory, &calls, NULL), 0);
	ck_assert_int_eq(broker_new_direct(&b, server), 0);
	strcpy(q.endpoints.network, "office");
	ck_assert_int_eq(keep(&q), -EPERM);
	strcpy(q.endpoints.network, "home");
	q.endpoints.public_key[31] = 1;
	ck_assert_int_eq(keep(&q), -EPERM);
	q.endpoints.n = 0; /* it may be forgotten once more */
	ck_assert_int_eq(keep(&q), 0);
	q = sound_endpoints();
	ck_assert_int_eq(keep(&q), 0);
	ck_assert_int_eq(broker_load_endpoints(b, "home", &list, &n), 0);
	free(list);
	ck_assert_int_eq(broker_keep_config(b), 0);
	ck_assert_int_eq(broker_load_endpoints(b, "home", &list, &n), -ENOENT);
	broker_free(b);
	broker_server_free(server);
	server = own;
}
END_TEST

START_TEST(routes_of_other_interfaces_are_refused)
{
	static const struct broker_calls calls = {.may_route = allow_table_7};
	struct broker_request q = {
		.kind = BROKER_ADD_ROUTE,
		.route = {.interface = "lo", .route = {{.family = AF_INET, .len = 8}, 7, 0}},
	};
	struct broker_server *own = server;

	ck_assert_int_eq(broker_server_new(&server, directory, &calls, NULL), 0);
	ck_assert_int_eq(result_of(&q, broker_request_len(q.kind)), -ENODEV);
	q.kind = BROKER_REMOVE_ROUTE;
	ck_assert_int_eq(result_of(&q, broker_request_len(q.kind)), -ENODEV);
	broker_server_free(server);
	server = own;
}
END_TEST

START_TEST(rules_of_other_interfaces_are_refused)
{
	struct broker_request q = {.kind = BROKER_SET_RULES,
				   .rules = {"lo", AF_INET, ROUTE_MARK_TUNNEL}};

	ck_assert_int_eq(result_of(&q, broker_request_len(q.kind)), -ENODEV);
	q.rules.mark = 0;
	ck_assert_int_eq(result_of(&q, broker_request_len(q.kind)), -ENODEV);
	memset(q.rules.interface, 'x', sizeof(q.rules.interface));
	ck_assert_int_eq(result_of(&q, broker_request_len(q.kind)), -ENODEV);
}
END_TEST

START_TEST(surplus_descriptors_are_refused_and_closed)
{
	unsigned before = count_descriptors();
	char byte = 1;
	struct iovec iov = {&byte, 1};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(3 * sizeof(int))];
	} control = {0};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	const int three[3] = {0, 1, 2};
	int fds[2];
	size_t len;
	int fd;

	ck_assert_int_eq(channel_pair(fds), 0);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(three));
	memcpy(CMSG_DATA(c), three, sizeof(three));
	ck_assert_int_eq(sendmsg(fds[0], &msg, 0), 1);
	ck_assert_int_eq(channel_receive(fds[1], &byte, 1, &len, &fd), -EMSGSIZE);
	/* What is too long for the buffer as well. */
	ck_assert_int_eq(channel_send(fds[0], "two", 3, 0), 0);
	ck_assert_int_eq(channel_receive(fds[1], &byte, 1, &len, &fd), -EMSGSIZE);
	close(fds[0]);
	ck_assert_int_eq(channel_receive(fds[1], &byte, 1, &len, &fd), -EPIPE);
	close(fds[1]);
	ck_assert_uint_eq(count_descriptors(), before);
}
END_TEST

START_TEST(descriptor_without_a_place_is_told_as_such)
{
	struct rlimit before, none;
	char byte = 0;
	size_t len;
	int fds[2];
	int fd;

	ck_assert_int_eq(channel_pair(fds), 0);
	ck_assert_int_eq(channel_send(fds[0], &byte, 1, 0), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	ck_assert_int_eq(channel_receive(fds[1], &byte, 1, &len, &fd), -EMFILE);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	close(fds[0]);
	close(fds[1]);
}
END_TEST

static void *serve_lookups(void *arg)
{
	lookup_serve(*(int *)arg);
	close(*(int *)arg);
	return NULL;
}

START_TEST(names_are_looked_up_at_the_other_end)
{
	struct lookup_request q = {.name = {.host = "127.0.0.1", .port = 7}, .family = AF_INET};
	char text[ADDR_TEXT_MAX];
	pthread_t thread;
	struct lookup_addresses found;
	int fds[2];
	int error = -1;

	ck_assert_int_eq(channel_pair(fds), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, serve_lookups, &fds[1]), 0);
	ck_assert_int_eq(lookup_ask(fds[0], &q, &found, &error), 0);
	ck_assert_int_eq(error, 0);
	ck_assert_uint_eq(found.n, 1);
	ck_assert_str_eq(addr_format(&found.list[0], text), "127.0.0.1:7");
	q.family = AF_INET6; /* no such address */
	ck_assert_int_eq(lookup_ask(fds[0], &q, &found, &error), 0);
	ck_assert_int_ne(error, 0);
	memset(q.name.host, 'a', sizeof(q.name.host)); /* without an end: it hangs up */
	ck_assert_int_eq(lookup_ask(fds[0], &q, &found, &error), -EPIPE);
	pthread_join(thread, NULL);
	close(fds[0]);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("broker");
	TCase *t = tcase_create("broker");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, direct_broker_does_it_here);
	tcase_add_test(t, remote_broker_does_the_same_and_no_descriptor_is_left);
	tcase_add_test(t, supervisor_that_is_gone_is_an_error);
	tcase_add_test(t, request_of_any_other_length_is_refused);
	tcase_add_test(t, requests_that_say_no_more_than_their_kind_have_nothing_behind_it);
	tcase_add_test(t, unknown_kinds_are_refused);
	tcase_add_test(t, names_that_leave_the_state_directory_are_refused);
	tcase_add_test(t, values_out_of_range_are_refused);
	tcase_add_test(t, times_of_other_networks_are_refused);
	tcase_add_test(t, endpoints_are_given_to_whoever_asks_next);
	tcase_add_test(t, what_lies_behind_the_endpoints_is_not_kept);
	tcase_add_test(t, endpoints_that_are_none_are_refused);
	tcase_add_test(t, endpoints_of_other_families_are_refused);
	tcase_add_test(t, endpoints_of_strangers_are_refused_and_go_with_their_network);
	tcase_add_test(t, sockets_of_wg_are_asked_for_by_interface);
	tcase_add_test(t, routes_of_other_interfaces_are_refused);
	tcase_add_test(t, rules_of_other_interfaces_are_refused);
	tcase_add_test(t, surplus_descriptors_are_refused_and_closed);
	tcase_add_test(t, descriptor_without_a_place_is_told_as_such);
	tcase_add_test(t, names_are_looked_up_at_the_other_end);
	suite_add_tcase(s, t);
	return s;
}
