/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The answer to the action "status": what docs/control.md describes field by field. Keys are
 * stable, numbers are numbers in base units, what is not known is null, secrets never occur.
 */
#pragma once

#include <json-c/json.h>

#include "dataplane/status.h"

/* Raised when a key goes away or changes its meaning, not when one is added. */
#define STATUS_SCHEMA 1
/* A peer is healthy when its last handshake is younger (REJECT_AFTER_TIME). */
#define STATUS_HEALTHY_AGE (180 * NSEC_PER_SEC)

/* One network. The caller puts it; NULL without memory. */
struct json_object *status_json(const struct network_status *s);

/* The answer as a whole, with no networks yet; `pid` is the daemon's. NULL without memory. */
struct json_object *status_json_new_answer(pid_t pid);
/* Adds a network to the answer. 0 or -ENOMEM. */
int status_json_add_network(struct json_object *answer, const struct network_status *s);
