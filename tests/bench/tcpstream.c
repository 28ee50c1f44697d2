/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * TCP flows that last for a while, and what arrives of them over time. IPv4; a tool of
 * scripts/bench wan.
 *
 *   tcpstream sink ADDRESS PORT FLOWS INTERVAL_MS [mptcp]
 *       until the flows end, or SIGINT or SIGTERM; prints "TIME_NS BYTES", the latter being all
 *       that has arrived so far, in every interval from the time when all flows have come
 *   tcpstream source ADDRESS PORT FLOWS SECONDS [mptcp] [le=N]
 *       then cuts them off; prints "RETRANSMITS", segments that were sent again
 *
 * With mptcp they are flows of Multipath TCP. The first N are marked as lower effort (DSCP 1). The
 * times are those of CLOCK_MONOTONIC.
 */
#include "tool.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define FLOWS_MAX 64
#define CHUNK (256 << 10)
#define CONNECT_SECONDS 10
#define TOS_LE (1 << 2)
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static char chunk[CHUNK];

static int open_socket(const char *kind)
{
	int protocol = kind && strcmp(kind, "mptcp") == 0 ? IPPROTO_MPTCP : IPPROTO_TCP;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, protocol);

	need(fd >= 0, "socket");
	return fd;
}

static unsigned parse_flows(const char *text)
{
	unsigned n = (unsigned)atoi(text);

	need(n >= 1 && n <= FLOWS_MAX, "number of flows");
	return n;
}

static int listen_on(const struct sockaddr_in *address, unsigned n, const char *kind)
{
	int fd = open_socket(kind), yes = 1;

	need(!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)), "SO_REUSEADDR");
	need(!bind(fd, (const struct sockaddr *)address, sizeof(*address)), "bind");
	need(!listen(fd, (int)n), "listen");
	return fd;
}

/* Takes what is there; false when the flow has ended. */
static bool drain(int fd, uint64_t *bytes)
{
	ssize_t n = recv(fd, chunk, sizeof(chunk), MSG_DONTWAIT);

	if (n > 0)
		*bytes += (uint64_t)n;
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void count_arrivals(struct pollfd *flows, unsigned n, int64_t interval)
{
	int64_t next = now();
	uint64_t bytes = 0;
	unsigned n_open = n;

	while (!is_stopped && n_open) {
		int64_t left = next - now();

		if (left <= 0) {
			printf("%lld %llu\n", (long long)now(), (unsigned long long)bytes);
			next += interval;
			continue;
		}
		if (poll(flows, n, (int)(left / 1000000) + 1) <= 0)
			continue;
		for (unsigned i = 0; i < n; i++) {
			if (!flows[i].revents || drain(flows[i].fd, &bytes))
				continue;
			flows[i].fd = -1; /* poll() passes over it */
			n_open--;
		}
	}
}

static int run_sink(int argc, char **argv)
{
	struct sockaddr_in address = parse_address(argv[2], argv[3]);
	struct pollfd flows[FLOWS_MAX];
	unsigned n = parse_flows(argv[4]);
	int listener = listen_on(&address, n, argc > 6 ? argv[6] : NULL);

	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	for (unsigned i = 0; i < n; i++) {
		flows[i] = (struct pollfd){accept(listener, NULL, NULL), POLLIN, 0};
		need(flows[i].fd >= 0, "accept");
	}
	count_arrivals(flows, n, atoi(argv[5]) * 1000000LL);
	return EXIT_SUCCESS;
}

static int start_flow(const struct sockaddr_in *address, const char *kind, bool is_lower_effort)
{
	const int tos = is_lower_effort ? TOS_LE : 0;
	const struct timeval patience = {.tv_sec = CONNECT_SECONDS};
	int fd = open_socket(kind);

	need(!setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), "SO_SNDTIMEO");
	need(!setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos)), "IP_TOS");
	need(!connect(fd, (const struct sockaddr *)address, sizeof(*address)), "connect");
	need(fcntl(fd, F_SETFL, O_NONBLOCK) >= 0, "O_NONBLOCK");
	return fd;
}

static void fill_until(struct pollfd *flows, unsigned n, int64_t end)
{
	int64_t left;

	while (!is_stopped && (left = end - now()) > 0) {
		if (poll(flows, n, (int)(left / 1000000) + 1) <= 0)
			continue;
		for (unsigned i = 0; i < n; i++) {
			if (flows[i].revents && send(flows[i].fd, chunk, CHUNK, MSG_NOSIGNAL) < 0)
				need(errno == EAGAIN || errno == EINTR, "send");
		}
	}
}

/* What is still in the buffers is not waited for. */
static unsigned cut_off(int fd)
{
	const struct linger at_once = {.l_onoff = 1};
	struct tcp_info info = {};
	socklen_t len = sizeof(info);
	bool is_known = getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0;

	need(!setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), "SO_LINGER");
	close(fd);
	return is_known ? info.tcpi_total_retrans : 0;
}

static int run_source(int argc, char **argv)
{
	struct sockaddr_in address = parse_address(argv[2], argv[3]);
	struct pollfd flows[FLOWS_MAX];
	unsigned n = parse_flows(argv[4]), n_lower_effort = 0, retransmits = 0;
	const char *kind = NULL;

	for (int i = 6; i < argc; i++) {
		if (strncmp(argv[i], "le=", 3) == 0)
			n_lower_effort = (unsigned)atoi(argv[i] + 3);
		else
			kind = argv[i];
	}
	for (unsigned i = 0; i < n; i++)
		flows[i] =
			(struct pollfd){start_flow(&address, kind, i < n_lower_effort), POLLOUT, 0};
	fill_until(flows, n, now() + (int64_t)(atof(argv[5]) * NSEC));
	for (unsigned i = 0; i < n; i++)
		retransmits += cut_off(flows[i].fd);
	printf("%u\n", retransmits);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	stop_on_signals();
	if (argc >= 6 && strcmp(argv[1], "sink") == 0)
		return run_sink(argc, argv);
	if (argc >= 6 && strcmp(argv[1], "source") == 0)
		return run_source(argc, argv);
	fputs("usage: tcpstream sink ADDRESS PORT FLOWS INTERVAL_MS [mptcp]\n"
	      "       tcpstream source ADDRESS PORT FLOWS SECONDS [mptcp] [le=N]\n",
	      stderr);
	return 2;
}
