/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "broker/server.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/endpoints.h"
#include "broker/interfaces.h"
#include "broker/stamp_file.h"
#include "netlink/address.h"
#include "util/hook_kind.h"

#define RETRY_MS 20
#define BURST_BYTES_LIMIT (1 << 20)

struct broker_server {
	const char *state_dir;
	const struct broker_calls *calls;
	const struct broker_parent_calls *parent;
	void *parent_ctx;
	void *ctx;
	struct interfaces interfaces;
	nsec_t patient_until; /* 0: not at all */
	struct endpoints endpoints;
};

/* Does the text end within its array, and can it be (part of) the name of a file or interface? */
static bool is_name(const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	if (!len || len == size || *text == '.')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-",
			    text[i]))
			return false;
	return true;
}

static bool is_prefix(const struct prefix *p)
{
	return (p->family == AF_INET && p->len <= 32) || (p->family == AF_INET6 && p->len <= 128);
}

/* True if it is worth another try. */
static bool wait_patiently(const struct broker_server *s)
{
	return clock_now() < s->patient_until && poll(NULL, 0, RETRY_MS) == 0;
}

static int open_tun(struct broker_server *s, const struct broker_tun *q,
		    struct broker_opened_tun *ret, int *ret_fd)
{
	const struct tun_wants wants = {
		.tso = q->wants_tso, .uso = q->wants_uso, .queues = q->wants_queues};
	bool was_kept;
	int r;

	if (!is_name(q->interface, sizeof(q->interface)) || q->wants_tso > 1 || q->wants_uso > 1 ||
	    q->wants_queues > 1)
		return -EINVAL;
	do
		r = interfaces_open(&s->interfaces, q->interface, wants, &ret->tun, &was_kept,
				    ret_fd);
	while (r == -EEXIST && wait_patiently(s));
	if (r == 0)
		ret->was_kept = was_kept;
	return r;
}

static int open_queue(struct broker_server *s, const struct broker_queue *q, int *ret_fd)
{
	if (!is_name(q->interface, sizeof(q->interface)) || q->is_detached > 1)
		return -EINVAL;
	return interfaces_open_queue(&s->interfaces, q->interface, q->is_detached, ret_fd);
}

/*
 * Rules and routes into a tunnel take traffic away from where it goes now, so the configuration
 * must want them: the engine does not choose their table. To remove them needs no permission: a
 * crashed engine may have left them.
 */
static bool may_route(const struct broker_server *s, const char *interface, uint32_t table)
{
	return !s->calls || s->calls->may_route(s->ctx, interface, table);
}

static int set_rules(struct broker_server *s, const struct broker_rules *q)
{
	if (!interfaces_has(&s->interfaces, q->interface))
		return -ENODEV;
	if (q->family != AF_INET && q->family != AF_INET6)
		return -EINVAL;
	if (q->mark && !may_route(s, q->interface, ROUTE_TABLE_TUNNEL))
		return -EPERM;
	return interfaces_set_rules(&s->interfaces, q->interface, (uint8_t)q->family, q->mark);
}

/* With an address the kernel makes a route to its subnet. */
static bool may_have_address(const struct broker_server *s, const struct broker_address *q)
{
	return !s->calls ||
	       s->calls->may_have_address(s->ctx, q->interface, &q->prefix, &q->destination);
}

static int change_address(struct broker_server *s, const struct broker_address *q, bool is_new)
{
	if (!interfaces_has(&s->interfaces, q->interface))
		return -ENODEV;
	if (!is_prefix(&q->prefix) || (q->destination.family && !is_prefix(&q->destination)))
		return -EINVAL;
	if (is_new && !may_have_address(s, q))
		return -EPERM;
	return is_new ? netif_add_address(q->interface, &q->prefix, &q->destination)
		      : netif_remove_address(q->interface, &q->prefix, &q->destination);
}

