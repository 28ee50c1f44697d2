/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The threads of a link, for link.c only; and what that does for them. */
#pragma once

#include "links/link.h"

/* As many as the settings say. 0 or -errno; workers_deinit() is to follow in any case. */
int workers_init(struct link *l);
void workers_deinit(struct link *l);
/* The first worker: returns when it has the lead. */
void worker_claim_lead(struct link *l);

/* The first worker: its turn to send, if nobody else is sending. True if there may be more. */
bool link_work_turn(struct link *l);
/* Any thread: sending over a path, or receiving (0), has failed. */
void link_tell_failure(struct link *l, uint32_t path_id, int error);
