/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* In the place of metrics_server.c where libmicrohttpd is left out. */
#include "control/metrics_server.h"

#include <errno.h>
#include <unistd.h>

int metrics_server_new(struct metrics_server **ret, int listen_fd, metrics_source source, void *ctx)
{
	(void)ret;
	(void)source;
	(void)ctx;
	close(listen_fd);
	return -EOPNOTSUPP;
}

void metrics_server_free(struct metrics_server *s)
{
	(void)s;
}

int metrics_server_fd(const struct metrics_server *s)
{
	(void)s;
	return -1;
}

nsec_t metrics_server_deadline(const struct metrics_server *s, nsec_t now)
{
	(void)s;
	(void)now;
	return NSEC_NEVER;
}

void metrics_server_dispatch(struct metrics_server *s)
{
	(void)s;
}
