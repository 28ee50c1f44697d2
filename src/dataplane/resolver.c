/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/resolver.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/monitor.h"
#include "dataplane/network_state.h"
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
	int helper; /* a channel to the process that looks up; -1: we do it ourselves */
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

/* Puts a new helper in the place of one that has ended. */
static int replace_helper(struct resolver *r)
{
	int fd;
	int err = broker_open_resolver(r->network->broker, &fd);

	if (err < 0)
		return err;
	/* Onto the same number, which resolver_free() may be about to shut down. */
	err = dup3(fd, r->helper, O_CLOEXEC) < 0 ? -errno : 0;
	close(fd);
	return err;
}

/* 0 or one of getaddrinfo()'s errors. */
static int look_up(struct resolver *r, const struct lookup_request *q, struct lookup_addresses *ret)
{
	int error;

	if (r->helper < 0)
		return lookup(q, ret);
	if (lookup_ask(r->helper, q, ret, &error) == 0)
		return error;
	if (replace_helper(r) == 0 && !atomic_load(&r->stop) &&
	    lookup_ask(r->helper, q, ret, &error) == 0)
		return error;
	return EAI_SYSTEM;
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

			e.error = look_up(r, &q.lookup, &e.addresses);
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

static void release(struct resolver *r)
{
	if (r->helper >= 0)
		close(r->helper);
	waker_deinit(&r->waker);
	ring_free(r->requests);
	free(r);
}

int resolver_new(struct resolver **ret, struct network *n)
{
	struct resolver *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	r->network = n;
	r->waker.fd = -1;
	r->helper = -1;
	err = broker_open_resolver(n->broker, &r->helper);
	if (err == 0 || err == -EOPNOTSUPP)
		err = ring_new(&r->requests, QUEUE_SLOTS, sizeof(struct resolver_request));
	if (err == 0)
		err = waker_init(&r->waker);
	if (err == 0)
		err = thread_start(&r->thread, "vt-resolver", run, r);
	if (err < 0) {
		release(r);
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
	if (r->helper >= 0)
		shutdown(r->helper, SHUT_RDWR); /* a look-up may take long: it is given up */
	thread_join(&r->thread);
	release(r);
}
