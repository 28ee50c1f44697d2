/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Recall: where the peers are is told to the supervisor, and an engine that follows a crashed one
 * asks for it, so that it need not wait until each peer notices and begins a handshake. Owner: the
 * monitor.
 */
#pragma once

#include "dataplane/probe.h"

/* Something has changed that may have to be told; that is done soon, and not too often. */
void recall_note(struct probe *p);
void recall_tick(struct timer *t, nsec_t now);

/*
 * Before the threads run: makes the paths that the engine before us had learnt, and begins
 * handshakes with the peers that had a session.
 */
void recall_load(const struct probe_context *c, nsec_t now);

/* Main thread: the peer has been removed, and no thread has it any more. */
void recall_forget(const struct bond *bond);
