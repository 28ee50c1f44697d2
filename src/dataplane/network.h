/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A running network: the TUN interface, its links and peers, and the threads between them
 * (docs/architecture.md lists these). Started, asked and stopped by the main thread.
 */
#pragma once

#include "dataplane/change.h"
#include "dataplane/settings.h"
#include "dataplane/status.h"
#include "util/record.h"

struct network;
struct broker;

/*
 * Called by any thread, once at most, when the network cannot go on (the TUN interface has
 * vanished, a thread has ended): `why` says what happened. The main thread then stops it.
 */
typedef void (*network_failed_fn)(void *ctx, const char *why);
/* Called by any thread, with an event of docs/control.md. Does not block. */
typedef void (*network_happened_fn)(void *ctx, const struct record *r);

/*
 * Brings the network up: on return 0 the interface has its addresses and is up, all sockets
 * that can be opened now are, and all threads run. `settings` are copied.
 * On failure everything is undone, the cause has been logged, and -errno is returned.
 * `broker` does what needs privilege, and lives as long.
 */
int network_start(struct network **ret, const struct network_settings *settings,
		  struct broker *broker, network_failed_fn failed, network_happened_fn happened,
		  void *ctx);
/* Ends all threads, removes the interface, wipes the keys. NULL is fine. */
void network_stop(struct network *n);

/* 0 or -ENOMEM; the caller calls network_status_free(). */
int network_status(struct network *n, struct network_status *ret);

/*
 * Changes peers, keys and links while traffic runs; sessions of peers that are not concerned go on.
 * All or nothing, except links (change.h): 0; -EINVAL for an invalid public key; -ENOMEM; for a
 * link also -EADDRINUSE and other errors of opening its socket, -EAGAIN or -E2BIG if it is one too
 * many. Main thread; takes until each thread has run its errand, less than a millisecond, and for
 * each new peer about 0.1 ms.
 */
int network_change(struct network *n, const struct network_change *change);
/*
 * Mode, scheduler, spread, health checks and rules are those of `wanted` from now on. Main thread.
 * 0 or -ENOMEM.
 */
int network_tune(struct network *n, const struct network_settings *wanted);
/*
 * Addresses, MTU (network_mtu_most() at the most), carrier, and the place of the routes are those
 * of `wanted` from now on. 0; or -errno, the cause being logged, and nothing has changed. Main
 * thread.
 */
int network_reshape(struct network *n, const struct network_settings *wanted);
/* The buffers have no room for packets that are larger. */
uint32_t network_mtu_most(const struct network *n);

/*
 * What is in force now, for the main thread, until the next change: of the network as a whole
 * (without peers and links) ...
 */
const struct network_settings *network_settings(const struct network *n);
/* ... and of its peers, in the order of the status. */
const struct peer_settings *network_peer(const struct network *n, size_t i);
/* A copy of all that is in force; the caller calls network_settings_free(). 0 or -ENOMEM. */
int network_settings_now(const struct network *n, struct network_settings **ret);
/* The links, by number below network_n_links(); NULL where there is none. */
size_t network_n_links(const struct network *n);
const struct link_settings *network_link(const struct network *n, size_t number);
const struct link_settings *network_find_link(const struct network *n, const char *name);
