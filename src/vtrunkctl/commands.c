/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "vtrunkctl/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vtrunkctl/ask.h"
#include "vtrunkctl/complete.h"
#include "vtrunkctl/doctor.h"
#include "vtrunkctl/follow.h"
#include "vtrunkctl/health.h"
#include "vtrunkctl/live.h"
#include "vtrunkctl/options.h"
#include "vtrunkctl/show.h"
#include "vtrunkctl/text.h"
#include "vtrunkctl/vtrunkctl.h"

/* One line for each field of the answer, and one for each text of a list. */
static void print_data(struct json_object *data)
{
	json_object_object_foreach(data, key, value)
	{
		switch (json_object_get_type(value)) {
		case json_type_array:
			for (size_t i = 0; i < json_object_array_length(value); i++)
				printf("%s\n",
				       json_object_get_string(json_object_array_get_idx(value, i)));
			break;
		case json_type_object:
		case json_type_null:
			break;
		default:
			printf("%s: %s\n", key,
			       field_text(data, key, json_object_get_string(value)).s);
		}
	}
}

/* False for an operand that is no KEY=VALUE. */
static bool add_setting(struct json_object *settings, const char *operand)
{
	const char *equals = strchr(operand, '=');
	char key[64];

	if (!equals || equals == operand || (size_t)(equals - operand) >= sizeof(key)) {
		fprintf(stderr, "vtrunkctl: \"%s\": KEY=VALUE expected\n", operand);
		return false;
	}
	snprintf(key, sizeof(key), "%.*s", (int)(equals - operand), operand);
	json_object_object_add(settings, key, json_object_new_string(equals + 1));
	return true;
}

static bool add_operands(struct json_object *request, const struct options *o)
{
	const struct command *c = o->command;
	unsigned i = 0;
	struct json_object *settings;

	if (c->stage)
		json_object_object_add(request, "stage", json_object_new_string(c->stage));
	if (c->operand && o->n_operands)
		json_object_object_add(request, c->operand,
				       json_object_new_string(o->operands[i++]));
	if (!c->has_settings)
		return true;
	settings = json_object_new_object();
	json_object_object_add(request, "settings", settings);
	for (; i < o->n_operands; i++)
		if (!add_setting(settings, o->operands[i]))
			return false;
	return true;
}

static int run_ask(const struct options *o)
{
	struct json_object *request = ask_new_request(o, o->command->action);
	struct problem problem;
	struct json_object *data;

	if (!add_operands(request, o)) {
		json_object_put(request);
		return EXIT_USAGE;
	}
	data = ask(o, request, &problem);
	if (!data)
		return problem_print(&problem);
	if (o->is_json)
		print_json(stdout, data);
	else
		print_data(data);
	json_object_put(data);
	return finish_output();
}

static int run_metrics(const struct options *o)
{
	struct problem problem;
	struct json_object *data = ask(o, ask_new_request(o, o->command->action), &problem);
	const char *text;

	if (!data)
		return problem_print(&problem);
	text = json_object_get_string(json_object_object_get(data, "text"));
	fputs(text ? text : "", stdout);
	json_object_put(data);
	return finish_output();
}

const struct command commands[] = {
	{"status", "", "networks, links, peers and paths", 0, 0, show_status},
	{"watch", "", "the same at a glance, live; q quits", 0, 0, live_watch},
	{"health", "", "healthy, degraded or unhealthy, and why", 0, 0, health_show},
	{"metrics", "", "metrics for Prometheus", 0, 0, run_metrics, "metrics"},
	{"events", "", "events as they happen", 0, 0, follow_events},
	{"doctor", "[FILE]", "find common problems, and how to fix them", 0, 1, doctor_run},
	{"connect", "[NETWORK]", "start a network", 0, 1, run_ask, "connect", "network"},
	{"disconnect", "[NETWORK]", "stop a network", 0, 1, run_ask, "disconnect", "network"},
	{"reload", "", "apply the configuration file as it is now", 0, 0, run_ask, "reload"},
	{"link add", "NAME [KEY=VALUE]...", "add a link; keys of [link]", 1, OPERANDS_MANY, run_ask,
	 "link_add", "name", true},
	{"link set", "NAME KEY=VALUE...", "an empty value is the default", 2, OPERANDS_MANY,
	 run_ask, "link_set", "name", true},
	{"link enable", "NAME", "use the link again", 1, 1, run_ask, "link_enable", "name"},
	{"link disable", "NAME", "stop using the link", 1, 1, run_ask, "link_disable", "name"},
	{"link remove", "NAME", "remove the link", 1, 1, run_ask, "link_remove", "name"},
	{"peer add", "NAME KEY=VALUE...", "add a peer; keys of [peer]", 2, OPERANDS_MANY, run_ask,
	 "peer_add", "name", true},
	{"peer set", "NAME KEY=VALUE...", "an empty value is the default", 2, OPERANDS_MANY,
	 run_ask, "peer_set", "name", true},
	{"peer remove", "NAME", "remove the peer", 1, 1, run_ask, "peer_remove", "name"},
	{"mode set", "MODE", "aggregate, auto, redundant or failover", 1, 1, run_ask, "mode_set",
	 "mode"},
	{"keys rotate", "[NETWORK]", "a new private key; prints its public key", 0, 1, run_ask,
	 "rotate_keys", "network"},
	{"keys prepare", "[NETWORK]", "make a key, and print its public key", 0, 1, run_ask,
	 "rotate_keys", "network", .stage = "prepare"},
	{"keys commit", "[NETWORK]", "use the prepared key", 0, 1, run_ask, "rotate_keys",
	 "network", .stage = "commit"},
	{"log level", "[LEVEL]", "show or set it: error, warning, info, debug", 0, 1, run_ask,
	 "log_level", "level"},
	{"complete", "", "", 0, OPERANDS_MANY, complete_print, .is_hidden = true},
	{NULL},
};

/* Does the command consist of these words, the first `taken` of them? */
static bool is_named(const struct command *c, char **words, unsigned taken)
{
	const char *rest = c->words;

	for (unsigned i = 0; i < taken; i++) {
		size_t len = strlen(words[i]);

		if (strncmp(rest, words[i], len) != 0 || (rest[len] && rest[len] != ' '))
			return false;
		rest += len;
		if (i + 1 < taken && *rest++ != ' ')
			return false;
	}
	return !*rest;
}

const struct command *command_find(char **words, unsigned n, unsigned *ret_taken)
{
	for (unsigned taken = n < COMMAND_WORDS_MAX ? n : COMMAND_WORDS_MAX; taken; taken--) {
		for (const struct command *c = commands; c->words; c++) {
			if (!is_named(c, words, taken))
				continue;
			*ret_taken = taken;
			return c;
		}
	}
	return NULL;
}
