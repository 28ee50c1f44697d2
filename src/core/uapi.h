/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What wg(8) asks and sets, in our networks. Owner: the main thread. */
#pragma once

#include "control/uapi_server.h"
#include "core/listeners.h"
#include "core/networks.h"

struct uapi {
	struct uapi_server *server;
	struct networks *networks;
	struct broker *broker;
	struct uapi_place {
		char interface[IFNAMSIZ]; /* "": a free place */
		int fd;			  /* listening; -1: it cannot be had */
	} places[UAPI_LISTENERS_MAX];
};

/* Of all zeros. 0 or -errno. */
int uapi_init(struct uapi *u, struct networks *networks, struct broker *broker);
void uapi_deinit(struct uapi *u);
/*
 * Opens the sockets of networks that have started since the last call, and closes those of networks
 * that have stopped, or do not want one any more.
 */
void uapi_follow(struct uapi *u);
