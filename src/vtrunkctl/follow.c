/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "vtrunkctl/follow.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "control/client.h"
#include "vtrunkctl/ask.h"
#include "vtrunkctl/text.h"

/* The time of day is enough for who looks on. */
static const char *time_of_day(const char *time)
{
	const char *t = strchr(time, 'T');

	return t ? t + 1 : time;
}

void follow_print(FILE *out, struct json_object *event)
{
	fprintf(out, "%.12s %s", time_of_day(field_text(event, "time", "-").s),
		field_text(event, "event", "-").s);
	json_object_object_foreach(event, key, value)
	{
		struct text t;

		if (!strcmp(key, "time") || !strcmp(key, "event"))
			continue;
		t = field_text(event, key, json_object_get_string(value));
		fprintf(out, strchr(t.s, ' ') ? " %s=\"%s\"" : " %s=%s", key, t.s);
	}
	fputc('\n', out);
}

static bool is_wanted(const struct options *o, struct json_object *event)
{
	struct text network = field_text(event, "network", "");

	return !o->network || !*network.s || !strcmp(network.s, o->network);
}

/* The answer that comes before all events. */
static bool is_accepted(struct control_stream *s, const struct options *o,
			struct problem *ret_problem)
{
	struct json_object *answer = NULL;
	struct json_object *data = NULL;
	int r = control_stream_next(&answer, s, clock_now() + ASK_TIMEOUT);

	if (r < 0)
		problem_explain(ret_problem, o->socket_path, r);
	else
		data = answer_data(answer, ret_problem);
	json_object_put(answer);
	return data != NULL;
}

static void show(const struct options *o, struct json_object *event)
{
	if (!is_wanted(o, event))
		return;
	if (o->is_json)
		print_json(stdout, event);
	else
		follow_print(stdout, event);
	fflush(stdout);
}

static int follow(struct control_stream *s, const struct options *o)
{
	struct problem problem;
	struct json_object *event;
	int r = 0;

	if (!is_accepted(s, o, &problem))
		return problem_print(&problem);
	while (!ferror(stdout) && (r = control_stream_next(&event, s, NSEC_NEVER)) == 0) {
		show(o, event);
		json_object_put(event);
	}
	if (r == 0)
		return finish_output();
	fprintf(stderr, "vtrunkctl: the daemon has hung up\n");
	return EXIT_FAILURE;
}

int follow_events(const struct options *o)
{
	struct json_object *request = ask_new_request(o, "events");
	struct control_stream s;
	struct problem problem;
	int status;
	int r = control_stream_open(&s, o->socket_path, request, ASK_TIMEOUT);

	json_object_put(request);
	if (r < 0) {
		problem_explain(&problem, o->socket_path, r);
		return problem_print(&problem);
	}
	status = follow(&s, o);
	control_stream_close(&s);
	return status;
}
