/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "vtrunkctl/show.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "vtrunkctl/ask.h"
#include "vtrunkctl/render.h"
#include "vtrunkctl/watch.h"

/* A terminal that is narrower has cut lines. */
#define WIDTH_MIN 40

static bool wants_color(void)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color) && term && strcmp(term, "dumb");
}

static struct winsize window_size(void)
{
	struct winsize size = {0};

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_row < 2)
		size.ws_row = 24;
	if (size.ws_col < WIDTH_MIN)
		size.ws_col = SCREEN_WIDTH;
	return size;
}

struct screen show_screen(FILE *out)
{
	return (struct screen){
		.out = out, .has_color = wants_color(), .width = window_size().ws_col};
}

unsigned show_rows(void)
{
	return window_size().ws_row;
}

static void print(FILE *out, const struct options *o, unsigned width, struct json_object *status)
{
	struct screen screen = {.out = out, .has_color = wants_color(), .width = width};

	if (o->is_json)
		print_json(out, status);
	else
		render_status(&screen, status);
}

static int show_once(const struct options *o)
{
	struct problem problem;
	struct json_object *status = ask_status(o, &problem);

	if (!status)
		return problem_print(&problem);
	print(stdout, o, window_size().ws_col, status);
	json_object_put(status);
	return finish_output();
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
		problem_print(problem);
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
		struct json_object *status = ask_status(o, &problem);

		if (!status && is_first)
			return problem_print(&problem);
		if (o->is_json)
			show_json(o, status, &problem);
		else
			show_frame(o, status, &problem, is_first);
		json_object_put(status);
		nanosleep(&interval, NULL);
	}
	return EXIT_FAILURE;
}

int show_status(const struct options *o)
{
	return o->is_watch ? watch(o) : show_once(o);
}
