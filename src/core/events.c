/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/events.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/ring.h"

#define QUEUE_SLOTS 256

struct listener {
	events_listener hear;
	void *ctx;
};

struct events {
	int fd;
	struct ring *queue;
	struct listener listeners[EVENTS_LISTENERS_MAX];
	size_t n_listeners;
	_Atomic unsigned n_lost;
};

int events_new(struct events **ret)
{
	struct events *e = calloc(1, sizeof(*e));
	int r;

	if (!e)
		return -ENOMEM;
	e->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = e->fd < 0 ? -errno : ring_new(&e->queue, QUEUE_SLOTS, sizeof(struct record));
	if (r < 0) {
		events_free(e);
		return r;
	}
	*ret = e;
	return 0;
}

void events_free(struct events *e)
{
	if (!e)
		return;
	ring_free(e->queue);
	if (e->fd >= 0)
		close(e->fd);
	free(e);
}

void events_listen(struct events *e, events_listener hear, void *ctx)
{
	assert(e->n_listeners < EVENTS_LISTENERS_MAX);
	e->listeners[e->n_listeners++] = (struct listener){hear, ctx};
}

void events_post(struct events *e, const struct record *r)
{
	if (!ring_push(e->queue, r))
		atomic_fetch_add_explicit(&e->n_lost, 1, memory_order_relaxed);
	eventfd_write(e->fd, 1);
}

int events_fd(const struct events *e)
{
	return e->fd;
}

static void hand_on(const struct events *e, const struct record *r)
{
	for (size_t i = 0; i < e->n_listeners; i++)
		e->listeners[i].hear(e->listeners[i].ctx, r);
}

void events_dispatch(struct events *e)
{
	unsigned n_lost;
	eventfd_t count;
	struct record r;

	eventfd_read(e->fd, &count);
	/* No more than there can be at a time: others want their turn too. */
	for (unsigned i = 0; i < QUEUE_SLOTS && ring_pop(e->queue, &r); i++)
		hand_on(e, &r);
	if (ring_used(e->queue))
		eventfd_write(e->fd, 1);
	n_lost = atomic_exchange_explicit(&e->n_lost, 0, memory_order_relaxed);
	if (!n_lost)
		return;
	record_init(&r, "events_lost");
	record_number(&r, "count", "%u", n_lost);
	hand_on(e, &r);
}
