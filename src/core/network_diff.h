/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What makes one network's settings out of another's, for network_change(). Pure. */
#pragma once

#include "dataplane/network.h"

struct network_diff {
	struct network_change change;
	bool has_tuning; /* mode, scheduler, health or rules differ: network_tune() */
	/* its arrays */
	struct link_change *links;
	struct peer_change *peers;
	struct prefix_change *prefixes;
};

/* 0 or -ENOMEM. Both must live as long as it. */
int network_diff(const struct network_settings *from, const struct network_settings *to,
		 struct network_diff *ret);
void network_diff_deinit(struct network_diff *d);
