/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Shows frame after frame: in place on a terminal, one below the other elsewhere. */
#pragma once

#include "vtrunkctl/screen.h"

/*
 * Writes a frame of lines, of which those below the terminal's last one are left out. On a
 * terminal the first frame clears the screen, and each later one lies over the one before it.
 */
void watch_show(FILE *out, const char *frame, bool is_terminal, unsigned rows, bool is_first);
