/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "control/client.h"

#include <errno.h>
#include <poll.h>
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
	return n || clock_now() < deadline ? 0 : -ETIMEDOUT;
}

/* Reads more; what comes is appended to what the stream has. */
static int receive(struct control_stream *s, nsec_t deadline)
{
	char data[16 * 1024];
	ssize_t n;
	int r = wait_readable(s->fd, deadline);

	if (r < 0)
		return r;
	n = recv(s->fd, data, sizeof(data), MSG_DONTWAIT);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : -errno;
	if (!n)
		return -ECONNRESET;
	return buffer_append(&s->input, data, (size_t)n);
}

/* The object that `len` bytes are, or NULL. */
static struct json_object *parse(const char *text, size_t len)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *value;

	if (!tokener)
		return NULL;
	value = json_tokener_parse_ex(tokener, text, (int)len);
	json_tokener_free(tokener);
	if (json_object_is_type(value, json_type_object))
		return value;
	json_object_put(value);
	return NULL;
}

int control_stream_open(struct control_stream *ret, const char *path, struct json_object *request,
			nsec_t timeout)
{
	struct control_stream s = {.fd = -1};
	int r = connect_to(&s.fd, path, timeout);

	if (r < 0)
		return r;
	r = send_line(s.fd, request);
	/* A daemon with too many clients hangs up, but says so first. */
	if (r < 0 && r != -EPIPE) {
		close(s.fd);
		return r;
	}
	*ret = s;
	return 0;
}

int control_stream_next(struct json_object **ret, struct control_stream *s, nsec_t deadline)
{
	size_t searched = 0;

	while (s->input.len <= ANSWER_MAX) {
		char *newline = s->input.len > searched ? memchr(s->input.data + searched, '\n',
								 s->input.len - searched)
							: NULL;
		struct json_object *o;
		size_t len;
		int r;

		if (newline) {
			len = (size_t)(newline - s->input.data);
			o = parse(s->input.data, len);
			buffer_consume(&s->input, len + 1);
			*ret = o ? o : *ret;
			return o ? 0 : -EBADMSG;
		}
		searched = s->input.len;
		r = receive(s, deadline);
		if (r < 0)
			return r;
	}
	return -EBADMSG;
}

void control_stream_close(struct control_stream *s)
{
	buffer_deinit(&s->input);
	close(s->fd);
}

int control_call(struct json_object **ret_answer, const char *path, struct json_object *request,
		 nsec_t timeout)
{
	nsec_t deadline = clock_now() + timeout;
	struct control_stream s;
	int r = control_stream_open(&s, path, request, timeout);

	if (r < 0)
		return r;
	r = control_stream_next(ret_answer, &s, deadline);
	control_stream_close(&s);
	return r;
}
