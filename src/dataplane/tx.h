/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The send side, on the TUN readers' threads (usually one): reads, routes, segments, gathers
 * packets of equal size to one peer into a burst across reads, seals it, chooses its path, pushes
 * it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "dataplane/status.h"
#include "util/clock.h"
#include "wire/frame.h"

struct bond;
struct network;
struct tx;

int tx_new(struct tx **ret, struct network *n); /* 0 or -errno */
void tx_free(struct tx *t);
int tx_start(struct tx *t);
void tx_stop(struct tx *t);

/*
 * Main thread: forgets these bonds, which are marked as removed, and drops what waits for them.
 * Nothing comes for them any more, neither from the interface nor from the links.
 */
void tx_remove_bonds(struct tx *t, struct bond **bonds, size_t n);

/* Any thread: how many queues are read, and what has come through one. */
unsigned tx_n_queues(const struct tx *t);
void tx_queue_status(const struct tx *t, unsigned queue, struct queue_status *ret);

/* Any thread: there is a new session or path, or room in a queue: the readers look again. */
void tx_kick(struct tx *t);
/* Any thread: a peer's report or repair request, come at `at`; false if the queue is full. */
bool tx_post_frame(struct tx *t, struct bond *bond, const struct frame *frame, nsec_t at);
/*
 * A link's worker, before it writes a packet to the interface which the kernel may answer at once.
 * True: the reader sleeps, and the answer does not wake it, for the worker is to read and send it
 * in its place, right after the write, by tx_read_answer().
 */
bool tx_expect_answer(struct tx *t);
void tx_read_answer(struct tx *t);
/* A link's worker: is what its link carries bulk (links/bulk.h)? Then the readers are patient. */
void tx_note_bulk(struct tx *t, bool is_bulk);
/* A reader: flow queues that were full have room again. */
void tx_wake_held_up(struct tx *t);
