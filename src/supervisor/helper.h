/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The process that looks up names for the engine, which has no file system (broker/lookup.h). */
#pragma once

#include "supervisor/supervisor.h"

/*
 * Starts one; it ends with the other end of *ret_fd, or with the supervisor, who reaps it. 0 or
 * -errno.
 */
int helper_start(const struct supervisor_settings *s, const struct supervisor_calls *calls,
		 void *ctx, int *ret_fd, pid_t *ret_pid);
