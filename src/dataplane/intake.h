/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Intake: what becomes of a peer's datagrams once they are opened. Each is counted for its path and
 * checked against the replay window; frames go to whom they concern; an IP packet has its source
 * checked. Whatever is authentic and new goes to the delivery, for its place in the order, even if
 * nothing of it is delivered: else its counter would be a gap to wait for.
 * Owner: whoever holds the peer's receive lane.
 */
#pragma once

#include "dataplane/delivery.h"

/*
 * Inside a read section: takes a burst, of which datagrams that failed authentication begin with a
 * zero byte. It must stay as it is until delivery_flush().
 */
void intake_take_rcu(struct delivery *d, struct bond *bond, struct burst *b);
