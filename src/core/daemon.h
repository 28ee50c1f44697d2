/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The daemon as a process: what it holds for its whole life, around the supervisor. */
#pragma once

#include "core/cli.h"

/* Runs until it is told to stop. Returns the exit status of the process. */
int daemon_run(const struct cli *cli);
