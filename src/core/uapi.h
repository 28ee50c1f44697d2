/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What wg(8) asks and sets, in our networks. Owner: the main thread. */
#pragma once

#include "control/uapi_server.h"
#include "core/networks.h"

/* For the server; `ctx` is the networks, an interface's number its place among them. */
extern const struct uapi_calls uapi_calls;
