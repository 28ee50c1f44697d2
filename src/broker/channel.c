/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "broker/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One more than is ever sent, so that too many are seen; each is closed. */
#define DESCRIPTORS_MAX 2

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
};

int channel_pair(int ret_fds[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0 ? -errno : 0;
}

static void attach(struct msghdr *msg, union control *control, int fd)
{
	struct cmsghdr *c;

	memset(control, 0, sizeof(*control));
	msg->msg_control = control->bytes;
	msg->msg_controllen = CMSG_SPACE(sizeof(fd));
	c = CMSG_FIRSTHDR(msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
}

int channel_send(int channel, const void *message, size_t len, int fd)
{
	struct iovec iov = {(void *)message, len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	union control control;
	ssize_t n;

	if (fd >= 0)
		attach(&msg, &control, fd);
	do
		n = sendmsg(channel, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	return (size_t)n == len ? 0 : -EIO;
}

/* The first descriptor of the message, -1 where there is none. Others are closed, and counted. */
static size_t detach(struct msghdr *msg, int *ret_fd)
{
	size_t count = 0;

	*ret_fd = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int fds[DESCRIPTORS_MAX];

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = n < DESCRIPTORS_MAX ? n : DESCRIPTORS_MAX;
		memcpy(fds, CMSG_DATA(c), n * sizeof(int));
		for (size_t i = 0; i < n; i++) {
			if (count++ == 0)
				*ret_fd = fds[i];
			else
				close(fds[i]);
		}
	}
	return count;
}

int channel_receive(int channel, void *message, size_t size, size_t *ret_len, int *ret_fd)
{
	struct iovec iov = {message, size};
	union control control;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	size_t n_fds;
	ssize_t n;
	int fd;

	do
		n = recvmsg(channel, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	n_fds = detach(&msg, &fd);
	if (n_fds > 1 || msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		if (fd >= 0)
			close(fd);
		/* The kernel drops a descriptor for which this process has no place. */
		return n_fds || msg.msg_flags & MSG_TRUNC ? -EMSGSIZE : -EMFILE;
	}
	/* An empty message is not told from the end, and nobody sends one. */
	if (n == 0) {
		if (fd >= 0)
			close(fd);
		return -EPIPE;
	}
	*ret_len = (size_t)n;
	*ret_fd = fd;
	return 0;
}
