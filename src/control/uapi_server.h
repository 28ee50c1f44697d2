/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The sockets at which wg(8) finds our interfaces. Owner: the main thread, which polls
 * uapi_server_fd(); nothing here blocks.
 */
#pragma once

#include "control/buffer.h"
#include "control/uapi.h"

#define UAPI_CLIENTS_MAX 16
/* A request's length; a peer takes about 300 bytes. */
#define UAPI_REQUEST_MAX (32 << 20)

struct uapi_server;

/* What is asked of the interface with that number. Both: 0 or -errno, which the client is told. */
struct uapi_calls {
	int (*get)(void *ctx, size_t interface, struct buffer *to);
	int (*set)(void *ctx, size_t interface, const struct uapi_set *set);
};

/* `calls` must live as long as it. 0 or -errno. */
int uapi_server_new(struct uapi_server **ret, const struct uapi_calls *calls, void *ctx);
/* Closes the connections; the listening sockets stay the caller's. NULL is fine. */
void uapi_server_free(struct uapi_server *s);
/* Serves those who connect to `listen_fd` for the interface of that number. 0 or -errno. */
int uapi_server_add(struct uapi_server *s, int listen_fd, size_t interface);
/* Nobody is served for that interface any more; the caller closes its socket after that. */
void uapi_server_remove(struct uapi_server *s, size_t interface);

int uapi_server_fd(const struct uapi_server *s);
void uapi_server_dispatch(struct uapi_server *s);
