/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "control/metrics_server.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* More than a few that ask at a time are a mistake, or an attack by somebody on this machine. */
#define CONNECTIONS_MAX 8
#define TIMEOUT_SECONDS 10

struct metrics_server {
	struct MHD_Daemon *http;
	metrics_source source;
	void *ctx;
};

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, const char *type,
			     const void *body, size_t len)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		len, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result reply_text(struct MHD_Connection *connection, unsigned status,
				  const char *text)
{
	return reply(connection, status, "text/plain; charset=utf-8", text, strlen(text));
}

static enum MHD_Result answer(struct metrics_server *s, struct MHD_Connection *connection,
			      const char *url)
{
	struct buffer text = {0};
	enum verdict verdict;
	enum MHD_Result result;
	int r = s->source(s->ctx, &text, &verdict);

	if (r < 0)
		result = reply_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, strerror(-r));
	else if (!strcmp(url, "/metrics"))
		result = reply(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
			       text.data, strlen(text.data));
	else
		result = reply_text(connection,
				    verdict == VERDICT_UNHEALTHY ? MHD_HTTP_SERVICE_UNAVAILABLE
								 : MHD_HTTP_OK,
				    verdict_name(verdict));
	buffer_deinit(&text);
	return result;
}

static enum MHD_Result handle(void *ctx, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *body,
			      size_t *body_len, void **request)
{
	static int is_begun;

	(void)version;
	(void)body;
	/* The first call comes before the body, which is not wanted but must have its end. */
	if (!*request) {
		*request = &is_begun;
		return MHD_YES;
	}
	if (*body_len) {
		*body_len = 0;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return reply_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET only\n");
	if (strcmp(url, "/metrics") != 0 && strcmp(url, "/healthz") != 0)
		return reply_text(connection, MHD_HTTP_NOT_FOUND, "/metrics or /healthz\n");
	return answer(ctx, connection, url);
}

int metrics_server_new(struct metrics_server **ret, int listen_fd, metrics_source source, void *ctx)
{
	struct metrics_server *s = calloc(1, sizeof(*s));

	if (!s) {
		close(listen_fd);
		return -ENOMEM;
	}
	s->source = source;
	s->ctx = ctx;
	s->http =
		MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, handle, s, MHD_OPTION_LISTEN_SOCKET,
				 listen_fd, MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
				 MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_SECONDS, MHD_OPTION_END);
	if (!s->http) {
		close(listen_fd);
		free(s);
		return -EIO;
	}
	*ret = s;
	return 0;
}

void metrics_server_free(struct metrics_server *s)
{
	if (!s)
		return;
	MHD_stop_daemon(s->http);
	free(s);
}

int metrics_server_fd(const struct metrics_server *s)
{
	return MHD_get_daemon_info(s->http, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
}

nsec_t metrics_server_deadline(const struct metrics_server *s, nsec_t now)
{
	MHD_UNSIGNED_LONG_LONG ms;

	return MHD_get_timeout(s->http, &ms) == MHD_YES ? now + (nsec_t)ms * NSEC_PER_MSEC
							: NSEC_NEVER;
}

void metrics_server_dispatch(struct metrics_server *s)
{
	MHD_run(s->http);
}
