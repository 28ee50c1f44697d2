/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "control/request.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* `outcome` is given away, also when there is no memory for the answer. */
static struct json_object *new_answer(struct json_object *id, bool is_success, const char *key,
				      struct json_object *outcome)
{
	struct json_object *answer = json_object_new_object();

	if (!answer) {
		json_object_put(outcome);
		return NULL;
	}
	json_object_object_add(answer, "id", json_object_get(id));
	json_object_object_add(answer, "success", json_object_new_boolean(is_success));
	json_object_object_add(answer, key, outcome);
	return answer;
}

struct json_object *request_refuse(struct json_object *id, enum control_error error,
				   const char *message)
{
	struct json_object *details = json_object_new_object();

	if (!details)
		return NULL;
	json_object_object_add(details, "type", json_object_new_string(control_error_name(error)));
	json_object_object_add(details, "message", json_object_new_string(message));
	return new_answer(id, false, "error", details);
}

/* NULL for what is no JSON, `reply` then saying why. */
static struct json_object *parse(const char *line, size_t len, struct control_reply *reply)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *value;
	enum json_tokener_error error;

	if (!tokener) {
		control_fail(reply, CONTROL_parse_error, "out of memory");
		return NULL;
	}
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	value = json_tokener_parse_ex(tokener, line, (int)len);
	error = json_tokener_get_error(tokener);
	/* For json-c a zero ends the text; for us the newline does. */
	if (error == json_tokener_success && json_tokener_get_parse_end(tokener) != len)
		error = json_tokener_error_parse_unexpected;
	json_tokener_free(tokener);
	if (error == json_tokener_success && json_object_is_type(value, json_type_object))
		return value;
	if (error == json_tokener_success)
		control_fail(reply, CONTROL_parse_error, "a request is a JSON object");
	else
		control_fail(reply, CONTROL_parse_error, "not valid JSON: %s",
			     error == json_tokener_continue ? "the line ends within it"
							    : json_tokener_error_desc(error));
	json_object_put(value);
	return NULL;
}

/* A number that JSON cannot write (json-c reads "NaN") could not be given back. */
static bool is_id(struct json_object *id)
{
	switch (json_object_get_type(id)) {
	case json_type_string:
	case json_type_int:
		return true;
	case json_type_double:
		return isfinite(json_object_get_double(id));
	default:
		return false;
	}
}

/* The request's own id, or a new one. NULL for one that is neither string nor number. */
static struct json_object *take_id(struct request_table *table, struct json_object *request)
{
	struct json_object *id;
	char text[32];

	if (json_object_object_get_ex(request, "id", &id) && id)
		return is_id(id) ? json_object_get(id) : NULL;
	snprintf(text, sizeof(text), "auto-%llu", (unsigned long long)++table->n_generated_ids);
	return json_object_new_string(text);
}

/* The text under `key`, NULL where there is none; false for what is no text without zeros. */
static bool get_text(struct json_object *request, const char *key, const char **ret)
{
	struct json_object *value;
	const char *text;

	*ret = NULL;
	if (!json_object_object_get_ex(request, key, &value) || !value)
		return true;
	if (!json_object_is_type(value, json_type_string))
		return false;
	text = json_object_get_string(value);
	if (strlen(text) != (size_t)json_object_get_string_len(value))
		return false;
	*ret = text;
	return true;
}

static const struct control_action *find_action(const struct request_table *table, const char *name)
{
	for (size_t i = 0; i < table->n_actions; i++)
		if (!strcmp(table->actions[i].name, name))
			return &table->actions[i];
	return NULL;
}

/* Is it one of the words that blanks are between? */
static bool is_among(const char *words, const char *key)
{
	size_t len = strlen(key);

	if (!len || strchr(key, ' '))
		return false;
	for (const char *at = words; at; at = strchr(at, ' '), at += at != NULL)
		if (!strncmp(at, key, len) && (!at[len] || at[len] == ' '))
			return true;
	return false;
}

/* A key that is written wrong would change what is meant: "netwrok" leaves all networks. */
static const char *find_unknown_key(struct json_object *whole, const struct control_action *action)
{
	json_object_object_foreach(whole, key, value)
	{
		(void)value;
		if (!is_among("action id network", key) && !is_among(action->keys, key))
			return key;
	}
	return NULL;
}

static enum control_error run(const struct request_table *table, struct json_object *whole,
			      struct control_reply *reply, bool *ret_subscribes)
{
	struct control_request request = {.whole = whole};
	const struct control_action *action;
	const char *name;
	const char *unknown;
	enum control_error error;

	if (!get_text(whole, "action", &name) || !name)
		return control_fail(reply, CONTROL_parse_error,
				    "\"action\" is missing or not a string");
	if (!get_text(whole, "network", &request.network))
		return control_fail(reply, CONTROL_parse_error, "\"network\" is not a string");
	action = find_action(table, name);
	if (!action)
		return control_fail(reply, CONTROL_unknown_action, "no action named \"%.64s\"",
				    name);
	unknown = find_unknown_key(whole, action);
	if (unknown)
		return control_fail(reply, CONTROL_parse_error, "%s has no key \"%.64s\"",
				    action->name, unknown);
	error = action->handle(action->ctx, &request, reply);
	*ret_subscribes = !error && action->subscribes;
	return error;
}

struct json_object *request_answer(struct request_table *table, const char *line, size_t len,
				   bool *ret_subscribes)
{
	struct control_reply reply = {0};
	struct json_object *request = parse(line, len, &reply);
	struct json_object *answer;
	struct json_object *id;
	enum control_error error;

	*ret_subscribes = false;
	if (!request)
		return request_refuse(NULL, CONTROL_parse_error, reply.message);
	id = take_id(table, request);
	if (!id) {
		json_object_put(request);
		return request_refuse(NULL, CONTROL_parse_error,
				      "\"id\" is neither a string nor a number");
	}
	error = run(table, request, &reply, ret_subscribes);
	if (error) {
		json_object_put(reply.data);
		answer = request_refuse(id, error, reply.message);
	} else {
		answer = new_answer(id, true, "data",
				    reply.data ? reply.data : json_object_new_object());
	}
	json_object_put(id);
	json_object_put(request);
	return answer;
}
