/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The privileged side. Everything that the engine may ask for is one case of one switch, and each
 * checks the request as if it came from an attacker. Not thread-safe; blocks for as long as the
 * kernel or the disk does.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "broker/request.h"
#include "util/clock.h"

struct broker_server;

/* What the server asks of whoever has the configuration. */
struct broker_calls {
	/* Is there a network of that name in the configuration? */
	bool (*has_network)(void *ctx, const char *name);
	/* ... and has it a peer with that key? */
	bool (*has_peer)(void *ctx, const char *network, const uint8_t public_key[32]);
	/*
	 * May the interface have this address (of a point-to-point interface with that destination,
	 * else its family is 0)? It, or one of its subnet, must be in the configuration.
	 */
	bool (*may_have_address)(void *ctx, const char *interface, const struct prefix *address,
				 const struct prefix *destination);
	/* May the interface have routes in this table? It must be in the configuration. */
	bool (*may_route)(void *ctx, const char *interface, uint32_t table);
	/*
	 * Reads the configuration anew: *ret_fd has 'C' and its text with all keys in it, or 'E'
	 * and what is wrong with it. 0 or -errno. Then the engine has taken over what was read
	 * last.
	 */
	int (*read_config)(void *ctx, int *ret_fd);
	int (*keep_config)(void *ctx);
	/*
	 * The listening socket where wg(8) finds an interface of the configuration: a duplicate of
	 * the one there is, or a new one; and away with it. 0 or -errno.
	 */
	int (*open_uapi)(void *ctx, const char *interface, int *ret_fd);
	int (*close_uapi)(void *ctx, const char *interface);
	/*
	 * A listening socket for metrics, as the configuration that was read last wants it; it
	 * takes the place of the present one when that is kept. 0; -ENOENT where it wants none; or
	 * -errno.
	 */
	int (*open_metrics)(void *ctx, enum broker_metrics_kind kind, int *ret_fd);
	/*
	 * A step towards a network's next private key, which is told. 0; -ENODATA where the
	 * network's key has no file of its own; -ENOKEY where none has been made; or -errno.
	 */
	int (*next_key)(void *ctx, const struct broker_key *q, uint8_t ret_key[32]);
	/* Runs a hook of the configuration, sometime. 0 or -errno. */
	int (*run_hook)(void *ctx, const struct broker_hook *h);
};

/* ... and of the parent of who asks. */
struct broker_parent_calls {
	/* Starts a process that looks up names for who holds the descriptor. 0 or -errno. */
	int (*open_resolver)(void *ctx, int *ret_fd);
	/* The configuration is going to be read anew. */
	void (*reloading)(void *ctx);
	/* The engine is up, or done with that; 0 or -errno. */
	int (*ready)(void *ctx);
	/* ... and does not hang. */
	void (*alive)(void *ctx);
	/* Something has happened; whoever started the daemon is told. */
	void (*tell)(void *ctx, const struct broker_event *e);
};

/* `state_dir` and `calls` (NULL: none of them) must live as long as it. 0 or -errno. */
int broker_server_new(struct broker_server **ret, const char *state_dir,
		      const struct broker_calls *calls, void *ctx);
/* `calls` must live as long as it. Before any request; without them who asks has no parent. */
void broker_server_set_parent(struct broker_server *s, const struct broker_parent_calls *calls,
			      void *ctx);
/* Takes over an interface that we were given: it is the first of its name. Before any request. */
void broker_server_adopt_tun(struct broker_server *s, const struct tun *tun);
/* Removes the rules that it has made. Not for a child, whose copy knows them as well. */
void broker_server_remove_rules(struct broker_server *s);
/* Removes the interfaces that it has made. NULL is fine. */
void broker_server_free(struct broker_server *s);

/*
 * Until that time an interface or a port that is taken is tried again: its owner is on the way
 * out.
 */
void broker_server_be_patient(struct broker_server *s, nsec_t until);

/*
 * Does what the `len` bytes at `request` ask for, if they are a request at all. The descriptor
 * in *ret_fd (-1: none) goes to whoever asked.
 */
void broker_serve(struct broker_server *s, const void *request, size_t len,
		  struct broker_reply *ret, int *ret_fd);
