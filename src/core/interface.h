/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* `vtrunkd INTERFACE`: one network without key and peers, which wg(8) gives it later. */
#pragma once

#include "core/config.h"

/*
 * What the environment and the name say. 0; -EINVAL for a name that is none, which is said;
 * -ENOMEM.
 */
int interface_config(struct config *ret, const char *interface);
