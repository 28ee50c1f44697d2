/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The command `status`: the page of render.h, once or again and again. */
#pragma once

#include "vtrunkctl/screen.h"

struct options;

/* Writing to `out`, as wide and as colorful as standard output is; its height. */
struct screen show_screen(FILE *out);
unsigned show_rows(void);

int show_status(const struct options *o);
