/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "vtrunkctl/screen.h"

#include <stdarg.h>
#include <string.h>

#include "vtrunkctl/text.h"

/* A longer line of prose is hard to read, however wide the terminal is. */
#define PROSE_WIDTH 80
#define PROSE_MAX 1024

static const char *const escapes[] = {
	[STYLE_PLAIN] = "",	   [STYLE_NAME] = "\033[1m", [STYLE_FAINT] = "\033[2m",
	[STYLE_GOOD] = "\033[32m", [STYLE_BAD] = "\033[31m", [STYLE_UNSURE] = "\033[33m",
};

void screen_print(const struct screen *screen, enum style style, const char *format, ...)
{
	bool is_colored = screen->has_color && style != STYLE_PLAIN;
	va_list args;

	if (is_colored)
		fputs(escapes[style], screen->out);
	va_start(args, format);
	vfprintf(screen->out, format, args);
	va_end(args);
	if (is_colored)
		fputs("\033[0m", screen->out);
}

static void print_word(struct prose *p, enum style style, const char *word, size_t len)
{
	const unsigned room = p->screen->width < PROSE_WIDTH ? p->screen->width : PROSE_WIDTH;
	char copy[PROSE_MAX];
	unsigned width;

	memcpy(copy, word, len);
	copy[len] = '\0';
	width = text_width(copy);
	if (p->blanks && p->column > p->indent && p->column + p->blanks + width > room) {
		fputc('\n', p->screen->out);
		p->column = 0;
		p->blanks = p->indent;
	}
	fprintf(p->screen->out, "%*s", (int)p->blanks, "");
	screen_print(p->screen, style, "%s", copy);
	p->column += p->blanks + width;
	p->blanks = 0;
}

void prose_print(struct prose *p, enum style style, const char *format, ...)
{
	char text[PROSE_MAX];
	const char *at = text;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	while (*at) {
		size_t blanks = strspn(at, " ");
		size_t len = strcspn(at + blanks, " ");

		p->blanks += (unsigned)blanks;
		at += blanks;
		if (len)
			print_word(p, style, at, len);
		at += len;
	}
}

void prose_end(struct prose *p)
{
	fputc('\n', p->screen->out);
	p->column = p->blanks = 0;
}
