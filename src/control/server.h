/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The daemon's control socket: clients send requests as lines of JSON and get one line for
 * each (docs/control.md). Owner: the main thread, which polls control_fd() and calls
 * control_dispatch() when it is readable; nothing here blocks.
 */
#pragma once

#include <stddef.h>

#include "control/action.h"

#define CONTROL_CLIENTS_MAX 32
#define CONTROL_REMEMBERED_MAX 4
/* A request's length, its newline not counted. */
#define CONTROL_LINE_MAX (64 * 1024)
/* A client is dropped when this many bytes of answers wait for it to read. */
#define CONTROL_OUTPUT_MAX (1024 * 1024)

struct control;

/*
 * Serves those who connect to `listen_fd` (control_socket_listen()), which stays the caller's;
 * it and the actions must live as long as the server. 0 or -errno.
 */
int control_new(struct control **ret, int listen_fd, const struct control_action *actions,
		size_t n_actions);
/* Closes all connections. NULL is fine. */
void control_free(struct control *c);

/* Sends an event, as one line, to all clients that have subscribed. Not from within a handler. */
void control_publish(struct control *c, struct json_object *event);

/*
 * The same, and also to all who will subscribe, before anything else: what is to be known of the
 * daemon, however late one comes. At most CONTROL_REMEMBERED_MAX; more are only sent.
 */
void control_remember(struct control *c, struct json_object *event);

/* Readable when there is something to do. */
int control_fd(const struct control *c);
/* Does what can be done now; call it again while control_fd() is readable. */
void control_dispatch(struct control *c);
