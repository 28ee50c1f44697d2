/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The hooks of a network: one list, from which come the enum, the keys of the configuration and
 * what is run when.
 */
#pragma once

/* key, the event that runs it, and its state where that matters */
#define HOOK_KINDS(X)                                                                              \
	X(on_up, "network_state=active")                                                           \
	X(on_down, "network_state=stopped")                                                        \
	X(on_link_up, "path_up")                                                                   \
	X(on_link_down, "path_down")                                                               \
	X(on_peer_up, "peer_up")                                                                   \
	X(on_peer_down, "peer_down")

enum hook_kind {
#define X(key, event) HOOK_##key,
	HOOK_KINDS(X)
#undef X
		HOOK_KIND_COUNT
};
