/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Where output goes, and how it may look there. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/* Lines fit into this many columns where there is no terminal to ask. */
#define SCREEN_WIDTH 100

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
