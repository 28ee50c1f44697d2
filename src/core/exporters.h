/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Where the metrics are given by HTTP: a Unix socket, a port, both or none. A reload makes the new
 * ones before it knows that it succeeds, and then takes or drops them. Owner: the main thread.
 */
#pragma once

#include "broker/broker.h"
#include "control/metrics_server.h"
#include "core/networks.h"

struct exporters {
	struct broker *broker;
	struct networks *networks;
	/* by enum broker_metrics_kind; NULL: none */
	struct metrics_server *servers[BROKER_METRICS_KINDS];
	struct metrics_server *next[BROKER_METRICS_KINDS];
	bool is_changing[BROKER_METRICS_KINDS];
};

/* Serves on a listening socket, which it takes over. 0 or -errno. */
int exporters_open(struct exporters *e, enum broker_metrics_kind kind, int fd);
/* Those that `after` wants otherwise than `before`. 0; or -errno, and then there are none. */
int exporters_prepare(struct exporters *e, const struct daemon_settings *before,
		      const struct daemon_settings *after);
void exporters_take(struct exporters *e);
void exporters_drop(struct exporters *e);
void exporters_close(struct exporters *e);

/* Readable when there is something to do; -1: there is no such server. */
int exporters_fd(const struct exporters *e, enum broker_metrics_kind kind);
/* When exporters_dispatch() is due without that; NSEC_NEVER: not at all. */
nsec_t exporters_deadline(const struct exporters *e, nsec_t now);
/* Also without news: clients may have to be let go. */
void exporters_dispatch(struct exporters *e);
