/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "util/warnings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/log.h"

static char texts[WARNINGS_MAX][WARNING_LEN_MAX + 1];
static size_t count;

void warning_add(const char *format, ...)
{
	char text[WARNING_LEN_MAX + 1];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_warn("%s", text);
	for (size_t i = 0; warnings_at(i); i++)
		if (!strcmp(warnings_at(i), text))
			return;
	if (count < WARNINGS_MAX)
		snprintf(texts[count], sizeof(texts[count]), "%s", text);
	count++;
}

size_t warnings_count(void)
{
	return count;
}

const char *warnings_at(size_t i)
{
	return i < count && i < WARNINGS_MAX ? texts[i] : NULL;
}
