/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/actions.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "control/status_json.h"
#include "core/config_value.h"
#include "core/observe.h"
#include "core/rotate.h"
#include "core/steer.h"
#include "util/log.h"
#include "util/warnings.h"

static int add_status(struct json_object *answer, const struct network_slot *slot)
{
	struct network_status status;
	int r = observe_network(slot, &status);

	if (r < 0)
		return r;
	r = status_json_add_network(answer, &status);
	network_status_free(&status);
	return r;
}

/* Adds the network of that name, or all where none is named. -ENOENT if there is none. */
static int add_statuses(const struct actions *a, struct json_object *answer, const char *name)
{
	int r = -ENOENT;

	for (size_t i = 0; i < networks_count(a->networks); i++) {
		const struct network_slot *slot = networks_at(a->networks, i);

		if (name && strcmp(slot->settings->name, name) != 0)
			continue;
		r = add_status(answer, slot);
		if (r < 0)
			break;
	}
	return r;
}

static enum control_error fail_network(struct control_reply *reply, const char *name)
{
	return control_fail(reply, CONTROL_network_not_found, "no network named \"%s\"", name);
}

static struct json_object *new_status(const struct actions *a)
{
	struct json_object *answer = status_json_new_answer(a->pid);
	struct json_object *warnings = json_object_new_array();

	if (!answer)
		return NULL;
	json_object_object_add(answer, "instance", json_object_new_string(a->instance));
	for (size_t i = 0; warnings_at(i); i++)
		json_object_array_add(warnings, json_object_new_string(warnings_at(i)));
	json_object_object_add(answer, "warnings", warnings);
	return answer;
}

static enum control_error handle_status(void *ctx, const struct control_request *request,
					struct control_reply *reply)
{
	const struct actions *a = ctx;
	struct json_object *answer = new_status(a);
	int r = answer ? add_statuses(a, answer, request->network) : -ENOMEM;

	if (r == 0) {
		reply->data = answer;
		return CONTROL_OK;
	}
	json_object_put(answer);
	if (r == -ENOENT)
		return fail_network(reply, request->network);
	return control_fail(reply, CONTROL_internal_error, "%s", strerror(-r));
}

struct network_slot *actions_find_network(const struct actions *a,
					  const struct control_request *request)
{
	if (!request->network && networks_count(a->networks) == 1)
		return networks_find(a->networks, networks_at(a->networks, 0)->settings->name);
	return networks_find(a->networks,
			     request->network ? request->network : CONTROL_NETWORK_DEFAULT);
}

enum control_error actions_fail_find(struct control_reply *reply,
				     const struct control_request *request)
{
	return fail_network(reply, request->network ? request->network : CONTROL_NETWORK_DEFAULT);
}

static enum control_error tell_state(const struct network_slot *slot, struct control_reply *reply)
{
	reply->data = json_object_new_object();
	if (!reply->data)
		return control_fail(reply, CONTROL_internal_error, "%s", strerror(ENOMEM));
	json_object_object_add(reply->data, "network",
			       json_object_new_string(slot->settings->name));
	json_object_object_add(reply->data, "state",
			       json_object_new_string(network_state_name(slot->state)));
	return CONTROL_OK;
}

static enum control_error handle_connect(void *ctx, const struct control_request *request,
					 struct control_reply *reply)
{
	struct actions *a = ctx;
	struct network_slot *slot = actions_find_network(a, request);
	int r;

	if (!slot)
		return actions_fail_find(reply, request);
	r = networks_connect(a->networks, slot);
	if (r == -EALREADY)
		return control_fail(reply, CONTROL_invalid_state,
				    "network %s is already connected (state: %s)",
				    slot->settings->name, network_state_name(slot->state));
	if (r < 0)
		return control_fail(reply, CONTROL_platform_error,
				    "network %s cannot start: %s (the log has the details)",
				    slot->settings->name, slot->why);
	return tell_state(slot, reply);
}

static enum control_error handle_disconnect(void *ctx, const struct control_request *request,
					    struct control_reply *reply)
{
	struct actions *a = ctx;
	struct network_slot *slot = actions_find_network(a, request);

