/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The other end of the control socket. Blocks; for vtrunkctl. */
#pragma once

#include <json-c/json.h>

#include "control/buffer.h"
#include "util/clock.h"

/*
 * Connects to the daemon at `path`, sends the request and waits for the answer, which the caller
 * puts: the whole object, an error answer being a success here. 0; -ENOENT or -ECONNREFUSED when
 * nobody listens; -ETIMEDOUT; -ECONNRESET for no answer; -EBADMSG for one that is no JSON; -errno.
 */
int control_call(struct json_object **ret_answer, const char *path, struct json_object *request,
		 nsec_t timeout);

/* A connection on which more than one answer comes. */
struct control_stream {
	int fd;
	struct buffer input;
};

/* Connects and sends the request; errors as above. */
int control_stream_open(struct control_stream *ret, const char *path, struct json_object *request,
			nsec_t timeout);
/* The next line, which the caller puts. Waits until `deadline`; NSEC_NEVER: as long as it takes. */
int control_stream_next(struct json_object **ret, struct control_stream *s, nsec_t deadline);
void control_stream_close(struct control_stream *s);
