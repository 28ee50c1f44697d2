/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/config_errors.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void config_errors_deinit(struct config_errors *e)
{
	for (size_t i = 0; i < e->n_items; i++)
		free(e->items[i].text);
	free(e->items);
	*e = (struct config_errors){0};
}

static char *compose(const char *file, int line, const char *message)
{
	char *text;
	int r;

	if (!file)
		r = asprintf(&text, "%s", message);
	else if (!line)
		r = asprintf(&text, "%s: %s", file, message);
	else
		r = asprintf(&text, "%s:%d: %s", file, line, message);
	return r < 0 ? NULL : text;
}

/* Keeps the list ordered by line, and messages of one line in the order they came. */
static void insert(struct config_errors *e, int line, char *text)
{
	size_t at = e->n_items;

	while (at && e->items[at - 1].line > line)
		at--;
	memmove(e->items + at + 1, e->items + at, (e->n_items - at) * sizeof(*e->items));
	e->items[at] = (struct config_error){.line = line, .text = text};
	e->n_items++;
}

void config_errors_add(struct config_errors *e, int line, const char *format, ...)
{
	char *message = NULL;
	char *text = NULL;
	va_list args;

	if (!e->items)
		e->items = calloc(CONFIG_ERRORS_MAX, sizeof(*e->items));
	if (!e->items || e->n_items == CONFIG_ERRORS_MAX) {
		e->n_left_out++;
		return;
	}

	va_start(args, format);
	if (vasprintf(&message, format, args) >= 0)
		text = compose(e->file, line, message);
	va_end(args);
	if (text)
		insert(e, line, text);
	else
		e->n_left_out++;
	free(message);
}

bool config_errors_any(const struct config_errors *e)
{
	return e->n_items || e->n_left_out;
}

void config_errors_print(const struct config_errors *e, FILE *out)
{
	for (size_t i = 0; i < e->n_items; i++)
		fprintf(out, "%s\n", e->items[i].text);
	if (e->n_left_out)
		fprintf(out, "... and %zu more errors\n", e->n_left_out);
}
