/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "util/bell.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <unistd.h>

int bell_init(struct bell *b, int file)
{
	struct epoll_event event = {.events = EPOLLIN};
	int r;

	b->file = file;
	b->fd = epoll_create1(EPOLL_CLOEXEC);
	if (b->fd < 0)
		return -errno;
	if (epoll_ctl(b->fd, EPOLL_CTL_ADD, file, &event) == 0)
		return 0;
	r = -errno;
	bell_deinit(b);
	return r;
}

void bell_deinit(struct bell *b)
{
	if (b->fd >= 0)
		close(b->fd);
	b->fd = -1;
}

static void set_events(struct bell *b, uint32_t events)
{
	struct epoll_event event = {.events = events};
	int r = epoll_ctl(b->fd, EPOLL_CTL_MOD, b->file, &event);

	assert(r == 0);
	(void)r;
}

void bell_mute(struct bell *b)
{
	set_events(b, 0);
}

/* The kernel looks at the file once more, and wakes the sleeper if there is something to read. */
void bell_unmute(struct bell *b)
{
	set_events(b, EPOLLIN);
}
