/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The other end of the control socket: one request, one answer. Blocks; for vtrunkctl. */
#pragma once

#include <json-c/json.h>

#include "util/clock.h"

/*
 * Connects to the daemon at `path`, sends the request and waits for the answer, which the caller
 * puts: the whole object, an error answer being a success here. 0; -ENOENT or -ECONNREFUSED when
 * nobody listens; -ETIMEDOUT; -ECONNRESET for no answer; -EBADMSG for one that is no JSON; -errno.
 */
int control_call(struct json_object **ret_answer, const char *path, struct json_object *request,
		 nsec_t timeout);
