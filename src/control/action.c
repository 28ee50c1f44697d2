/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "control/action.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const names[] = {"ok",
#define X(name) #name,
				    CONTROL_ERRORS(X)
#undef X
};

const char *control_error_name(enum control_error error)
{
	return names[error];
}

enum control_error control_fail(struct control_reply *reply, enum control_error error,
				const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reply->message, sizeof(reply->message), format, args);
	va_end(args);
	return error;
}
