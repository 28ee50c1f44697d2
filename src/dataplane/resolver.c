/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/resolver.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/monitor.h"
#include "util/ring.h"
#include "util/thread.h"
#include "util/waker.h"

#define QUEUE_SLOTS 64
/* Between two tries while the monitor's queue is full. */
#define POST_RETRY_MS 20

struct resolver {
	struct network *network;
	struct thread thread;
	struct waker waker;
	struct ring *requests;
	_Atomic bool stop;
};

bool resolver_ask(struct resolver *r, const struct resolver_request *request)
{
	if (!ring_push(r->requests, request))
		return false;
	waker_wake(&r->waker);
	return true;
}

int resolver_literal(struct addr *ret, const struct endpoint_name *name, int family)
{
	char text[HOST_NAME_MAX_LEN + 3];
	struct addr a;

	snprintf(text, sizeof(text), strchr(name->host, ':') ? "[%s]" : "%s", name->host);
	if (addr_parse(&a, text, name->port) < 0 ||
	    (family != AF_UNSPEC && a.sa.sa_family != family))
		return -EINVAL;
	*ret = a;
	return 0;
}

static struct addr addr_of(const struct addrinfo *info, uint16_t port)
{
	struct addr a = {0};

	memcpy(&a, info->ai_addr, info->ai_addrlen < sizeof(a) ? info->ai_addrlen : sizeof(a));
	addr_set_port(&a, port);
	return a;
}

/* 0 or one of getaddrinfo()'s errors. */
static int look_up(const struct resolver_request *q, struct addr *ret)
{
	const struct addrinfo hints = {
		.ai_family = q->family,
		.ai_socktype = SOCK_DGRAM,
		.ai_flags = AI_ADDRCONFIG,
	};
	struct addrinfo *list;
	int r = getaddrinfo(q->name.host, NULL, &hints, &list);

	if (r != 0)
		return r;
	*ret = addr_of(list, q->name.port);
	for (struct addrinfo *i = list; i && addr_equal(ret, &q->avoid); i = i->ai_next)
		*ret = addr_of(i, q->name.port);
	freeaddrinfo(list);
	return 0;
}

static void run(void *arg)
{
	struct resolver *r = arg;
	struct resolver_request q;
	struct pollfd fd = {.fd = r->waker.fd, .events = POLLIN};

	while (!atomic_load(&r->stop)) {
		while (!atomic_load(&r->stop) && ring_pop(r->requests, &q)) {
			struct event e = {
				.kind = EVENT_RESOLVED,
				.bond = q.bond,
				.path_id = q.path_id,
			};

			e.error = look_up(&q, &e.from.remote);
			e.at = clock_now();
			/* Lost, it would leave the path waiting for ever. */
			while (!monitor_post(r->network, &e) && !atomic_load(&r->stop))
				poll(NULL, 0, POST_RETRY_MS);
		}
		waker_sleep(&r->waker);
		if (!atomic_load(&r->stop) && !ring_used(r->requests))
			poll(&fd, 1, -1);
		waker_awake(&r->waker);
	}
}

int resolver_new(struct resolver **ret, struct network *n)
{
	struct resolver *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	r->network = n;
	r->waker.fd = -1;
	err = ring_new(&r->requests, QUEUE_SLOTS, sizeof(struct resolver_request));
	if (err == 0)
		err = waker_init(&r->waker);
	if (err == 0)
		err = thread_start(&r->thread, "vt-resolver", run, r);
	if (err < 0) {
		waker_deinit(&r->waker);
		ring_free(r->requests);
		free(r);
		return err;
	}
	*ret = r;
	return 0;
}

void resolver_free(struct resolver *r)
{
	if (!r)
		return;
	atomic_store(&r->stop, true);
	waker_wake(&r->waker);
	thread_join(&r->thread);
	waker_deinit(&r->waker);
	ring_free(r->requests);
	free(r);
}
