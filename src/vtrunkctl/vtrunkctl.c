/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "vtrunkctl/vtrunkctl.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "control/client.h"
#include "control/socket.h"
#include "control/status_json.h"
#include "vtrunkctl/options.h"
#include "vtrunkctl/render.h"
#include "vtrunkctl/text.h"
#include "vtrunkctl/watch.h"

#define TIMEOUT (5 * NSEC_PER_SEC)
#define EXIT_USAGE 2

/* Why there is no status to show. */
struct problem {
	char text[512];
};

static void explain(struct problem *ret, const char *path, int error)
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
		snprintf(ret->text, size, "permission denied on %s: only its owner may ask", path);
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

/* The data of a successful answer, still the answer's; NULL for a refusal. */
static struct json_object *take_data(struct json_object *answer, struct problem *ret_problem)
{
	struct json_object *error = field_object(answer, "error");
	struct json_object *data = field_object(answer, "data");

	if (!field_bool(answer, "success") || !data)
		snprintf(ret_problem->text, sizeof(ret_problem->text), "%s: %s",
			 field_text(error, "type", "error").s,
			 field_text(error, "message", "no reason given").s);
	else if (field_count(data, "schema") != STATUS_SCHEMA)
		snprintf(ret_problem->text, sizeof(ret_problem->text),
			 "vtrunkd %s answers by schema %u, this vtrunkctl knows schema %u",
			 field_text(data, "version", "?").s, (unsigned)field_count(data, "schema"),
			 STATUS_SCHEMA);
	else
		return data;
	return NULL;
}

/* NULL, and a problem, or the status, which the caller puts. */
static struct json_object *fetch(const struct options *o, struct problem *ret_problem)
{
	struct json_object *request = json_object_new_object();
	struct json_object *answer;
	struct json_object *data;
	int r;

	if (!request)
		err(EXIT_FAILURE, "request");
	json_object_object_add(request, "id", json_object_new_int(1));
	json_object_object_add(request, "action", json_object_new_string("status"));
	if (o->network)
		json_object_object_add(request, "network", json_object_new_string(o->network));
	r = control_call(&answer, o->socket_path, request, TIMEOUT);
	json_object_put(request);
	if (r < 0) {
		explain(ret_problem, o->socket_path, r);
		return NULL;
	}
	data = json_object_get(take_data(answer, ret_problem));
	json_object_put(answer);
	return data;
}

static bool wants_color(void)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color) && term && strcmp(term, "dumb");
}

static void print(FILE *out, const struct options *o, unsigned width, struct json_object *status)
{
	struct screen screen = {.out = out, .has_color = wants_color(), .width = width};

	if (o->is_json)
		fprintf(out, "%s\n",
			json_object_to_json_string_ext(
				status, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	else
		render_status(&screen, status);
}

static struct winsize window_size(void)
{
	struct winsize size = {0};

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row < 2)
		size.ws_row = 24;
	if (size.ws_col < SCREEN_WIDTH)
		size.ws_col = SCREEN_WIDTH;
	return size;
}

static int show_once(const struct options *o)
{
	struct problem problem;
	struct json_object *status = fetch(o, &problem);

	if (!status) {
		fprintf(stderr, "vtrunkctl: %s\n", problem.text);
		return EXIT_FAILURE;
	}
	print(stdout, o, window_size().ws_col, status);
	json_object_put(status);
	if (fflush(stdout) == 0)
		return EXIT_SUCCESS;
	warn("standard output");
	return EXIT_FAILURE;
}

static void print_heading(FILE *out, const struct options *o)
{
	char when[32];
	time_t now = time(NULL);
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	fprintf(out, "%s, every %g s\n\n", when, (double)o->interval / NSEC_PER_SEC);
}

/* The text of one frame, which the caller frees. */
static char *make_frame(const struct options *o, unsigned width, struct json_object *status,
			const struct problem *problem)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		err(EXIT_FAILURE, "frame");
	print_heading(out, o);
	if (status)
		print(out, o, width, status);
	else
		fprintf(out, "vtrunkctl: %s\n", problem->text);
	if (fclose(out) != 0)
		err(EXIT_FAILURE, "frame");
	return text;
}

static void show_frame(const struct options *o, struct json_object *status,
		       const struct problem *problem, bool is_first)
{
	struct winsize size = window_size();
	char *frame = make_frame(o, size.ws_col, status, problem);

	watch_show(stdout, frame, isatty(STDOUT_FILENO), size.ws_row, is_first);
	free(frame);
}

/* A program reads lines of JSON: no headings, and what goes wrong on standard error. */
static void show_json(const struct options *o, struct json_object *status,
		      const struct problem *problem)
{
	if (status)
		print(stdout, o, 0, status);
	else
		fprintf(stderr, "vtrunkctl: %s\n", problem->text);
	fflush(stdout);
}

/* Ends with the signal that interrupts it; a daemon that goes away may come back. */
static int watch(const struct options *o)
{
	struct timespec interval = {
		.tv_sec = o->interval / NSEC_PER_SEC,
		.tv_nsec = o->interval % NSEC_PER_SEC,
	};

	for (bool is_first = true; !ferror(stdout); is_first = false) {
		struct problem problem;
		struct json_object *status = fetch(o, &problem);

		if (!status && is_first) {
			fprintf(stderr, "vtrunkctl: %s\n", problem.text);
			return EXIT_FAILURE;
		}
		if (o->is_json)
			show_json(o, status, &problem);
		else
			show_frame(o, status, &problem, is_first);
		json_object_put(status);
		nanosleep(&interval, NULL);
	}
	return EXIT_FAILURE;
}

int vtrunkctl_run(int argc, char **argv)
{
	struct options o;

	switch (options_parse(&o, argc, argv)) {
	case OPTIONS_DONE:
		return fflush(stdout) ? EXIT_FAILURE : EXIT_SUCCESS;
	case OPTIONS_WRONG:
		return EXIT_USAGE;
	default:
		return o.is_watch ? watch(&o) : show_once(&o);
	}
}