static int change_route(struct broker_server *s, const struct broker_route *q, bool is_new)
{
	if (!interfaces_has(&s->interfaces, q->interface))
		return -ENODEV;
	if (!is_prefix(&q->route.to))
		return -EINVAL;
	if (is_new && !may_route(s, q->interface, q->route.table))
		return -EPERM;
	return is_new ? netif_add_route(q->interface, &q->route)
		      : netif_remove_route(q->interface, &q->route);
}

static int set_mtu(struct broker_server *s, const struct broker_interface *q)
{
	return interfaces_has(&s->interfaces, q->interface) ? netif_set_mtu(q->interface, q->mtu)
							    : -ENODEV;
}

static int set_up(struct broker_server *s, const struct broker_interface *q)
{
	return interfaces_has(&s->interfaces, q->interface) ? netif_set_up(q->interface) : -ENODEV;
}

static bool is_family(int family)
{
	return family == AF_INET || family == AF_INET6 || family == AF_UNSPEC;
}

static int open_udp(struct broker_server *s, const struct broker_udp *q, struct broker_reply *ret,
		    int *ret_fd)
{
	struct link_settings settings = {
		.bind = q->bind,
		.port = (uint16_t)q->port,
		.fwmark = q->fwmark,
		.receive_buffer = q->receive_buffer,
		.send_buffer = q->send_buffer,
		.gso = q->wants_gso ? OFFLOAD_AUTO : OFFLOAD_OFF,
		.gro = q->wants_gro ? OFFLOAD_AUTO : OFFLOAD_OFF,
	};
	int r;

	if (q->wants_gso > 1 || q->wants_gro > 1 || q->port > UINT16_MAX || !is_family(q->family) ||
	    !is_family(q->bind.sa.sa_family) || q->bytes > BURST_BYTES_LIMIT ||
	    q->receive_buffer > LINK_SOCKET_BUFFER_MAX || q->send_buffer > LINK_SOCKET_BUFFER_MAX)
		return -EINVAL;
	if (q->device[0] && !is_name(q->device, sizeof(q->device)))
		return -EINVAL;
	memcpy(settings.device, q->device, sizeof(settings.device));
	do
		r = udp_open(&ret->udp, &settings, q->family, q->bytes);
	while (r == -EADDRINUSE && wait_patiently(s));
	if (r == 0)
		*ret_fd = ret->udp.fd;
	return r;
}

/* In the state directory, under the network's name. */
static int stamp_path(const struct broker_server *s, const struct broker_stamp *q,
		      char ret[PATH_MAX])
{
	if (!is_name(q->network, sizeof(q->network)))
		return -EINVAL;
	if (s->calls && !s->calls->has_network(s->ctx, q->network))
		return -EPERM;
	if (snprintf(ret, PATH_MAX, "%s/%s.timestamp", s->state_dir, q->network) >= PATH_MAX)
		return -ENAMETOOLONG;
	return 0;
}

static int load_stamp(struct broker_server *s, const struct broker_stamp *q, int64_t *ret)
{
	char path[PATH_MAX];
	nsec_t saved = 0;
	int r = stamp_path(s, q, path);

	if (r == 0)
		r = stamp_file_load(path, &saved);
	if (r == 0)
		*ret = saved;
	return r;
}

static int store_stamp(struct broker_server *s, const struct broker_stamp *q)
{
	char path[PATH_MAX];
	int r = stamp_path(s, q, path);

	if (r == 0 && q->time < 0)
		r = -EINVAL;
	return r == 0 ? stamp_file_store(path, q->time) : r;
}

static int open_resolver(struct broker_server *s, int *ret_fd)
{
	return s->parent ? s->parent->open_resolver(s->parent_ctx, ret_fd) : -EOPNOTSUPP;
}

static int take_ready(struct broker_server *s)
{
	return s->parent ? s->parent->ready(s->parent_ctx) : 0;
}

static int take_alive(struct broker_server *s)
{
	if (s->parent)
		s->parent->alive(s->parent_ctx);
	return 0;
}

static int read_config(struct broker_server *s, int *ret_fd)
{
	if (s->parent)
		s->parent->reloading(s->parent_ctx);
	return s->calls ? s->calls->read_config(s->ctx, ret_fd) : -EOPNOTSUPP;
}

