/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "broker/broker.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/channel.h"
#include "broker/server.h"
#include "crypto/keys.h"

struct broker {
	struct broker_server *server; /* NULL: it is at the other end of the channel */
	int channel;
	/* One request at a time: whoever holds it may use the server or the channel. */
	pthread_mutex_t turn;
};

static int new (struct broker **ret, struct broker_server *server, int channel)
{
	struct broker *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->server = server;
	b->channel = channel;
	pthread_mutex_init(&b->turn, NULL);
	*ret = b;
	return 0;
}

int broker_new_direct(struct broker **ret, struct broker_server *server)
{
	return new (ret, server, -1);
}

int broker_new_remote(struct broker **ret, int channel)
{
	return new (ret, NULL, channel);
}

void broker_free(struct broker *b)
{
	if (!b)
		return;
	if (b->channel >= 0)
		close(b->channel);
	pthread_mutex_destroy(&b->turn);
	free(b);
}

static int exchange(const struct broker *b, const struct broker_request *q, size_t len,
		    struct broker_reply *reply, int *ret_fd)
{
	size_t reply_len;
	int r = channel_send(b->channel, q, len, -1);

	if (r == 0)
		r = channel_receive(b->channel, reply, sizeof(*reply), &reply_len, ret_fd);
	if (r < 0)
		return r;
	if (reply_len == sizeof(*reply) && reply->has_fd == (*ret_fd >= 0))
		return 0;
	if (*ret_fd >= 0)
		close(*ret_fd);
	return -EBADMSG;
}

/* `ret_fd` is NULL for a request that is never answered by a descriptor. */
static int ask(struct broker *b, const struct broker_request *q, struct broker_reply *reply,
	       int *ret_fd)
{
	size_t len = broker_request_len(q->kind);
	int fd = -1;
	int r = 0;

	pthread_mutex_lock(&b->turn);
	if (b->server)
		broker_serve(b->server, q, len, reply, &fd);
	else
		r = exchange(b, q, len, reply, &fd);
	pthread_mutex_unlock(&b->turn);
	if (r == 0)
		r = reply->result;
	if (r == 0 && (ret_fd != NULL) != (fd >= 0))
		r = -EBADMSG;
	if (r == 0 && ret_fd)
		*ret_fd = fd;
	else if (fd >= 0)
		close(fd);
	return r;
}

/* -ENAMETOOLONG where it does not fit with its zero. */
static int put_text(char *to, size_t size, const char *text)
{
	size_t len = strlen(text);

	if (len >= size)
		return -ENAMETOOLONG;
	memcpy(to, text, len + 1);
	return 0;
}

int broker_open_tun(struct broker *b, struct tun *ret, bool *ret_was_kept, const char *interface,
		    struct tun_wants wants)
{
	struct broker_request q = {
		.kind = BROKER_OPEN_TUN,
		.tun = {.wants_tso = wants.tso,
			.wants_uso = wants.uso,
			.wants_queues = wants.queues},
	};
	struct broker_reply reply;
	int fd;
	int r = put_text(q.tun.interface, sizeof(q.tun.interface), interface);

	if (r == 0)
		r = ask(b, &q, &reply, &fd);
	if (r < 0)
		return r;
	*ret = reply.tun.tun;
	ret->fd = fd;
	*ret_was_kept = reply.tun.was_kept;
	return 0;
}

int broker_open_queue(struct broker *b, int *ret_fd, const char *interface, bool is_detached)
{
	struct broker_request q = {.kind = BROKER_OPEN_QUEUE, .queue.is_detached = is_detached};
	struct broker_reply reply;
	int r = put_text(q.queue.interface, sizeof(q.queue.interface), interface);

	return r < 0 ? r : ask(b, &q, &reply, ret_fd);
}

static int ask_of_interface(struct broker *b, enum broker_kind kind, const char *interface,
			    uint32_t mtu)
{
	struct broker_request q = {.kind = kind, .interface.mtu = mtu};
	struct broker_reply reply;
	int r = put_text(q.interface.interface, sizeof(q.interface.interface), interface);

	return r < 0 ? r : ask(b, &q, &reply, NULL);
}

int broker_close_tun(struct broker *b, const char *interface)
{
	return ask_of_interface(b, BROKER_CLOSE_TUN, interface, 0);
}

