/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The status of a daemon as people read it: from the JSON of docs/control.md to text. */
#pragma once

#include <json-c/json.h>

#include "vtrunkctl/screen.h"

void render_status(const struct screen *screen, struct json_object *status);
