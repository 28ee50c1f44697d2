/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Sends equal UDP datagrams as fast as the kernel takes them (or at a pace), and counts those
 * that arrive. IPv4; a tool of scripts/bench.
 *
 *   udpflood receive ADDRESS PORT [gro]     until SIGINT or SIGTERM; prints "PACKETS SECONDS",
 *                                           the time being that from the first to the last
 *   udpflood send ADDRESS PORT BYTES SECONDS [SEGMENTS [RATE [PACE_US]]]
 *                                           prints "PACKETS"; SEGMENTS > 1 go by one UDP_SEGMENT
 *                                           send; RATE is in packets a second, 0 for a flood, and
 *                                           what is due is sent every 100 or PACE_US microseconds
 */
#include "tool.h"

#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define BATCH 64
#define DATAGRAM_MAX 65507
#define SOCKET_BUFFER (8 << 20)
#define PACE_US 100

static int open_socket(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = SOCKET_BUFFER;

	need(fd >= 0, "socket");
	need(!setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)), "SO_RCVBUFFORCE");
	need(!setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)), "SO_SNDBUFFORCE");
	return fd;
}

/* Buffers for BATCH messages of `len` bytes at most. */
struct batch {
	struct mmsghdr messages[BATCH];
	struct iovec iov[BATCH];
	uint8_t control[BATCH][CMSG_SPACE(sizeof(int))];
};

static struct batch *new_batch(size_t len, bool shares_buffer)
{
	struct batch *b = calloc(1, sizeof(*b));
	uint8_t *buffer = calloc(shares_buffer ? 1 : BATCH, len);

	need(b && buffer, "memory");
	for (size_t i = 0; i < BATCH; i++) {
		b->iov[i].iov_base = shares_buffer ? buffer : buffer + i * len;
		b->iov[i].iov_len = len;
		b->messages[i].msg_hdr.msg_iov = &b->iov[i];
		b->messages[i].msg_hdr.msg_iovlen = 1;
	}
	return b;
}

static void free_batch(struct batch *b)
{
	free(b->iov[0].iov_base);
	free(b);
}

static uint64_t count_datagrams(struct mmsghdr *m)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(&m->msg_hdr);
	unsigned stride = 0;

	if (c && c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO)
		memcpy(&stride, CMSG_DATA(c), sizeof(int));
	return stride ? (m->msg_len + stride - 1) / stride : 1;
}

/* How many datagrams came; waits for at most a tenth of a second. */
static uint64_t receive_batch(int fd, struct batch *b)
{
	uint64_t n_datagrams = 0;
	int n;

	for (size_t i = 0; i < BATCH; i++) {
		b->messages[i].msg_hdr.msg_control = b->control[i];
		b->messages[i].msg_hdr.msg_controllen = sizeof(b->control[i]);
	}
	n = recvmmsg(fd, b->messages, BATCH, MSG_WAITFORONE, NULL);
	need(n >= 0 || errno == EAGAIN || errno == EINTR || errno == ECONNREFUSED, "recvmmsg");
	for (int i = 0; i < n; i++)
		n_datagrams += count_datagrams(&b->messages[i]);
	return n_datagrams;
}

static int receive(const char *address, const char *port, bool wants_gro)
{
	const struct timeval patience = {.tv_usec = 100000};
	struct sockaddr_in local = parse_address(address, port);
	struct batch *b = new_batch(DATAGRAM_MAX, false);
	int fd = open_socket(), on = wants_gro;
	uint64_t n_datagrams = 0, n_new;
	int64_t first = 0, last = 0;

	need(!setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof(on)), "UDP_GRO");
	need(!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), "SO_RCVTIMEO");
	stop_on_signals();
	need(bind(fd, (struct sockaddr *)&local, sizeof(local)) == 0, "bind");

	while (!is_stopped) {
		n_new = receive_batch(fd, b);
		if (n_new == 0)
			continue;
		last = now();
		if (n_datagrams == 0)
			first = last;
		n_datagrams += n_new;
	}
	printf("%llu %.6f\n", (unsigned long long)n_datagrams, (double)(last - first) / NSEC);
	free_batch(b);
	close(fd);
	return EXIT_SUCCESS;
}

static void send_all(int fd, struct batch *b, unsigned n)
{
	int sent;

	for (unsigned done = 0; done < n; done += (unsigned)sent) {
		sent = sendmmsg(fd, b->messages + done, n - done, 0);
		need(sent > 0 || errno == ENOBUFS || errno == ECONNREFUSED, "sendmmsg");
		if (sent < 0)
			sent = 0;
	}
}

struct pace {
	uint64_t rate; /* sends a second; 0: a flood */
	struct timespec sleep;
};

/* Waits until sends are due, and returns how many: up to a batch. */
static unsigned wait_due(int64_t start, uint64_t n_sent, const struct pace *pace)
{
	uint64_t due;

	if (pace->rate == 0)
		return BATCH;
	while ((due = (uint64_t)(now() - start) * pace->rate / NSEC) <= n_sent)
		nanosleep(&pace->sleep, NULL);
	return due - n_sent < BATCH ? (unsigned)(due - n_sent) : BATCH;
}

static int flood(struct sockaddr_in remote, size_t len, double seconds, int segments,
		 const struct pace *pace)
{
	struct batch *b = new_batch(len * (size_t)segments, true);
	int64_t start = now(), end = start + (int64_t)(seconds * NSEC);
	int fd = open_socket(), gso_size = (int)len;
	uint64_t n_sends = 0;
	unsigned n;

	need(connect(fd, (struct sockaddr *)&remote, sizeof(remote)) == 0, "connect");
	if (segments > 1)
		need(!setsockopt(fd, SOL_UDP, UDP_SEGMENT, &gso_size, sizeof(gso_size)),
		     "UDP_SEGMENT");
	while (now() < end) {
		n = wait_due(start, n_sends, pace);
		send_all(fd, b, n);
		n_sends += n;
	}
	printf("%llu\n", (unsigned long long)n_sends * (unsigned)segments);
	free_batch(b);
	close(fd);
	return EXIT_SUCCESS;
}

static int usage(void)
{
	fputs("usage: udpflood receive ADDRESS PORT [gro]\n"
	      "       udpflood send ADDRESS PORT BYTES SECONDS [SEGMENTS [RATE [PACE_US]]]\n",
	      stderr);
	return 2;
}

int main(int argc, char **argv)
{
	int segments = argc > 6 ? atoi(argv[6]) : 1;
	long len = argc > 4 ? atol(argv[4]) : 0;
	struct pace pace;

	if (argc >= 4 && strcmp(argv[1], "receive") == 0)
		return receive(argv[2], argv[3], argc > 4 && strcmp(argv[4], "gro") == 0);
	if (argc < 6 || strcmp(argv[1], "send") != 0 || len < 1 || segments < 1 ||
	    len * segments > DATAGRAM_MAX)
		return usage();
	pace.rate = argc > 7 ? strtoull(argv[7], NULL, 10) / (uint64_t)segments : 0;
	pace.sleep = (struct timespec){.tv_nsec = 1000 * (argc > 8 ? atol(argv[8]) : PACE_US)};
	return flood(parse_address(argv[2], argv[3]), (size_t)len, atof(argv[5]), segments, &pace);
}