int broker_set_mtu(struct broker *b, const char *interface, uint32_t mtu)
{
	return ask_of_interface(b, BROKER_SET_MTU, interface, mtu);
}

int broker_set_up(struct broker *b, const char *interface)
{
	return ask_of_interface(b, BROKER_SET_UP, interface, 0);
}

static int change_address(struct broker *b, enum broker_kind kind, const char *interface,
			  const struct prefix *p, const struct prefix *destination)
{
	struct broker_request q = {.kind = kind, .address.prefix = *p};
	struct broker_reply reply;
	int r = put_text(q.address.interface, sizeof(q.address.interface), interface);

	if (destination)
		q.address.destination = *destination;
	return r < 0 ? r : ask(b, &q, &reply, NULL);
}

int broker_add_address(struct broker *b, const char *interface, const struct prefix *p,
		       const struct prefix *destination)
{
	return change_address(b, BROKER_ADD_ADDRESS, interface, p, destination);
}

int broker_remove_address(struct broker *b, const char *interface, const struct prefix *p,
			  const struct prefix *destination)
{
	return change_address(b, BROKER_REMOVE_ADDRESS, interface, p, destination);
}

static int change_route(struct broker *b, enum broker_kind kind, const char *interface,
			const struct route *route)
{
	struct broker_request q = {.kind = kind, .route.route = *route};
	struct broker_reply reply;
	int r = put_text(q.route.interface, sizeof(q.route.interface), interface);

	return r < 0 ? r : ask(b, &q, &reply, NULL);
}

int broker_add_route(struct broker *b, const char *interface, const struct route *route)
{
	return change_route(b, BROKER_ADD_ROUTE, interface, route);
}

int broker_remove_route(struct broker *b, const char *interface, const struct route *route)
{
	return change_route(b, BROKER_REMOVE_ROUTE, interface, route);
}

int broker_set_rules(struct broker *b, const char *interface, int family, uint32_t mark)
{
	struct broker_request q = {.kind = BROKER_SET_RULES,
				   .rules = {.family = family, .mark = mark}};
	struct broker_reply reply;
	int r = put_text(q.rules.interface, sizeof(q.rules.interface), interface);

	return r < 0 ? r : ask(b, &q, &reply, NULL);
}

int broker_open_udp(struct broker *b, struct udp_socket *ret, const struct link_settings *s,
		    int family, size_t bytes)
{
	struct broker_request q = {
		.kind = BROKER_OPEN_UDP,
		.udp = {.bind = s->bind,
			.port = s->port,
			.fwmark = s->fwmark,
			.bytes = (uint32_t)bytes,
			.receive_buffer = s->receive_buffer,
			.send_buffer = s->send_buffer,
			.family = family,
			.wants_gso = s->gso != OFFLOAD_OFF,
			.wants_gro = s->gro != OFFLOAD_OFF},
	};
	struct broker_reply reply;
	int fd;
	int r = put_text(q.udp.device, sizeof(q.udp.device), s->device);

	if (r == 0)
		r = ask(b, &q, &reply, &fd);
	if (r < 0)
		return r;
	*ret = reply.udp;
	ret->fd = fd;
	return 0;
}

int broker_load_stamp(struct broker *b, const char *network, nsec_t *ret)
{
	struct broker_request q = {.kind = BROKER_LOAD_STAMP};
	struct broker_reply reply;
	int r = put_text(q.stamp.network, sizeof(q.stamp.network), network);

	if (r == 0)
		r = ask(b, &q, &reply, NULL);
	if (r == 0)
		*ret = reply.time;
	return r;
}

int broker_store_stamp(struct broker *b, const char *network, nsec_t time)
{
	struct broker_request q = {.kind = BROKER_STORE_STAMP, .stamp.time = time};
	struct broker_reply reply;
	int r = put_text(q.stamp.network, sizeof(q.stamp.network), network);

	return r < 0 ? r : ask(b, &q, &reply, NULL);
}

int broker_keep_endpoints(struct broker *b, const struct broker_endpoints *e)
{
	struct broker_request q = {.kind = BROKER_KEEP_ENDPOINTS, .endpoints = *e};
	struct broker_reply reply;

	return ask(b, &q, &reply, NULL);
}

