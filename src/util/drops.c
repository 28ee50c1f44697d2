/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "util/drops.h"

static const char *const names[] = {
#define X(name, text) #name,
	DROP_REASONS(X)
#undef X
};

static const char *const texts[] = {
#define X(name, text) text,
	DROP_REASONS(X)
#undef X
};

const char *drop_reason_name(enum drop_reason reason)
{
	return names[reason];
}

const char *drop_reason_text(enum drop_reason reason)
{
	return texts[reason];
}
