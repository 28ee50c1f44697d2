/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "broker/server.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/endpoints.h"
#include "broker/stamp_file.h"
#include "netlink/address.h"
#include "netlink/rule.h"

/* One for each network; a daemon has few. */
#define TUNS_MAX 64
#define RETRY_MS 20
#define BURST_BYTES_LIMIT (1 << 20)

struct broker_server {
	const char *state_dir;
	const struct broker_calls *calls;
	const struct broker_parent_calls *parent;
	void *parent_ctx;
	void *ctx;
	/* Interfaces of ours live as long as we hold them, whatever becomes of who asked. */
	struct tun tuns[TUNS_MAX];
	size_t n_tuns;
	/* Whose the rules of each family are; "": there are none. */
	char rules_of[2][IFNAMSIZ];
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

/* Nothing but an interface that we have made is ever changed. */
static struct tun *find_tun(struct broker_server *s, const char interface[IFNAMSIZ])
{
	if (!is_name(interface, IFNAMSIZ))
		return NULL;
	for (size_t i = 0; i < s->n_tuns; i++)
		if (!strcmp(s->tuns[i].name, interface))
			return &s->tuns[i];
	return NULL;
}

static void drop_tun(struct broker_server *s, struct tun *tun)
{
	tun_close(tun);
	*tun = s->tuns[--s->n_tuns];
}

static int give_tun(const struct tun *tun, bool was_kept, struct broker_reply *ret, int *ret_fd)
{
	int fd = fcntl(tun->fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	ret->tun.tun = *tun;
	ret->tun.was_kept = was_kept;
	*ret_fd = fd;
	return 0;
}

/* True if it is worth another try. */
static bool wait_patiently(const struct broker_server *s)
{
	return clock_now() < s->patient_until && poll(NULL, 0, RETRY_MS) == 0;
}

static int open_tun(struct broker_server *s, const struct broker_tun *q, struct broker_reply *ret,
		    int *ret_fd)
{
	struct tun *tun = find_tun(s, q->interface);
	const struct tun_wants wants = {
		.tso = q->wants_tso, .uso = q->wants_uso, .queues = q->wants_queues};
	int r;

	if (!is_name(q->interface, sizeof(q->interface)) || q->wants_tso > 1 || q->wants_uso > 1 ||
	    q->wants_queues > 1)
		return -EINVAL;
	if (tun && tun_set_offloads(tun, wants) == 0)
		return give_tun(tun, true, ret, ret_fd);
	if (tun)
		drop_tun(s, tun); /* somebody has deleted the interface */
	if (s->n_tuns == TUNS_MAX)
		return -EMFILE;
	tun = &s->tuns[s->n_tuns];
	do
		r = tun_open(tun, q->interface, wants);
	while (r == -EEXIST && wait_patiently(s));
	if (r < 0)
		return r;
	s->n_tuns++;
	r = give_tun(tun, false, ret, ret_fd);
	if (r < 0)
		drop_tun(s, tun);
	return r;
}

static int open_queue(struct broker_server *s, const struct broker_queue *q, int *ret_fd)
{
	if (!is_name(q->interface, sizeof(q->interface)) || q->is_detached > 1)
		return -EINVAL;
	return find_tun(s, q->interface) ? tun_open_queue(ret_fd, q->interface, q->is_detached)
					 : -ENODEV;
}

static char *rules_owner(struct broker_server *s, int family)
{
	return s->rules_of[family == AF_INET6];
}

static int remove_rules(struct broker_server *s, int family)
{
	int r = *rules_owner(s, family) ? netif_remove_rules((uint8_t)family) : 0;

	*rules_owner(s, family) = '\0';
	return r;
}

void broker_server_remove_rules(struct broker_server *s)
{
	remove_rules(s, AF_INET);
	remove_rules(s, AF_INET6);
}

/* They lead everything into a tunnel, so that they are wanted must be in the configuration. */
static int set_rules(struct broker_server *s, const struct broker_rules *q)
{
	char *owner;
	int r;

	if (!find_tun(s, q->interface))
		return -ENODEV;
	if (q->family != AF_INET && q->family != AF_INET6)
		return -EINVAL;
	owner = rules_owner(s, q->family);
	if (*owner && strcmp(owner, q->interface) != 0)
		return q->mark ? -EBUSY : 0;
	if (!q->mark)
		return remove_rules(s, q->family);
	if (s->calls && !s->calls->may_route(s->ctx, q->interface, ROUTE_TABLE_TUNNEL))
		return -EPERM;
	r = netif_set_rules((uint8_t)q->family, ROUTE_TABLE_TUNNEL, q->mark);
	if (r == 0)
		strcpy(owner, q->interface);
	else
		netif_remove_rules((uint8_t)q->family); /* half of them lead astray */
	return r;
}

static int close_tun(struct broker_server *s, const struct broker_interface *q)
{
	struct tun *tun = find_tun(s, q->interface);

	if (!tun)
		return -ENODEV;
	for (int i = 0; i < 2; i++)
		if (!strcmp(s->rules_of[i], q->interface))
			remove_rules(s, i ? AF_INET6 : AF_INET);
	drop_tun(s, tun);
	return 0;
}

static int set_mtu(struct broker_server *s, const struct broker_interface *q)
{
	return find_tun(s, q->interface) ? netif_set_mtu(q->interface, q->mtu) : -ENODEV;
}

static int set_up(struct broker_server *s, const struct broker_interface *q)
{
	return find_tun(s, q->interface) ? netif_set_up(q->interface) : -ENODEV;
}

static int change_address(struct broker_server *s, const struct broker_address *q, bool is_new)
{
	if (!find_tun(s, q->interface))
		return -ENODEV;
	if (!is_prefix(&q->prefix) || (q->destination.family && !is_prefix(&q->destination)))
		return -EINVAL;
	return is_new ? netif_add_address(q->interface, &q->prefix, &q->destination)
		      : netif_remove_address(q->interface, &q->prefix, &q->destination);
}

/*
 * A route into a tunnel takes traffic away from where it goes now, so its table is not the
 * engine's to choose. To remove one needs no leave: a crashed engine may have left it.
 */
static int change_route(struct broker_server *s, const struct broker_route *q, bool is_new)
{
	if (!find_tun(s, q->interface))
		return -ENODEV;
	if (!is_prefix(&q->route.to))
		return -EINVAL;
	if (is_new && s->calls && !s->calls->may_route(s->ctx, q->interface, q->route.table))
		return -EPERM;
	return is_new ? netif_add_route(q->interface, &q->route)
		      : netif_remove_route(q->interface, &q->route);
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

size_t broker_request_len(uint32_t kind)
{
	const size_t head = offsetof(struct broker_request, tun);

	switch (kind) {
	case BROKER_OPEN_TUN:
		return head + sizeof(struct broker_tun);
	case BROKER_OPEN_QUEUE:
		return head + sizeof(struct broker_queue);
	case BROKER_CLOSE_TUN:
	case BROKER_SET_MTU:
	case BROKER_SET_UP:
	case BROKER_OPEN_UAPI:
	case BROKER_CLOSE_UAPI:
		return head + sizeof(struct broker_interface);
	case BROKER_ADD_ADDRESS:
	case BROKER_REMOVE_ADDRESS:
		return head + sizeof(struct broker_address);
	case BROKER_ADD_ROUTE:
	case BROKER_REMOVE_ROUTE:
		return head + sizeof(struct broker_route);
	case BROKER_SET_RULES:
		return head + sizeof(struct broker_rules);
	case BROKER_OPEN_UDP:
		return head + sizeof(struct broker_udp);
	case BROKER_LOAD_STAMP:
	case BROKER_STORE_STAMP:
		return head + sizeof(struct broker_stamp);
	case BROKER_RUN_HOOK:
		return head + sizeof(struct broker_hook);
	case BROKER_NEXT_KEY:
		return head + sizeof(struct broker_key);
	case BROKER_TELL:
		return head + sizeof(struct broker_event);
	case BROKER_OPEN_METRICS:
		return head + sizeof(struct broker_metrics);
	case BROKER_KEEP_ENDPOINTS:
		return head + sizeof(struct broker_endpoints);
	case BROKER_LOAD_ENDPOINTS:
		return head + sizeof(struct broker_network);
	case BROKER_OPEN_RESOLVER:
	case BROKER_READY:
	case BROKER_ALIVE:
	case BROKER_READ_CONFIG:
	case BROKER_KEEP_CONFIG:
		return head;
	}
	return 0;
}

static int serve(struct broker_server *s, const struct broker_request *q, struct broker_reply *ret,
		 int *ret_fd)
{
	switch (q->kind) {
	case BROKER_OPEN_TUN:
		return open_tun(s, &q->tun, ret, ret_fd);
	case BROKER_OPEN_QUEUE:
		return open_queue(s, &q->queue, ret_fd);
	case BROKER_CLOSE_TUN:
		return close_tun(s, &q->interface);
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
	s->tuns[s->n_tuns++] = *tun;
}

void broker_server_be_patient(struct broker_server *s, nsec_t until)
{
	s->patient_until = until;
}

void broker_server_free(struct broker_server *s)
{
	if (!s)
		return;
	while (s->n_tuns)
		drop_tun(s, &s->tuns[s->n_tuns - 1]);
	endpoints_deinit(&s->endpoints);
	free(s);
}
