/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What wg(8) asks and sets, in our networks. Owner: the main thread. */
#pragma once

#include "control/uapi_server.h"
#include "core/listeners.h"
#include "core/networks.h"

struct uapi_networks {
	struct networks *networks;
	const struct listeners *listeners;
};

/* For the server; `ctx` is that, an interface's number its place among the listeners. */
extern const struct uapi_calls uapi_calls;
