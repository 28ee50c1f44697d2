/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What vtrunkd does besides being a daemon: short jobs at the terminal. */
#pragma once

#include "core/cli.h"

/* Runs the command (any but COMMAND_DAEMON) and returns the exit status of the process. */
int command_run(const struct cli *cli);
