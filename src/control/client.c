/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "control/client.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "control/buffer.h"
#include "control/socket.h"

/* Far above any status; what is more comes from no vtrunkd. */
#define ANSWER_MAX (64 * 1024 * 1024)

static int connect_to(int *ret_fd, const char *path, nsec_t timeout)
{
	/* Also paces connect(), which waits while the daemon's backlog is full. */
	struct timeval tv = {
		.tv_sec = timeout / NSEC_PER_SEC,
		.tv_usec = timeout % NSEC_PER_SEC / NSEC_PER_USEC,
	};
	struct sockaddr_un address;
	int r = control_socket_address(&address, path);
	int fd;

	if (r < 0)
		return r;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0 ||
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		r = errno == EAGAIN ? -ETIMEDOUT : -errno;
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

static int send_line(int fd, struct json_object *request)
{
	struct buffer line = {0};
	const char *text = json_object_to_json_string_ext(request, JSON_C_TO_STRING_PLAIN);
	ssize_t n;
	int r;

	if (!text)
		return -ENOMEM;
	r = buffer_append(&line, text, strlen(text));
	if (!r)
		r = buffer_append(&line, "\n", 1);
	while (!r && line.len) {
		n = send(fd, line.data, line.len, MSG_NOSIGNAL);
		if (n >= 0)
			buffer_consume(&line, (size_t)n);
		else if (errno == EAGAIN)
			r = -ETIMEDOUT;
		else if (errno != EINTR)
			r = -errno;
	}
	buffer_deinit(&line);
	return r;
}

/* 0 as soon as there is something to read. */
static int wait_readable(int fd, nsec_t deadline)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	nsec_t left = deadline - clock_now();
	int n;

	if (left <= 0)
		return -ETIMEDOUT;
	n = poll(&p, 1, (int)nsec_min(left / NSEC_PER_MSEC + 1, INT32_MAX));
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n ? 0 : -ETIMEDOUT;
}

/* Reads until `ret_line` ends in a newline, which is taken off. */
static int receive_line(int fd, struct buffer *ret_line, nsec_t deadline)
{
	char data[16 * 1024];
	ssize_t n;
	int r;

	while (ret_line->len <= ANSWER_MAX) {
		r = wait_readable(fd, deadline);
		if (r < 0)
			return r;
		n = recv(fd, data, sizeof(data), MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return n ? -errno : -ECONNRESET;
		r = buffer_append(ret_line, data, (size_t)n);
		if (r < 0)
			return r;
		if (data[n - 1] == '\n') {
			ret_line->len--;
			return 0;
		}
	}
	return -EBADMSG;
}

static struct json_object *parse(const struct buffer *line)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *value;

	if (!tokener)
		return NULL;
	value = json_tokener_parse_ex(tokener, line->data, (int)line->len);
	json_tokener_free(tokener);
	if (json_object_is_type(value, json_type_object))
		return value;
	json_object_put(value);
	return NULL;
}

int control_call(struct json_object **ret_answer, const char *path, struct json_object *request,
		 nsec_t timeout)
{
	nsec_t deadline = clock_now() + timeout;
	struct buffer line = {0};
	struct json_object *answer;
	int fd = -1;
	int r = connect_to(&fd, path, timeout);

	if (r < 0)
		return r;
	r = send_line(fd, request);
	/* A daemon with too many clients hangs up, but says so first. */
	if (!r || r == -EPIPE)
		r = receive_line(fd, &line, deadline);
	if (!r) {
		answer = parse(&line);
		if (answer)
			*ret_answer = answer;
		else
			r = -EBADMSG;
	}
	buffer_deinit(&line);
	close(fd);
	return r;
}