static int keep_config(struct broker_server *s)
{
	int r = s->calls ? s->calls->keep_config(s->ctx) : -EOPNOTSUPP;

	if (r == 0)
		endpoints_prune(&s->endpoints, s->calls->has_network, s->ctx);
	return r;
}

static int open_uapi(struct broker_server *s, const struct broker_interface *q, int *ret_fd)
{
	if (!is_name(q->interface, sizeof(q->interface)))
		return -EINVAL;
	return s->calls ? s->calls->open_uapi(s->ctx, q->interface, ret_fd) : -EOPNOTSUPP;
}

static int close_uapi(struct broker_server *s, const struct broker_interface *q)
{
	if (!is_name(q->interface, sizeof(q->interface)))
		return -EINVAL;
	return s->calls ? s->calls->close_uapi(s->ctx, q->interface) : -EOPNOTSUPP;
}

static int open_metrics(struct broker_server *s, const struct broker_metrics *q, int *ret_fd)
{
	if (q->kind >= BROKER_METRICS_KINDS)
		return -EINVAL;
	return s->calls ? s->calls->open_metrics(s->ctx, q->kind, ret_fd) : -EOPNOTSUPP;
}

static int next_key(struct broker_server *s, const struct broker_key *q, uint8_t ret_key[32])
{
	if (!is_name(q->network, sizeof(q->network)) || q->step > BROKER_KEY_TAKE)
		return -EINVAL;
	return s->calls ? s->calls->next_key(s->ctx, q, ret_key) : -EOPNOTSUPP;
}

/* No more peers are kept than the configuration has; one that it has no more is forgotten. */
static int keep_endpoints(struct broker_server *s, const struct broker_endpoints *q)
{
	if (!is_name(q->network, sizeof(q->network)) || !endpoints_are_sound(q))
		return -EINVAL;
	if (q->n && s->calls && !s->calls->has_peer(s->ctx, q->network, q->public_key))
		return -EPERM;
	return endpoints_keep(&s->endpoints, q);
}

static int load_endpoints(struct broker_server *s, const struct broker_network *q, int *ret_fd)
{
	if (!is_name(q->network, sizeof(q->network)))
		return -EINVAL;
	return endpoints_open(&s->endpoints, q->network, ret_fd);
}

/* They become the environment of a program: keys of letters, values without control characters. */
static bool are_fields(const struct broker_event *e)
{
	size_t at = 0;

	if (e->len > sizeof(e->fields) || (e->len && e->fields[e->len - 1]))
		return false;
	while (at < e->len) {
		const char *key = e->fields + at + 1;
		size_t key_len = strspn(key, "abcdefghijklmnopqrstuvwxyz_");

		if ((e->fields[at] != 's' && e->fields[at] != 'n') || !key_len || key[key_len])
			return false;
		at += 1 + key_len + 1;
		if (at >= e->len)
			return false;
		for (; e->fields[at]; at++)
			if ((unsigned char)e->fields[at] < 0x20 || e->fields[at] == 0x7f)
				return false;
		at++;
	}
	return true;
}

static bool is_event(const struct broker_event *e)
{
	return is_name(e->name, sizeof(e->name)) && are_fields(e);
}

static int run_hook(struct broker_server *s, const struct broker_hook *q)
{
	if (!is_name(q->network, sizeof(q->network)) || q->hook >= HOOK_KIND_COUNT ||
	    !is_event(&q->event))
		return -EINVAL;
	return s->calls ? s->calls->run_hook(s->ctx, q) : -EOPNOTSUPP;
}

static int tell(struct broker_server *s, const struct broker_event *e)
{
	if (!is_event(e))
		return -EINVAL;
	if (s->parent)
		s->parent->tell(s->parent_ctx, e);
	return 0;
}

