/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The configuration in the privileged process: the one in force, the one that a reload has read,
 * and what the engine may ask of them. What it asks for, it asks by name; which file is read, which
 * program run and which table written to is in the configuration alone. Owner: the supervisor.
 */
#pragma once

#include "broker/request.h"
#include "core/config.h"
#include "supervisor/hooks.h"

struct config_store {
	const char *path;
	struct config config; /* in force */
	struct config next;   /* read, and given to the engine; no networks: none */
	struct hooks hooks;
};

/* Nothing is in force yet. `path` must live as long as it. */
void config_store_init(struct config_store *s, const char *path);
/* Warns of hooks that cannot be run. */
void config_store_check_hooks(const struct config_store *s);
/* Runs the hooks that wait, for a moment. */
void config_store_end_hooks(struct config_store *s);
/* Wipes and frees the configurations. */
void config_store_forget(struct config_store *s);

/* Of the configuration that was read last. */
const struct daemon_settings *config_store_newest(const struct config_store *s);
/* What broker/server.h says of the calls of these names. */
int config_store_read(struct config_store *s, int *ret_fd);
int config_store_keep(struct config_store *s);
int config_store_next_key(struct config_store *s, const struct broker_key *q, uint8_t ret_key[32]);
int config_store_run_hook(struct config_store *s, const struct broker_hook *q);
/* The engine may be about to take over what has been read last: that counts as well. */
bool config_store_has_network(const struct config_store *s, const char *name);
bool config_store_has_peer(const struct config_store *s, const char *network,
			   const uint8_t public_key[32]);
bool config_store_has_uapi(const struct config_store *s, const char *interface);
bool config_store_may_have_address(const struct config_store *s, const char *interface,
				   const struct prefix *address, const struct prefix *destination);
bool config_store_may_route(const struct config_store *s, const char *interface, uint32_t table);
