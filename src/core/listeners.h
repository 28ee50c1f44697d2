/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The sockets at which a daemon is spoken to: the control socket, those of wg(8), and those of the
 * metrics. The supervisor opens them, those of wg(8) when the engine asks, and they outlive every
 * engine.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>

#include "broker/request.h"
#include "control/socket.h"
#include "core/config.h"

/* As many as there may be interfaces. */
#define UAPI_LISTENERS_MAX 64

struct uapi_listener {
	char interface[IFNAMSIZ];
	struct control_socket socket;
};

struct listeners {
	struct control_socket control;
	/* by enum broker_metrics_kind; fd -1: none. Those that a reload may keep. */
	struct control_socket metrics[BROKER_METRICS_KINDS], next_metrics[BROKER_METRICS_KINDS];
	struct daemon_settings metrics_settings; /* what `metrics` are by */
	struct uapi_listener uapi[UAPI_LISTENERS_MAX];
	size_t n_uapi;
	int uapi_watch; /* of the directory in which they are; -1: none */
};

/* Nothing is open yet. */
void listeners_init(struct listeners *l);
/*
 * Opens what the configuration wants, but for those of wg(8). 0 or -errno, the cause being logged.
 */
int listeners_open(struct listeners *l, const struct config *config);
/*
 * Of `vtrunkd INTERFACE`, which cannot do without: the one of wg(8), `given` if that is open, and a
 * watch for its removal. The same errors.
 */
int listeners_open_watched_uapi(struct listeners *l, const char *interface,
				struct control_socket *given);
/*
 * A duplicate of the socket of wg(8) for that interface, which is opened if there is none yet. 0;
 * or -errno, the cause being logged: the daemon can do without.
 */
int listeners_give_uapi(struct listeners *l, const char *interface, int *ret_fd);
/* Closes and removes it. 0 or -ENOENT. */
int listeners_close_uapi(struct listeners *l, const char *interface);
/*
 * A duplicate of the socket for metrics that these settings want, which is opened beside the one
 * there is. 0; -ENOENT where they want none; or -errno, the cause being logged.
 */
int listeners_give_metrics(struct listeners *l, enum broker_metrics_kind kind,
			   const struct daemon_settings *s, int *ret_fd);
/* Do both want the same? */
bool metrics_are_same(enum broker_metrics_kind kind, const struct daemon_settings *a,
		      const struct daemon_settings *b);
/* The settings are in force: sockets that these do not want are closed. */
void listeners_keep_metrics(struct listeners *l, const struct daemon_settings *s);
/* In the engine, which asks for them: closes its copies of those of wg(8). */
void listeners_forget_uapi(struct listeners *l);
void listeners_close(struct listeners *l);
