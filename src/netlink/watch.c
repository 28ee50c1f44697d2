/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "netlink/watch.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

/* Datagrams of one call: a storm of changes must not keep the caller from its other work. */
#define READS_MAX 64

int netif_watch_open(void)
{
	const struct sockaddr_nl address = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	int r;

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

struct listener {
	netif_change_fn each;
	void *ctx;
};

static int hear(void *ctx, const struct nlmsghdr *message)
{
	const struct listener *l = ctx;
	struct netif_change change;
	int r = message_parse_change(message, &change);

	if (r == 1)
		l->each(l->ctx, &change);
	return r < 0 ? r : 0;
}

/* 0: nothing there. */
static ssize_t receive(int fd, void *datagram)
{
	struct sockaddr_nl from = {0};
	socklen_t from_len = sizeof(from);
	ssize_t n;

	do
		n = recvfrom(fd, datagram, MESSAGE_DATAGRAM_MAX, MSG_TRUNC,
			     (struct sockaddr *)&from, &from_len);
	while ((n < 0 && errno == EINTR) || (n >= 0 && from.nl_pid)); /* only the kernel counts */
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	return n;
}

int netif_watch_read(int fd, netif_change_fn each, void *ctx)
{
	_Alignas(struct nlmsghdr) uint8_t datagram[MESSAGE_DATAGRAM_MAX];
	struct listener listener = {each, ctx};
	bool has_lost = false;

	for (unsigned i = 0; i < READS_MAX; i++) {
		ssize_t n = receive(fd, datagram);

		if (n == 0)
			break;
		if (n < 0 && n != -ENOBUFS)
			return (int)n;
		/* Too long, or not to be understood, is as good as lost. */
		if (n < 0 || message_each(datagram, (size_t)n, hear, &listener) < 0)
			has_lost = true;
	}
	return has_lost ? -ENOBUFS : 0;
}
