/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Where output goes, and how it may look there. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/* Lines fit into this many columns where there is no terminal to ask. */
#define SCREEN_WIDTH 80

struct screen {
	FILE *out;
	bool has_color;
	unsigned width;
};

enum style {
	STYLE_PLAIN,
	STYLE_NAME,  /* of what a block is about */
	STYLE_FAINT, /* captions */
	STYLE_GOOD,
	STYLE_BAD,
	STYLE_UNSURE,
};

__attribute__((format(printf, 3, 4))) void screen_print(const struct screen *screen,
							enum style style, const char *format, ...);

/* Words, in lines that fit and are never longer than can be read well. */
struct prose {
	const struct screen *screen;
	unsigned column; /* how much of the line is written */
	unsigned indent; /* of all lines but the first */
	unsigned blanks; /* before the next word, unless it begins a line */
};

/* Goes on where the last text ended; only blanks may become the ends of lines. */
__attribute__((format(printf, 3, 4))) void prose_print(struct prose *p, enum style style,
						       const char *format, ...);
void prose_end(struct prose *p);
