/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The text that wg(8) speaks with a WireGuard in user space (wireguard.com/xplatform): what it
 * asks to be set, and the answer to what is set now. Pure: no I/O.
 */
#pragma once

#include "control/buffer.h"
#include "dataplane/change.h"
#include "dataplane/status.h"

struct uapi_set {
	struct network_change change; /* without links; its arrays are ours */
	size_t peers_room;
	uint8_t private_key[32];
	bool has_listen_port, has_fwmark;
	uint16_t listen_port;
	uint32_t fwmark;
};

/*
 * Reads the lines between "set=1" and the empty one, which it cuts up. 0; -EINVAL for a bad value;
 * -EPROTO for an unknown key or one out of place; -ENOMEM. uapi_set_deinit() in any case.
 */
int uapi_set_parse(struct uapi_set *ret, char *text);
/* Wipes and frees what it holds. */
void uapi_set_deinit(struct uapi_set *s);

/* What the lines of a device say; of a peer, uapi_write_peer() says more. */
struct uapi_device {
	const uint8_t *private_key;
	uint16_t listen_port;
	uint32_t fwmark;
};

/* Appends lines. 0 or -ENOMEM. */
int uapi_write_device(struct buffer *to, const struct uapi_device *d);
int uapi_write_peer(struct buffer *to, const struct peer_settings *settings,
		    const struct peer_status *status);
/* The end of an answer; `r` is 0 or -errno. */
int uapi_write_result(struct buffer *to, int r);