	if (!slot)
		return actions_fail_find(reply, request);
	if (networks_disconnect(slot) < 0)
		return control_fail(reply, CONTROL_invalid_state,
				    "network %s is not connected (state: %s)", slot->settings->name,
				    network_state_name(slot->state));
	return tell_state(slot, reply);
}

/* Until the daemon ends, or is told otherwise. */
static enum control_error handle_log_level(void *ctx, const struct control_request *request,
					   struct control_reply *reply)
{
	struct json_object *wanted;
	struct value v = {.key = "level", .choices = log_levels};
	int level;

	(void)ctx;
	if (json_object_object_get_ex(request->whole, "level", &wanted)) {
		v.text = json_object_get_string(wanted);
		if (!json_object_is_type(wanted, json_type_string) || value_choice(&v, &level) < 0)
			return control_fail(reply, CONTROL_config_error, "level: %s",
					    json_object_is_type(wanted, json_type_string)
						    ? v.why
						    : "not a string");
		log_set_level(level);
		log_notice("log level is %s now", v.text);
	}
	reply->data = json_object_new_object();
	json_object_object_add(reply->data, "level",
			       json_object_new_string(log_level_name(log_level())));
	return CONTROL_OK;
}

static void add_reason(void *ctx, enum verdict verdict, const char *reason)
{
	struct json_object *o = json_object_new_object();

	if (!o)
		return;
	json_object_object_add(o, "health", json_object_new_string(verdict_name(verdict)));
	json_object_object_add(o, "reason", json_object_new_string(reason));
	json_object_array_add(ctx, o);
}

static enum control_error handle_health(void *ctx, const struct control_request *request,
					struct control_reply *reply)
{
	const struct actions *a = ctx;
	struct json_object *reasons = json_object_new_array();
	struct observation o;
	enum verdict verdict;
	int r = reasons ? observe(a->networks, &o) : -ENOMEM;

	(void)request;
	if (r < 0) {
		json_object_put(reasons);
		return control_fail(reply, CONTROL_internal_error, "%s", strerror(-r));
	}
	verdict = observe_verdict(a->networks, &o, add_reason, reasons);
	observation_deinit(&o);
	reply->data = json_object_new_object();
	json_object_object_add(reply->data, "health",
			       json_object_new_string(verdict_name(verdict)));
	json_object_object_add(reply->data, "reasons", reasons);
	return CONTROL_OK;
}

static enum control_error handle_metrics(void *ctx, const struct control_request *request,
					 struct control_reply *reply)
{
	const struct actions *a = ctx;
	struct buffer text = {0};
	enum verdict verdict;
	int r = observe_metrics(a->networks, &text, &verdict);

	(void)request;
	if (r == 0) {
		reply->data = json_object_new_object();
		json_object_object_add(reply->data, "text", json_object_new_string(text.data));
	}
	buffer_deinit(&text);
	return r == 0 ? CONTROL_OK
		      : control_fail(reply, CONTROL_internal_error, "%s", strerror(-r));
}

/* The server does the rest. */
static enum control_error handle_events(void *ctx, const struct control_request *request,
					struct control_reply *reply)
{
	(void)ctx;
	(void)request;
	(void)reply;
	return CONTROL_OK;
}

void actions_add(struct actions *a, const char *name, action_handler handle, const char *keys)
{
	assert(a->n < ACTIONS_MAX);
	a->table[a->n++] =
		(struct control_action){.name = name, .handle = handle, .ctx = a, .keys = keys};
}

void actions_init(struct actions *a)
{
	a->n = 0;
	actions_add(a, "status", handle_status, NULL);
	actions_add(a, "connect", handle_connect, NULL);
	actions_add(a, "disconnect", handle_disconnect, NULL);
	steer_init(a);
	rotate_init(a);
	actions_add(a, "log_level", handle_log_level, "level");
	actions_add(a, "health", handle_health, NULL);
	actions_add(a, "metrics", handle_metrics, NULL);
	actions_add(a, "events", handle_events, NULL);
	a->table[a->n - 1].subscribes = true;
}
