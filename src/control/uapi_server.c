/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "control/uapi_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/keys.h"

#define LISTENERS_MAX 64 /* their numbers are below */
#define READ_BYTES (16 * 1024)
#define EVENTS 8

struct client {
	int fd; /* -1: a free place */
	size_t interface;
	struct buffer input;
	size_t scanned; /* of the input: no request ends before it */
	struct buffer output;
};

struct listener {
	int fd; /* -1: a free place */
};

struct uapi_server {
	const struct uapi_calls *calls;
	void *ctx;
	int epoll_fd;
	struct listener listeners[LISTENERS_MAX]; /* by the number of their interface */
	struct client clients[UAPI_CLIENTS_MAX];
};

int uapi_server_new(struct uapi_server **ret, const struct uapi_calls *calls, void *ctx)
{
	struct uapi_server *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->calls = calls;
	s->ctx = ctx;
	for (size_t i = 0; i < UAPI_CLIENTS_MAX; i++)
		s->clients[i].fd = -1;
	for (size_t i = 0; i < LISTENERS_MAX; i++)
		s->listeners[i].fd = -1;
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll_fd < 0) {
		r = -errno;
		free(s);
		return r;
	}
	*ret = s;
	return 0;
}

/* Keys have been in it. */
static void wipe(struct buffer *b)
{
	if (b->data)
		keys_wipe(b->data, b->room);
	buffer_deinit(b);
}

static void disconnect(struct client *c)
{
	close(c->fd);
	c->fd = -1;
	c->scanned = 0;
	wipe(&c->input);
	wipe(&c->output);
}

void uapi_server_free(struct uapi_server *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < UAPI_CLIENTS_MAX; i++) {
		if (s->clients[i].fd >= 0)
			disconnect(&s->clients[i]);
	}
	close(s->epoll_fd);
	free(s);
}

static int watch(struct uapi_server *s, int op, int fd, uint32_t events, void *what)
{
	struct epoll_event e = {.events = events, .data.ptr = what};

	return epoll_ctl(s->epoll_fd, op, fd, &e) < 0 ? -errno : 0;
}

int uapi_server_add(struct uapi_server *s, int listen_fd, size_t interface)
{
	struct listener *l = &s->listeners[interface];
	int r;

	if (interface >= LISTENERS_MAX)
		return -EMFILE;
	r = watch(s, EPOLL_CTL_ADD, listen_fd, EPOLLIN, l);
	if (r == 0)
		l->fd = listen_fd;
	return r;
}

void uapi_server_remove(struct uapi_server *s, size_t interface)
{
	struct listener *l = &s->listeners[interface];

	for (size_t i = 0; i < UAPI_CLIENTS_MAX; i++)
		if (s->clients[i].fd >= 0 && s->clients[i].interface == interface)
			disconnect(&s->clients[i]);
	epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, l->fd, NULL);
	l->fd = -1;
}

int uapi_server_fd(const struct uapi_server *s)
{
	return s->epoll_fd;
}

static void admit(struct uapi_server *s, const struct listener *l)
{
	struct client *c = s->clients;
	int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	while (c < s->clients + UAPI_CLIENTS_MAX && c->fd >= 0)
		c++;
	if (c == s->clients + UAPI_CLIENTS_MAX || watch(s, EPOLL_CTL_ADD, fd, EPOLLIN, c) < 0) {
		close(fd);
		return;
	}
	c->fd = fd;
	c->interface = (size_t)(l - s->listeners);
}

static int answer_set(struct uapi_server *s, const struct client *c, char *lines)
{
	struct uapi_set set;
	int r = uapi_set_parse(&set, lines);

	if (r == 0)
		r = s->calls->set(s->ctx, c->interface, &set);
	uapi_set_deinit(&set);
	return r;
}

/* `request` ends with a zero in place of its empty line. -EPROTO ends the connection. */
static int answer(struct uapi_server *s, struct client *c, char *request)
{
	int r;

	if (!strcmp(request, "get=1"))
		r = s->calls->get(s->ctx, c->interface, &c->output);
	else if (!strncmp(request, "set=1", 5) && (!request[5] || request[5] == '\n'))
		r = answer_set(s, c, request + 5);
	else
		return -EPROTO;
	return uapi_write_result(&c->output, r);
}

/* The end of the first request that is there as a whole: its empty line; NULL if none is. */
static char *end_of_request(struct client *c)
{
	char *end = memmem(c->input.data + c->scanned, c->input.len - c->scanned, "\n\n", 2);

	if (!end)
		c->scanned = c->input.len ? c->input.len - 1 : 0;
	return end;
}

static int answer_all(struct uapi_server *s, struct client *c)
{
	char *end;
	int r = 0;

	while (r == 0 && c->input.len && (end = end_of_request(c))) {
		*end = '\0';
		/* Behind a zero nothing would be read. */
		r = c->input.data + strlen(c->input.data) == end ? answer(s, c, c->input.data)
								 : -EPROTO;
		buffer_consume(&c->input, (size_t)(end + 2 - c->input.data));
		c->scanned = 0;
	}
	return r < 0 || c->input.len <= UAPI_REQUEST_MAX ? r : -EMSGSIZE;
}

static int flush(struct uapi_server *s, struct client *c)
{
	while (c->output.len) {
		ssize_t n = send(c->fd, c->output.data, c->output.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return watch(s, EPOLL_CTL_MOD, c->fd, EPOLLOUT, c);
		if (n < 0)
			return -errno;
		buffer_consume(&c->output, (size_t)n);
	}
	return watch(s, EPOLL_CTL_MOD, c->fd, EPOLLIN, c);
}

static int take_input(struct uapi_server *s, struct client *c)
{
	char piece[READ_BYTES];
	ssize_t n = recv(c->fd, piece, sizeof(piece), 0);
	int r;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -EPIPE;
	r = buffer_append(&c->input, piece, (size_t)n);
	keys_wipe(piece, (size_t)n);
	return r < 0 ? r : answer_all(s, c);
}

static void serve(struct uapi_server *s, struct client *c, uint32_t events)
{
	int r = c->fd < 0 ? 0 : events & (EPOLLIN | EPOLLHUP) ? take_input(s, c) : 0;

	if (c->fd >= 0 && r == 0)
		r = flush(s, c);
	if (r < 0)
		disconnect(c);
}

void uapi_server_dispatch(struct uapi_server *s)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(s->epoll_fd, events, EVENTS, 0);

	for (int i = 0; i < n; i++) {
		struct listener *l = events[i].data.ptr;

		if (l >= s->listeners && l < s->listeners + LISTENERS_MAX)
			admit(s, l);
		else
			serve(s, events[i].data.ptr, events[i].events);
	}
}
