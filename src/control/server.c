/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "control/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/buffer.h"
#include "control/request.h"
#include "util/log.h"

#define READ_BYTES (16 * 1024)
/* Answers to pipelined requests are sent in pieces of about this size. */
#define FLUSH_BYTES (64 * 1024)

struct client {
	int fd;		    /* -1: a free place */
	bool is_skipping;   /* the rest of a line that was too long */
	bool is_finished;   /* has closed its sending side, and goes when it has its answers */
	bool is_subscribed; /* gets events, also when it is finished, until it hangs up */
	struct buffer line;
	struct buffer output;
};

struct control {
	int listen_fd; /* the caller's */
	int epoll_fd;
	int spare_fd; /* given up to take and close a connection when there are no descriptors */
	struct request_table table;
	struct client clients[CONTROL_CLIENTS_MAX];
	struct json_object *remembered[CONTROL_REMEMBERED_MAX]; /* NULL: a free place */
};

/* The only failure is that of a client: what these functions return ends it, not the server. */

static int flush(struct client *client)
{
	ssize_t n;

	while (client->output.len) {
		n = send(client->fd, client->output.data, client->output.len, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		buffer_consume(&client->output, (size_t)n);
	}
	return 0;
}

/* One answer may be larger than what may wait: the status of ten thousand peers is. */
static int queue(struct client *client, const char *text, size_t len)
{
	int r;

	if (client->output.len > CONTROL_OUTPUT_MAX) {
		log_info("control: a client that does not read its answers is disconnected");
		return -ENOBUFS;
	}
	r = buffer_append(&client->output, text, len);
	if (!r)
		r = buffer_append(&client->output, "\n", 1);
	if (!r && client->output.len > FLUSH_BYTES)
		r = flush(client);
	return r;
}

/* `answer` is given away. */
static int queue_answer(struct client *client, struct json_object *answer)
{
	static const char unwritable[] = "{\"id\":null,\"success\":false,\"error\":{\"type\":"
					 "\"serialization_error\",\"message\":\"out of memory\"}}";
	const char *text = NULL;
	size_t len;
	int r;

	if (answer)
		text = json_object_to_json_string_length(
			answer, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);
	if (!text) {
		text = unwritable;
		len = sizeof(unwritable) - 1;
	}
	r = queue(client, text, len);
	json_object_put(answer);
	return r;
}

static const char *event_text(struct json_object *event, size_t *ret_len)
{
	return json_object_to_json_string_length(
		event, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, ret_len);
}

/* Whoever has asked for events is told what there was before. */
static int subscribe(const struct control *c, struct client *client)
{
	size_t len;
	int r = 0;

	for (size_t i = 0; r == 0 && i < CONTROL_REMEMBERED_MAX && c->remembered[i]; i++) {
		const char *text = event_text(c->remembered[i], &len);

		r = text ? queue(client, text, len) : -ENOMEM;
	}
	client->is_subscribed = true;
	return r;
}

static bool is_blank(const struct buffer *line)
{
	for (size_t i = 0; i < line->len; i++)
		if (!strchr(" \t\r", line->data[i]) || !line->data[i])
			return false;
	return true;
}

static int end_line(struct control *c, struct client *client)
{
	struct json_object *answer;
	bool subscribes;
	int r = 0;

	if (client->is_skipping) {
		client->is_skipping = false;
	} else if (!is_blank(&client->line)) {
		answer =
			request_answer(&c->table, client->line.data, client->line.len, &subscribes);
		r = queue_answer(client, answer);
		if (r == 0 && subscribes && !client->is_subscribed)
			r = subscribe(c, client);
	}
	client->line.len = 0;
	return r;
}

static int extend_line(struct client *client, const char *data, size_t len)
{
	if (client->is_skipping)
		return 0;
	if (client->line.len + len <= CONTROL_LINE_MAX)
		return buffer_append(&client->line, data, len);
	client->is_skipping = true;
	return queue_answer(
		client, request_refuse(NULL, CONTROL_parse_error, "the line is longer than 64 KB"));
}

static int take(struct control *c, struct client *client, const char *data, size_t len)
{
	const char *newline;
	size_t n;
	int r = 0;

	while (len && !r) {
		newline = memchr(data, '\n', len);
		n = newline ? (size_t)(newline - data) : len;
		r = extend_line(client, data, n);
		if (!r && newline)
			r = end_line(c, client);
		n += newline ? 1 : 0;
		data += n;
		len -= n;
	}
	return r;
}

static int receive(struct control *c, struct client *client)
{
	char data[READ_BYTES];
	ssize_t n = recv(client->fd, data, sizeof(data), 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n > 0)
		return take(c, client, data, (size_t)n);
	client->is_finished = true;
	return end_line(c, client);
}

static int watch(const struct control *c, int operation, struct client *client)
{
	struct epoll_event event = {.data.ptr = client};

	event.events = (client->is_finished ? 0 : EPOLLIN) | (client->output.len ? EPOLLOUT : 0);
	return epoll_ctl(c->epoll_fd, operation, client->fd, &event) < 0 ? -errno : 0;
}

static void drop(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	buffer_deinit(&client->line);
	buffer_deinit(&client->output);
	*client = (struct client){.fd = -1};
}

/* Sends what can be sent, and lets the client go when nothing more is to come. */
static void settle(struct control *c, struct client *client, int r)
{
	if (!r)
		r = flush(client);
	if (!r && client->is_finished && !client->is_subscribed && !client->output.len)
		r = -ECONNRESET;
	if (!r)
		r = watch(c, EPOLL_CTL_MOD, client);
	if (r < 0)
		drop(client);
}

static void serve(struct control *c, struct client *client, uint32_t events)
{
	if (client->is_finished && events & (EPOLLHUP | EPOLLERR))
		drop(client);
	else
		settle(c, client, client->is_finished ? 0 : receive(c, client));
}

static struct client *find_place(struct control *c)
{
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		if (c->clients[i].fd < 0)
			return &c->clients[i];
	return NULL;
}

static void turn_away(int fd)
{
	struct client client = {.fd = fd};

	if (!queue_answer(&client,
			  request_refuse(NULL, CONTROL_too_many_clients, "too many clients")))
		flush(&client);
	drop(&client);
}

/* A connection that nobody takes would keep the main loop awake for ever. */
static void shed_connection(struct control *c)
{
	int fd;

	close(c->spare_fd);
	fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		close(fd);
	c->spare_fd = fcntl(c->epoll_fd, F_DUPFD_CLOEXEC, 0);
}

static void accept_client(struct control *c)
{
	struct client *client = find_place(c);
	int fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			shed_connection(c);
		return;
	}
	if (!client) {
		turn_away(fd);
		return;
	}
	client->fd = fd;
	if (watch(c, EPOLL_CTL_ADD, client) < 0)
		drop(client);
}

