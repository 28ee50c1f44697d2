/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "vtrunkctl/screen.h"

#include <stdarg.h>

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
