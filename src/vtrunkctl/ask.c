/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "vtrunkctl/ask.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/client.h"
#include "control/socket.h"
#include "control/status_json.h"
#include "vtrunkctl/text.h"

void problem_explain(struct problem *ret, const char *path, int error)
{
	size_t size = sizeof(ret->text);

	switch (-error) {
	case ENOENT:
	case ENOTDIR:
	case ECONNREFUSED:
		snprintf(ret->text, size, "no vtrunkd listens on %s", path);
		break;
	case EACCES:
	case EPERM:
		snprintf(ret->text, size,
			 "permission denied on %s: only its owner may ask, or control_group", path);
		break;
	case ENAMETOOLONG:
		snprintf(ret->text, size, "socket path longer than %zu bytes: %s", CONTROL_PATH_MAX,
			 path);
		break;
	case ETIMEDOUT:
		snprintf(ret->text, size, "vtrunkd on %s does not answer", path);
		break;
	case EBADMSG:
		snprintf(ret->text, size, "what listens on %s is no vtrunkd", path);
		break;
	default:
		snprintf(ret->text, size, "%s: %s", path, strerror(-error));
	}
}

struct json_object *ask_new_request(const struct options *o, const char *action)
{
	struct json_object *request = json_object_new_object();

	if (!request)
		err(EXIT_FAILURE, "request");
	json_object_object_add(request, "id", json_object_new_int(1));
	json_object_object_add(request, "action", json_object_new_string(action));
	if (o->network)
		json_object_object_add(request, "network", json_object_new_string(o->network));
	return request;
}

struct json_object *answer_data(struct json_object *answer, struct problem *ret_problem)
{
	struct json_object *error = field_object(answer, "error");
	struct json_object *data = field_object(answer, "data");
	size_t len;

	if (field_bool(answer, "success") && data)
		return data;
	len = (size_t)snprintf(ret_problem->text, sizeof(ret_problem->text),
			       "%s: ", field_text(error, "type", "error").s);
	field_copy(ret_problem->text + len, sizeof(ret_problem->text) - len, error, "message",
		   "no reason given");
	return NULL;
}

struct json_object *ask(const struct options *o, struct json_object *request,
			struct problem *ret_problem)
{
	struct json_object *answer;
	struct json_object *data;
	int r = control_call(&answer, o->socket_path, request, ASK_TIMEOUT);

	json_object_put(request);
	if (r < 0) {
		problem_explain(ret_problem, o->socket_path, r);
		return NULL;
	}
	data = json_object_get(answer_data(answer, ret_problem));
	json_object_put(answer);
	return data;
}

struct json_object *ask_status(const struct options *o, struct problem *ret_problem)
{
	struct json_object *data = ask(o, ask_new_request(o, "status"), ret_problem);

	if (!data || field_count(data, "schema") == STATUS_SCHEMA)
		return data;
	snprintf(ret_problem->text, sizeof(ret_problem->text),
		 "vtrunkd %s answers by schema %u, this vtrunkctl knows schema %u",
		 field_text(data, "version", "?").s, (unsigned)field_count(data, "schema"),
		 STATUS_SCHEMA);
	json_object_put(data);
	return NULL;
}

int problem_print(const struct problem *problem)
{
	fprintf(stderr, "vtrunkctl: %s\n", problem->text);
	return EXIT_FAILURE;
}

void print_json(FILE *out, struct json_object *o)
{
	fprintf(out, "%s\n",
		json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN |
							  JSON_C_TO_STRING_NOSLASHESCAPE));
}

int finish_output(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EXIT_SUCCESS;
	warn("standard output");
	return EXIT_FAILURE;
}
