/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "vtrunkctl/watch.h"

#include <string.h>

#define CLEAR "\033[2J"
#define HOME "\033[H"
#define CLEAR_REST_OF_LINE "\033[K"
#define CLEAR_BELOW "\033[J"
/* Lines wider than the terminal are cut, not continued on a row that was not counted. */
#define WRAP_OFF "\033[?7l"
#define WRAP_ON "\033[?7h"

/* Overwriting instead of clearing first: nothing flickers. */
static void show_in_place(FILE *out, const char *frame, unsigned rows)
{
	fputs(WRAP_OFF HOME, out);
	/* The last row stays free: a newline on it would scroll. */
	for (unsigned row = 1; *frame && row < rows; row++) {
		size_t len = strcspn(frame, "\n");

		fprintf(out, "%.*s" CLEAR_REST_OF_LINE "\n", (int)len, frame);
		frame += len + (frame[len] == '\n');
	}
	fputs(CLEAR_BELOW WRAP_ON, out);
}

void watch_show(FILE *out, const char *frame, bool is_terminal, unsigned rows, bool is_first)
{
	if (is_terminal) {
		fputs(is_first ? CLEAR : "", out);
		show_in_place(out, frame, rows);
	} else {
		fprintf(out, "%s%s", is_first ? "" : "\n", frame);
	}
	fflush(out);
}
