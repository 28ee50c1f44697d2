/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "control/record_json.h"
#include "util/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* "2026-11-28T20:53:36.123Z" */
static struct json_object *time_json(nsec_t wall)
{
	char text[40];
	time_t seconds = wall / NSEC_PER_SEC;
	struct tm tm;
	size_t len;

	gmtime_r(&seconds, &tm);
	len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + len, sizeof(text) - len, ".%03dZ",
		 (int)(wall % NSEC_PER_SEC / NSEC_PER_MSEC));
	return json_object_new_string(text);
}

static struct json_object *field_json(const struct record_field *f)
{
	char valid[RECORD_VALUE_MAX + 1];

	if (f->is_number)
		return json_object_new_double_s(strtod(f->value, NULL), f->value);
	utf8_make_valid(valid, sizeof(valid), f->value);
	return json_object_new_string(valid);
}

struct json_object *record_json(const struct record *r)
{
	struct json_object *o = json_object_new_object();
	struct record_field f;

	if (!o)
		return NULL;
	json_object_object_add(o, "event", json_object_new_string(r->name));
	json_object_object_add(o, "time", time_json(r->at));
	for (size_t pos = 0; record_next(r, &pos, &f);)
		json_object_object_add(o, f.key, field_json(&f));
	return o;
}
