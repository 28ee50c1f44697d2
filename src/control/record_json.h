/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* A record as the event that docs/control.md describes. */
#pragma once

#include <json-c/json.h>

#include "util/record.h"

/* The caller puts it; NULL without memory. */
struct json_object *record_json(const struct record *r);
