/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * An action of the control socket: a row of the table that the daemon gives to control_new(),
 * and how its handler answers. Handlers run in the main thread and must not block.
 */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>

/* The error types of docs/control.md. */
#define CONTROL_ERRORS(X)                                                                          \
	X(parse_error)                                                                             \
	X(unknown_action)                                                                          \
	X(serialization_error)                                                                     \
	X(invalid_state)                                                                           \
	X(network_not_found)                                                                       \
	X(config_error)                                                                            \
	X(platform_error)                                                                          \
	X(internal_error)                                                                          \
	X(authentication_failed)                                                                   \
	X(permission_denied)                                                                       \
	X(too_many_clients)

enum control_error {
	CONTROL_OK,
#define X(name) CONTROL_##name,
	CONTROL_ERRORS(X)
#undef X
};

#define CONTROL_NETWORK_DEFAULT "default"

/* What a client asks for; lives as long as the call of the handler. */
struct control_request {
	const char *network;	   /* NULL where none is named: CONTROL_NETWORK_DEFAULT, or all */
	struct json_object *whole; /* for what else the action takes */
};

struct control_reply {
	struct json_object *data; /* the handler's, given away; NULL becomes an empty object */
	char message[1024];	  /* of an error */
};

struct control_action {
	const char *name;
	/* CONTROL_OK with reply->data, or what control_fail() returned. */
	enum control_error (*handle)(void *ctx, const struct control_request *request,
				     struct control_reply *reply);
	void *ctx;
	const char *keys; /* "name settings": what it takes besides what all take; NULL: nothing */
	bool subscribes;  /* after success the client gets events, until it hangs up */
};

/* "parse_error", as answers carry it. */
const char *control_error_name(enum control_error error);

/* Writes the reply's message and returns `error`. */
__attribute__((format(printf, 3, 4))) enum control_error
control_fail(struct control_reply *reply, enum control_error error, const char *format, ...);
