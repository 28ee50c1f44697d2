/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * For the few operations of libcrypto that have no error to return: they fail only without
 * memory or with a libcrypto that lacks the algorithm, and nothing secure can go on then.
 */
#pragma once

#include <stdbool.h>
#include <stdlib.h>

#include "util/log.h"

static inline void require(bool is_done, const char *what)
{
	if (is_done)
		return;
	log_error("libcrypto cannot provide %s, giving up", what);
	abort();
}
