/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* All networks at a glance: for monitoring. Main thread. */
#pragma once

#include "control/buffer.h"
#include "control/verdict.h"
#include "core/networks.h"

struct observation {
	struct network_status *networks;
	size_t n;
};

/* 0 or -ENOMEM; then observation_deinit(). The networks live on in it as they were. */
int observe(const struct networks *networks, struct observation *ret);
void observation_deinit(struct observation *o);

/* The status of one, whatever its state. 0 or -errno. */
int observe_network(const struct network_slot *slot, struct network_status *ret);
/* The worst of all networks. */
enum verdict observe_verdict(const struct networks *networks, const struct observation *o,
			     verdict_reason tell, void *ctx);
/* For metrics_server_new(): `networks` is the context. */
int observe_metrics(void *networks, struct buffer *ret_text, enum verdict *ret);