static int init(struct control *c)
{
	struct epoll_event event = {.events = EPOLLIN};

	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (c->epoll_fd < 0)
		return -errno;
	c->spare_fd = fcntl(c->epoll_fd, F_DUPFD_CLOEXEC, 0);
	if (c->spare_fd < 0)
		return -errno;
	return epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, c->listen_fd, &event) < 0 ? -errno : 0;
}

int control_new(struct control **ret, int listen_fd, const struct control_action *actions,
		size_t n_actions)
{
	struct control *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->listen_fd = listen_fd;
	c->epoll_fd = -1;
	c->spare_fd = -1;
	c->table = (struct request_table){.actions = actions, .n_actions = n_actions};
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		c->clients[i].fd = -1;
	r = init(c);
	if (r < 0) {
		control_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		drop(&c->clients[i]);
	for (size_t i = 0; i < CONTROL_REMEMBERED_MAX; i++)
		json_object_put(c->remembered[i]);
	if (c->spare_fd >= 0)
		close(c->spare_fd);
	if (c->epoll_fd >= 0)
		close(c->epoll_fd);
	free(c);
}

int control_fd(const struct control *c)
{
	return c->epoll_fd;
}

void control_dispatch(struct control *c)
{
	struct epoll_event events[CONTROL_CLIENTS_MAX + 1];
	int n = epoll_wait(c->epoll_fd, events, CONTROL_CLIENTS_MAX + 1, 0);

	for (int i = 0; i < n; i++) {
		if (events[i].data.ptr)
			serve(c, events[i].data.ptr, events[i].events);
		else
			accept_client(c);
	}
}

void control_publish(struct control *c, struct json_object *event)
{
	size_t len;
	const char *text = event_text(event, &len);

	for (size_t i = 0; text && i < CONTROL_CLIENTS_MAX; i++) {
		struct client *client = &c->clients[i];

		if (client->fd >= 0 && client->is_subscribed)
			settle(c, client, queue(client, text, len));
	}
}

void control_remember(struct control *c, struct json_object *event)
{
	size_t i = 0;

	while (i < CONTROL_REMEMBERED_MAX && c->remembered[i])
		i++;
	if (i < CONTROL_REMEMBERED_MAX)
		c->remembered[i] = json_object_get(event);
	control_publish(c, event);
}
