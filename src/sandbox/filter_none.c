/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Without libseccomp, or with sanitizers. */
#include "sandbox/filter.h"

#include <errno.h>

int filter_install(void)
{
	return -EOPNOTSUPP;
}
