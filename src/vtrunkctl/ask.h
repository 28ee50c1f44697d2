/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Asks the daemon, and says in plain words why there is no answer. */
#pragma once

#include <json-c/json.h>
#include <stdio.h>

#include "vtrunkctl/options.h"

#define ASK_TIMEOUT (10 * NSEC_PER_SEC)

/* Why there is nothing to show. */
struct problem {
	char text[2048];
};

void problem_explain(struct problem *ret, const char *socket_path, int error);

/*
 * A request for `action`, about the network of the options if they name one. Exits without memory.
 */
struct json_object *ask_new_request(const struct options *o, const char *action);
/*
 * The data of the answer, which the caller puts; or NULL, and a problem. `request` is given away.
 */
struct json_object *ask(const struct options *o, struct json_object *request,
			struct problem *ret_problem);
/* The data of a successful answer, still the answer's; NULL, and a problem, for a refusal. */
struct json_object *answer_data(struct json_object *answer, struct problem *ret_problem);
/* The status of the daemon, likewise, if it is of the schema that we know. */
struct json_object *ask_status(const struct options *o, struct problem *ret_problem);

/* Prints a problem on standard error; the exit status. */
int problem_print(const struct problem *problem);
/* Prints it as one line of JSON. */
void print_json(FILE *out, struct json_object *o);
/* The exit status: has all that was printed arrived? */
int finish_output(void);
