/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "vtrunkctl/health.h"

#include <stdlib.h>
#include <string.h>

#include "vtrunkctl/ask.h"
#include "vtrunkctl/show.h"
#include "vtrunkctl/text.h"

#define EXIT_DEGRADED 1
#define EXIT_UNHEALTHY 2

/* A daemon that does not answer is not healthy. */
static int status_of(const char *health)
{
	if (!strcmp(health, "healthy"))
		return EXIT_SUCCESS;
	return strcmp(health, "degraded") ? EXIT_UNHEALTHY : EXIT_DEGRADED;
}

static void print_reason(const struct screen *screen, struct json_object *reason)
{
	struct prose p = {.screen = screen, .indent = 4};

	prose_print(&p, STYLE_PLAIN, "  %s", field_text(reason, "reason", "?").s);
	prose_end(&p);
}

int health_show(const struct options *o)
{
	const struct screen screen = show_screen(stdout);
	struct problem problem;
	struct json_object *data = ask(o, ask_new_request(o, "health"), &problem);
	struct json_object *reason;
	struct text health;

	if (!data) {
		problem_print(&problem);
		return EXIT_UNHEALTHY;
	}
	health = field_text(data, "health", "?");
	if (o->is_json) {
		print_json(stdout, data);
	} else {
		printf("%s\n", health.s);
		for (size_t i = 0; (reason = field_entry(data, "reasons", i)); i++)
			print_reason(&screen, reason);
	}
	json_object_put(data);
	return finish_output() == EXIT_SUCCESS ? status_of(health.s) : EXIT_UNHEALTHY;
}
