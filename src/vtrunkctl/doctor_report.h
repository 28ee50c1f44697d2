/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What the doctor's checks find, one finding after the other. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>

#include "vtrunkctl/screen.h"

enum result {
	RESULT_OK,
	RESULT_NOTE, /* may be meant so */
	RESULT_BAD,
};

struct doctor {
	struct screen screen;
	bool is_json;
	struct json_object *findings; /* as JSON */
	struct json_object *status;   /* NULL: no daemon answers */
	enum result worst;
};

/* What was found; `remedy` is for what is not well, and may be "". */
__attribute__((format(printf, 5, 6))) void doctor_find(struct doctor *d, enum result result,
						       const char *check, const char *remedy,
						       const char *format, ...);

/* doctor_files.c: the configuration (NULL: where it is looked for by default) and its keys. */
void doctor_check_files(struct doctor *d, const char *config);
