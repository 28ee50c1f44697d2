/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Puts another configuration in force while the networks run: the difference is worked out, what
 * cannot be changed without a restart is refused by its name, and the rest is applied as a whole,
 * or taken back. Main thread.
 */
#pragma once

#include "control/action.h"
#include "core/exporters.h"
#include "core/networks.h"

/*
 * `next` takes the place of `current`, and is emptied; on failure it stays as it is, `reply` says
 * why, and nothing has changed. Else reply->data lists what has.
 */
enum control_error reload_apply(struct networks *networks, struct exporters *exporters,
				struct config *current, struct config *next,
				struct control_reply *reply);
