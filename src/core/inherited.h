/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * What whoever started `vtrunkd INTERFACE` has opened for it, as wireguard-go takes it: the tunnel
 * interface (WG_TUN_FD) and the socket at which wg(8) finds it (WG_UAPI_FD).
 */
#pragma once

#include "control/socket.h"
#include "tun/tun.h"

struct inherited {
	struct tun tun;		    /* fd -1: none */
	struct control_socket uapi; /* fd -1: none */
};

void inherited_init(struct inherited *i);
/* Looks at what the environment names. 0; or -errno, the cause being logged. */
int inherited_take(struct inherited *i);
/* What nobody has taken over. The socket's file stays: another process may have it. */
void inherited_close(struct inherited *i);
