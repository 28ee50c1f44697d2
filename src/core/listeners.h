/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The sockets at which a daemon is spoken to: the control socket, those of wg(8), and those of the
 * metrics. They are opened once, before any right is given up, and outlive every engine.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "control/socket.h"
#include "core/config.h"

/* Belongs to an interface and not to a network's number: a reload may put them in another order. */
struct uapi_listener {
	char interface[IFNAMSIZ];
	struct control_socket socket;
};

struct listeners {
	struct control_socket control;
	struct control_socket metrics; /* fd -1: none */
	int metrics_tcp;	       /* -1: none */
	struct uapi_listener *uapi;
	size_t n_uapi;
	int uapi_watch; /* of the directory in which they are; -1: none */
};

/* Nothing is open yet. */
void listeners_init(struct listeners *l);
/*
 * Opens what the configuration wants. Where `needs_uapi` is not set the daemon does without the
 * sockets of wg(8) that cannot be had. 0 or -errno, the cause being logged; then listeners_close()
 * has still to be called.
 */
int listeners_open(struct listeners *l, const struct config *config, bool needs_uapi);
void listeners_close(struct listeners *l);
