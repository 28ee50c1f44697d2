/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Writes configuration files to begin with. They are new, of mode 0600, and never written
 * over an existing file unless `is_forced`.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "links/path.h"

/* As many as a peer has paths. */
#define PAIR_LINKS_MAX PATHS_MAX
#define PORT_DEFAULT 51820

/* What a user may choose of a pair; `endpoint` is the server's host name or address. */
struct pair_options {
	const char *endpoint;
	uint16_t port;
	unsigned n_links;
};

/* A commented client with placeholders for the keys. 0, -EEXIST, or another -errno. */
int starter_write(const char *path, bool is_forced);

/*
 * client.conf and server.conf in `directory`, which is made if it is not there, with new keys:
 * they connect if `endpoint` leads to the server. 0; -EINVAL for a bad endpoint; -EEXIST, nothing
 * being written then; or another -errno.
 */
int pair_write(const char *directory, const struct pair_options *options, bool is_forced);
