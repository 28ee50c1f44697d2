/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * From one line of a client to its answer, by way of the table of actions. Knows nothing of
 * sockets. Owner: the main thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/action.h"

struct request_table {
	const struct control_action *actions; /* the daemon's */
	size_t n_actions;
	uint64_t n_generated_ids;
};

/*
 * Answers a line, its newline taken off. The caller puts the answer; NULL without memory.
 * *ret_subscribes: the client is to get events from now on.
 */
struct json_object *request_answer(struct request_table *table, const char *line, size_t len,
				   bool *ret_subscribes);

/* An error answer; `id` may be NULL and stays the caller's. NULL without memory. */
struct json_object *request_refuse(struct json_object *id, enum control_error error,
				   const char *message);
