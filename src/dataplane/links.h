/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The links of a network: made and freed by the main thread. */
#pragma once

#include "links/link.h"

struct network;

/* With settings of its own, and its worker's struct rx as link->user. 0 or -errno. */
int network_link_new(struct link **ret, struct network *n, uint32_t number,
		     const struct link_settings *s);
/* No thread uses it any more. NULL is fine. */
void network_link_free(struct link *l);