static int read_endpoints(int fd, struct broker_endpoints **ret, size_t *ret_n)
{
	off_t len = lseek(fd, 0, SEEK_END);
	struct broker_endpoints *list = len > 0 ? malloc((size_t)len) : NULL;

	if (!list)
		return len > 0 ? -ENOMEM : -EBADMSG;
	if (pread(fd, list, (size_t)len, 0) != len) {
		free(list);
		return -EIO;
	}
	*ret = list;
	*ret_n = (size_t)len / sizeof(*list);
	return 0;
}

int broker_load_endpoints(struct broker *b, const char *network, struct broker_endpoints **ret,
			  size_t *ret_n)
{
	struct broker_request q = {.kind = BROKER_LOAD_ENDPOINTS};
	struct broker_reply reply;
	int fd;
	int r = put_text(q.network.network, sizeof(q.network.network), network);

	if (r == 0)
		r = ask(b, &q, &reply, &fd);
	if (r < 0)
		return r;
	r = read_endpoints(fd, ret, ret_n);
	close(fd);
	return r;
}

int broker_open_resolver(struct broker *b, int *ret_fd)
{
	struct broker_request q = {.kind = BROKER_OPEN_RESOLVER};
	struct broker_reply reply;

	return ask(b, &q, &reply, ret_fd);
}

static int tell(struct broker *b, enum broker_kind kind)
{
	struct broker_request q = {.kind = kind};
	struct broker_reply reply;

	return ask(b, &q, &reply, NULL);
}

int broker_ready(struct broker *b)
{
	return tell(b, BROKER_READY);
}

int broker_alive(struct broker *b)
{
	return tell(b, BROKER_ALIVE);
}

int broker_read_config(struct broker *b, int *ret_fd)
{
	struct broker_request q = {.kind = BROKER_READ_CONFIG};
	struct broker_reply reply;

	return ask(b, &q, &reply, ret_fd);
}

int broker_keep_config(struct broker *b)
{
	return tell(b, BROKER_KEEP_CONFIG);
}

int broker_open_uapi(struct broker *b, const char *interface, int *ret_fd)
{
	struct broker_request q = {.kind = BROKER_OPEN_UAPI};
	struct broker_reply reply;
	int r = put_text(q.interface.interface, sizeof(q.interface.interface), interface);

	return r < 0 ? r : ask(b, &q, &reply, ret_fd);
}

int broker_close_uapi(struct broker *b, const char *interface)
{
	return ask_of_interface(b, BROKER_CLOSE_UAPI, interface, 0);
}

int broker_open_metrics(struct broker *b, enum broker_metrics_kind kind, int *ret_fd)
{
	struct broker_request q = {.kind = BROKER_OPEN_METRICS, .metrics.kind = kind};
	struct broker_reply reply;

	return ask(b, &q, &reply, ret_fd);
}

int broker_next_key(struct broker *b, const char *network, enum broker_key_step step,
		    uint8_t ret_key[32])
{
	struct broker_request q = {.kind = BROKER_NEXT_KEY, .key.step = step};
	struct broker_reply reply;
	int r = put_text(q.key.network, sizeof(q.key.network), network);

	if (r == 0)
		r = ask(b, &q, &reply, NULL);
	if (r < 0)
		return r;
	memcpy(ret_key, reply.key, sizeof(reply.key));
	keys_wipe(reply.key, sizeof(reply.key));
	return 0;
}

static int put_event(struct broker_event *to, const struct record *r)
{
	to->len = r->len;
	memcpy(to->fields, r->text, r->len);
	return put_text(to->name, sizeof(to->name), r->name);
}

int broker_run_hook(struct broker *b, const char *network, enum hook_kind hook,
		    const struct record *record)
{
	struct broker_request q = {.kind = BROKER_RUN_HOOK, .hook.hook = hook};
	struct broker_reply reply;
	int r = put_text(q.hook.network, sizeof(q.hook.network), network);

	if (r == 0)
		r = put_event(&q.hook.event, record);
	return r < 0 ? r : ask(b, &q, &reply, NULL);
}

int broker_tell(struct broker *b, const struct record *record)
{
	struct broker_request q = {.kind = BROKER_TELL};
	struct broker_reply reply;
	int r = put_event(&q.event, record);

	return r < 0 ? r : ask(b, &q, &reply, NULL);
}
