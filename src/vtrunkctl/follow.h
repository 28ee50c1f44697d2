/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The command `events`: prints what happens, as it happens, until interrupted. */
#pragma once

#include <json-c/json.h>
#include <stdio.h>

struct options;

int follow_events(const struct options *o);

/* "12:00:00.123 path_down network=home ...". */
void follow_print(FILE *out, struct json_object *event);
