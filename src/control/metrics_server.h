/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Gives the metrics to who asks by HTTP: GET /metrics, and GET /healthz (status 200, or 503 where
 * something is unhealthy). Owner: the main thread, which polls the descriptor.
 */
#pragma once

#include "control/buffer.h"
#include "control/verdict.h"
#include "util/clock.h"

struct metrics_server;

/* Fills in the metrics, and how all is. 0 or -errno. */
typedef int (*metrics_source)(void *ctx, struct buffer *ret_text, enum verdict *ret);

/* Takes over `listen_fd`. 0; -EOPNOTSUPP where this build has no HTTP; or -errno. */
int metrics_server_new(struct metrics_server **ret, int listen_fd, metrics_source source,
		       void *ctx);
void metrics_server_free(struct metrics_server *s); /* NULL is fine */

int metrics_server_fd(const struct metrics_server *s);
/* When metrics_server_dispatch() is to be called at the latest; NSEC_NEVER: when it is readable. */
nsec_t metrics_server_deadline(const struct metrics_server *s, nsec_t now);
void metrics_server_dispatch(struct metrics_server *s);
