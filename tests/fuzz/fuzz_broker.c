/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Whatever the engine sends, the supervisor answers it, and gives away a descriptor only where it
 * says so. In a network namespace of its own where that is allowed: an interface or a socket that
 * is asked for by a sound request is really made.
 */
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/server.h"
#include "fuzz.h"

static bool accept_network(void *ctx, const char *name)
{
	(void)ctx;
	return name[0] != 0;
}

/* Half of them, so that entries come and are refused. */
static bool accept_peer(void *ctx, const char *network, const uint8_t public_key[32])
{
	(void)ctx;
	return network[0] != 0 && !(public_key[0] & 1);
}

static bool refuse_route(void *ctx, const char *interface, uint32_t table)
{
	(void)ctx;
	(void)interface;
	(void)table;
	return false;
}

static int refuse_uapi(void *ctx, const char *interface, int *ret_fd)
{
	(void)ctx;
	(void)interface;
	(void)ret_fd;
	return -1;
}

static int close_uapi(void *ctx, const char *interface)
{
	(void)ctx;
	return *interface ? 0 : -1;
}

static int refuse(void *ctx, int *ret_fd)
{
	(void)ctx;
	(void)ret_fd;
	return -1;
}

static int succeed(void *ctx)
{
	(void)ctx;
	return 0;
}

static void ignore(void *ctx)
{
	(void)ctx;
}

/* What is let through is a record: all of it can be read back, field by field. */
static void take_event(void *ctx, const struct broker_event *e)
{
	struct record fields = {.len = (uint16_t)e->len};
	struct record_field f;
	size_t pos = 0;

	(void)ctx;
	memcpy(fields.text, e->fields, e->len);
	while (record_next(&fields, &pos, &f))
		if (!*f.key)
			abort();
	if (pos != e->len || !memchr(e->name, 0, sizeof(e->name)))
		abort();
}

static int take_hook(void *ctx, const struct broker_hook *q)
{
	if (!memchr(q->network, 0, sizeof(q->network)))
		abort();
	take_event(ctx, &q->event);
	return 0;
}

static bool refuse_address(void *ctx, const char *interface, const struct prefix *address,
			   const struct prefix *destination)
{
	(void)ctx;
	(void)destination;
	if (!memchr(interface, 0, IFNAMSIZ) || address->len > 128)
		abort();
	return false;
}

static int refuse_metrics(void *ctx, enum broker_metrics_kind kind, int *ret_fd)
{
	(void)ctx;
	(void)ret_fd;
	if (kind >= BROKER_METRICS_KINDS)
		abort();
	return -ENOENT;
}

static int take_key(void *ctx, const struct broker_key *q, uint8_t ret_key[32])
{
	(void)ctx;
	if (q->step > BROKER_KEY_TAKE || !memchr(q->network, 0, sizeof(q->network)))
		abort();
	memset(ret_key, 1, sizeof(((struct broker_reply *)0)->key));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct broker_calls calls = {.has_network = accept_network,
						  .has_peer = accept_peer,
						  .may_have_address = refuse_address,
						  .may_route = refuse_route,
						  .read_config = refuse,
						  .keep_config = succeed,
						  .open_metrics = refuse_metrics,
						  .next_key = take_key,
						  .run_hook = take_hook,
						  .open_uapi = refuse_uapi,
						  .close_uapi = close_uapi};
	static const struct broker_parent_calls parent = {.open_resolver = refuse,
							  .reloading = ignore,
							  .ready = succeed,
							  .alive = ignore,
							  .tell = take_event};
	static struct broker_server *server;
	struct broker_reply reply;
	int fd = -1;

	if (!server) {
		/* Where it is not allowed, no interface can be made either. */
		(void)!unshare(CLONE_NEWNET);
		if (broker_server_new(&server, "/nonexistent", &calls, NULL) < 0)
			abort();
		broker_server_set_parent(server, &parent, NULL);
	}
	broker_serve(server, data, size, &reply, &fd);
	if ((reply.has_fd != 0) != (fd >= 0) || reply.result > 0 || (reply.result && fd >= 0))
		abort();
	if (fd >= 0)
		close(fd);
	return 0;
}
