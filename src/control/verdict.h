/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Is a network well? What monitoring asks; docs/control.md has the rules. */
#pragma once

#include "dataplane/status.h"

enum verdict {
	VERDICT_HEALTHY,
	VERDICT_DEGRADED,
	VERDICT_UNHEALTHY,
};

/* Called for each thing that is not as it should be. */
typedef void (*verdict_reason)(void *ctx, enum verdict verdict, const char *reason);

/* `is_wanted`: the network is to be up. `tell` may be NULL. The worst of all reasons. */
enum verdict verdict_network(const struct network_status *s, bool is_wanted, verdict_reason tell,
			     void *ctx);
const char *verdict_name(enum verdict verdict);
