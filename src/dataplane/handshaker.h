/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The handshake thread: gives the device its messages, pokes and time, so that no flood of
 * handshakes delays data or pings.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "links/link.h"
#include "util/errand.h"

struct handshaker;
struct network;
struct device_calls;

extern const struct device_calls handshaker_device_calls;

int handshaker_new(struct handshaker **ret, struct network *n); /* 0 or -errno */
void handshaker_free(struct handshaker *h);
int handshaker_start(struct handshaker *h);
void handshaker_stop(struct handshaker *h);

/* Main thread: the handshake thread runs fn(arg), and we wait for it; see errand.h. */
void handshaker_send_errand(struct handshaker *h, errand_fn fn, void *arg);
/* In an errand too: nobody that has been poked so far is left in the queue. */
void handshaker_take_pokes(struct handshaker *h);

/* Link workers: a message of handshake type and length; false if the queue is full. */
bool handshaker_post(struct handshaker *h, struct link *l, const struct endpoint *from,
		     const void *msg, size_t len);
