/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The daemon's one stream of events. Any thread posts a record, without waiting; the main thread
 * hands each to all that listen, in the order in which they were posted. When it does not keep up,
 * records are lost, and an event "events_lost" says how many.
 */
#pragma once

#include "util/record.h"

#define EVENTS_LISTENERS_MAX 4

struct events;

typedef void (*events_listener)(void *ctx, const struct record *r);

int events_new(struct events **ret); /* 0 or -errno */
void events_free(struct events *e);  /* NULL is fine */

/* Main thread, before others post. */
void events_listen(struct events *e, events_listener hear, void *ctx);
/* Any thread. */
void events_post(struct events *e, const struct record *r);

/* Main thread: readable when there is something to hand on. */
int events_fd(const struct events *e);
void events_dispatch(struct events *e);
