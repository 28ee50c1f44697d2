/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What the values of a configuration must be to each other. */
#pragma once

#include "core/config_draft.h"

/*
 * Adds to `errors` whatever contradicts or is missing, leaving out what follows from a value
 * that was refused already; and finds the network of each link and peer.
 * 0, whatever `errors` got, or -ENOMEM.
 */
int config_check(struct config_draft *d, struct config_errors *errors);

/* Can two links not have their sockets at the same time? */
bool config_take_same_port(const struct link_settings *a, const struct link_settings *b);
