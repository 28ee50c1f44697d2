/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The networks of this daemon, started and stopped together. Owner: the main thread; the
 * networks' own threads only report here that one of them cannot go on.
 */
#pragma once

#include "core/config.h"
#include "dataplane/network.h"

struct networks;

/* One that runs, and its settings. */
struct running_network {
	const struct network_settings *settings;
	struct network *network;
};

/*
 * Starts one enabled network after the other, each telling the log how that went. 0 if at least one
 * is up, -ENOENT if none is enabled, or the last failure's -errno with nothing left running.
 * `config` must live as long as they do.
 */
int networks_start(struct networks **ret, const struct config *config);
/* In reverse order. NULL is fine. */
void networks_stop(struct networks *n);

/* Those that run. */
const struct running_network *networks_list(const struct networks *n, size_t *ret_count);

/* Readable when a network may have failed. */
int networks_failure_fd(const struct networks *n);
/* The name of the first that has failed, and why; NULL if all are well. Lives as long as they do.
 */
const char *networks_take_failure(struct networks *n, const char **ret_why);
