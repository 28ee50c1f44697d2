/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "netlink/exchange.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

#define DUMP_ATTEMPTS 5

/* Connected to the kernel (port 0), so that no other process can answer in its place. */
static int connect_kernel(struct exchange *x)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	socklen_t len = sizeof(address);

	if (connect(x->fd, (const struct sockaddr *)&address, len) < 0)
		return -errno;
	/* The kernel has given us a port. */
	if (getsockname(x->fd, (struct sockaddr *)&address, &len) < 0)
		return -errno;
	x->portid = address.nl_pid;
	return 0;
}

int exchange_open(struct exchange *ret)
{
	struct exchange x = {.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)};
	int r;

	if (x.fd < 0)
		return -errno;
	r = connect_kernel(&x);
	if (r < 0) {
		exchange_close(&x);
		return r;
	}
	*ret = x;
	return 0;
}

void exchange_close(struct exchange *x)
{
	close(x->fd);
	x->fd = -1;
}

static int send_request(struct exchange *x, union message_buffer *request)
{
	ssize_t n;

	request->header.nlmsg_seq = ++x->seq;
	do
		n = send(x->fd, request->bytes, request->header.nlmsg_len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* -EBADMSG where the datagram did not fit, or where the other end has gone. */
static int receive(const struct exchange *x, void *datagram, size_t *ret_len)
{
	ssize_t n;

	do
		n = recv(x->fd, datagram, MESSAGE_DATAGRAM_MAX, MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0 || n > MESSAGE_DATAGRAM_MAX)
		return -EBADMSG;
	*ret_len = (size_t)n;
	return 0;
}

static int read_answer(const struct exchange *x, uint16_t type, message_fn each, void *ctx,
		       struct message_progress *progress)
{
	_Alignas(struct nlmsghdr) uint8_t datagram[MESSAGE_DATAGRAM_MAX];
	struct message_expected expected = {.seq = x->seq, .portid = x->portid, .type = type};
	size_t len = 0;
	int r;

	while (!progress->is_complete) {
		r = receive(x, datagram, &len);
		if (r < 0)
			return r;
		r = message_read(&expected, datagram, len, each, ctx, progress);
		if (r < 0)
			return r;
	}
	return 0;
}

int exchange_change(struct exchange *x, union message_buffer *request)
{
	struct message_progress progress = {0};
	int r = send_request(x, request);

	return r < 0 ? r : read_answer(x, 0, NULL, NULL, &progress);
}

int exchange_dump(struct exchange *x, union message_buffer *request,
		  const struct exchange_dump *dump)
{
	int r;

	for (unsigned i = 0; i < DUMP_ATTEMPTS; i++) {
		struct message_progress progress = {0};

		r = send_request(x, request);
		if (r < 0)
			return r;
		/* To its end even if it is worthless: the kernel runs one dump at a time. */
		r = read_answer(x, dump->type, dump->each, dump->ctx, &progress);
		if (r < 0 || !progress.is_interrupted)
			return r;
		dump->restart(dump->ctx);
	}
	return -EBUSY;
}
