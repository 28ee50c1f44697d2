/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The engine's system calls. */
#pragma once

/*
 * From here on this process, and what threads it starts, has the system calls that filter.c
 * lists. Those that open files fail as in an empty directory; those that no daemon of ours ever
 * makes (other programs, other users, other processes' memory) end the process; all others fail
 * with ENOSYS. 0 or -errno (-EOPNOTSUPP: not in this build).
 */
int filter_install(void);
