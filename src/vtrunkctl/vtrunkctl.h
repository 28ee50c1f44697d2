/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The program vtrunkctl: asks a running vtrunkd, and shows what it answers. */
#pragma once

#define EXIT_USAGE 2

/* The exit status: 0, 1 for what the daemon or its absence is to blame for, 2 for wrong usage. */
int vtrunkctl_run(int argc, char **argv);