static int serve(struct broker_server *s, const struct broker_request *q, struct broker_reply *ret,
		 int *ret_fd)
{
	switch (q->kind) {
	case BROKER_OPEN_TUN:
		return open_tun(s, &q->tun, &ret->tun, ret_fd);
	case BROKER_OPEN_QUEUE:
		return open_queue(s, &q->queue, ret_fd);
	case BROKER_CLOSE_TUN:
		return interfaces_close(&s->interfaces, q->interface.interface);
	case BROKER_SET_MTU:
		return set_mtu(s, &q->interface);
	case BROKER_SET_UP:
		return set_up(s, &q->interface);
	case BROKER_ADD_ADDRESS:
	case BROKER_REMOVE_ADDRESS:
		return change_address(s, &q->address, q->kind == BROKER_ADD_ADDRESS);
	case BROKER_ADD_ROUTE:
	case BROKER_REMOVE_ROUTE:
		return change_route(s, &q->route, q->kind == BROKER_ADD_ROUTE);
	case BROKER_SET_RULES:
		return set_rules(s, &q->rules);
	case BROKER_OPEN_UDP:
		return open_udp(s, &q->udp, ret, ret_fd);
	case BROKER_LOAD_STAMP:
		return load_stamp(s, &q->stamp, &ret->time);
	case BROKER_STORE_STAMP:
		return store_stamp(s, &q->stamp);
	case BROKER_OPEN_RESOLVER:
		return open_resolver(s, ret_fd);
	case BROKER_READY:
		return take_ready(s);
	case BROKER_ALIVE:
		return take_alive(s);
	case BROKER_READ_CONFIG:
		return read_config(s, ret_fd);
	case BROKER_KEEP_CONFIG:
		return keep_config(s);
	case BROKER_RUN_HOOK:
		return run_hook(s, &q->hook);
	case BROKER_TELL:
		return tell(s, &q->event);
	case BROKER_OPEN_UAPI:
		return open_uapi(s, &q->interface, ret_fd);
	case BROKER_CLOSE_UAPI:
		return close_uapi(s, &q->interface);
	case BROKER_NEXT_KEY:
		return next_key(s, &q->key, ret->key);
	case BROKER_OPEN_METRICS:
		return open_metrics(s, &q->metrics, ret_fd);
	case BROKER_KEEP_ENDPOINTS:
		return keep_endpoints(s, &q->endpoints);
	case BROKER_LOAD_ENDPOINTS:
		return load_endpoints(s, &q->network, ret_fd);
	}
	return -EINVAL;
}

void broker_serve(struct broker_server *s, const void *request, size_t len,
		  struct broker_reply *ret, int *ret_fd)
{
	struct broker_request q = {0};

	*ret_fd = -1;
	memset(ret, 0, sizeof(*ret));
	ret->result = -EINVAL;
	if (len < sizeof(q.kind) || len > sizeof(q))
		return;
	memcpy(&q, request, len);
	if (len == broker_request_len(q.kind))
		ret->result = serve(s, &q, ret, ret_fd);
	ret->has_fd = *ret_fd >= 0;
}

int broker_server_new(struct broker_server **ret, const char *state_dir,
		      const struct broker_calls *calls, void *ctx)
{
	struct broker_server *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->state_dir = state_dir;
	s->calls = calls;
	s->ctx = ctx;
	*ret = s;
	return 0;
}

void broker_server_set_parent(struct broker_server *s, const struct broker_parent_calls *calls,
			      void *ctx)
{
	s->parent = calls;
	s->parent_ctx = ctx;
}

void broker_server_adopt_tun(struct broker_server *s, const struct tun *tun)
{
	interfaces_adopt(&s->interfaces, tun);
}

void broker_server_remove_rules(struct broker_server *s)
{
	interfaces_remove_rules(&s->interfaces);
}

void broker_server_be_patient(struct broker_server *s, nsec_t until)
{
	s->patient_until = until;
}

void broker_server_free(struct broker_server *s)
{
	if (!s)
		return;
	interfaces_deinit(&s->interfaces);
	endpoints_deinit(&s->endpoints);
	free(s);
}
