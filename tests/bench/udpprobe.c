/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Numbered datagrams at a steady pace, echoed, and what became of each. IPv4; a tool of
 * scripts/bench wan.
 *
 *   udpprobe echo ADDRESS PORT
 *       until SIGINT or SIGTERM; prints "NUMBER SENT_NS ARRIVED_NS" for each that came, in the
 *       order in which they came
 *   udpprobe send ADDRESS PORT BYTES RATE SECONDS
 *       prints "NUMBER SENT_NS ECHOED_NS" for each that was sent, 0 where no echo came
 *
 * The times are those of CLOCK_MONOTONIC, which both ends share.
 */
#include "tool.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define DATAGRAM_MAX 1500
#define PATIENCE_NS (3 * NSEC / 2) /* for the last echoes */
#define LOG_MIN 4096

struct probe {
	uint64_t number;
	int64_t sent;
};

struct line {
	struct probe probe;
	int64_t arrived;
};

struct log {
	struct line *lines;
	size_t n, room;
};

static void log_add(struct log *l, const struct probe *p, int64_t arrived)
{
	if (l->n == l->room) {
		l->room = l->room ? 2 * l->room : LOG_MIN;
		l->lines = reallocarray(l->lines, l->room, sizeof(*l->lines));
		need(l->lines, "memory");
	}
	l->lines[l->n++] = (struct line){*p, arrived};
}

static void log_print(struct log *l)
{
	for (size_t i = 0; i < l->n; i++)
		printf("%llu %lld %lld\n", (unsigned long long)l->lines[i].probe.number,
		       (long long)l->lines[i].probe.sent, (long long)l->lines[i].arrived);
	free(l->lines);
}

static int open_socket(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = 4 << 20;

	need(fd >= 0, "socket");
	need(!setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)), "SO_RCVBUFFORCE");
	return fd;
}

static int run_echo(char **argv)
{
	struct sockaddr_in address = parse_address(argv[2], argv[3]), from;
	struct pollfd in = {open_socket(), POLLIN, 0};
	uint8_t datagram[DATAGRAM_MAX];
	struct log log = {};
	struct probe probe;

	need(!bind(in.fd, (const struct sockaddr *)&address, sizeof(address)), "bind");
	while (!is_stopped) {
		socklen_t from_len = sizeof(from);
		ssize_t n;

		if (poll(&in, 1, 100) <= 0)
			continue;
		n = recvfrom(in.fd, datagram, sizeof(datagram), MSG_DONTWAIT,
			     (struct sockaddr *)&from, &from_len);
		if (n < (ssize_t)sizeof(probe))
			continue;
		memcpy(&probe, datagram, sizeof(probe));
		log_add(&log, &probe, now());
		/* What cannot be sent is an echo lost. */
		(void)sendto(in.fd, datagram, (size_t)n, MSG_DONTWAIT, (struct sockaddr *)&from,
			     from_len);
	}
	log_print(&log);
	return EXIT_SUCCESS;
}

static void take_echoes(int fd, struct log *log)
{
	struct probe probe;

	while (recv(fd, &probe, sizeof(probe), MSG_DONTWAIT) == sizeof(probe)) {
		if (probe.number < log->n && !log->lines[probe.number].arrived)
			log->lines[probe.number].arrived = now();
	}
}

static void wait_for_echoes(int fd, struct log *log, int64_t until)
{
	struct pollfd in = {fd, POLLIN, 0};
	int64_t left;

	while (!is_stopped && (left = until - now()) > 0) {
		const struct timespec timeout = {left / NSEC, left % NSEC};

		if (ppoll(&in, 1, &timeout, NULL) > 0)
			take_echoes(fd, log);
	}
}

static int run_send(char **argv)
{
	struct sockaddr_in address = parse_address(argv[2], argv[3]);
	size_t len = (size_t)atoi(argv[4]);
	double rate = atof(argv[5]);
	uint64_t count = (uint64_t)(rate * atof(argv[6]));
	uint8_t datagram[DATAGRAM_MAX] = {};
	int64_t start = now();
	struct log log = {};
	int fd = open_socket();

	need(len >= sizeof(struct probe) && len <= sizeof(datagram), "BYTES");
	need(!connect(fd, (const struct sockaddr *)&address, sizeof(address)), "connect");
	for (uint64_t i = 0; i < count && !is_stopped; i++) {
		struct probe probe = {i, 0};

		wait_for_echoes(fd, &log, start + (int64_t)((double)i * NSEC / rate));
		probe.sent = now();
		memcpy(datagram, &probe, sizeof(probe));
		log_add(&log, &probe, 0);
		/* What the system refuses is a loss like any other. */
		(void)send(fd, datagram, len, 0);
	}
	wait_for_echoes(fd, &log, now() + PATIENCE_NS);
	log_print(&log);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	stop_on_signals();
	if (argc == 4 && strcmp(argv[1], "echo") == 0)
		return run_echo(argv);
	if (argc == 7 && strcmp(argv[1], "send") == 0)
		return run_send(argv);
	fputs("usage: udpprobe echo ADDRESS PORT\n"
	      "       udpprobe send ADDRESS PORT BYTES RATE SECONDS\n",
	      stderr);
	return 2;
}
