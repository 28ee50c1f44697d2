/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A bounded queue of small values: many threads push, one pops, nobody locks or waits.
 * (D. Vyukov's bounded queue: every slot carries the turn whose owner may touch it.)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct ring;

/* `slots` is a power of two. 0, or -ENOMEM. */
int ring_new(struct ring **ret, size_t slots, size_t value_bytes);
/* What is still queued is forgotten. */
void ring_free(struct ring *r);

/* Copies the value in; false when the ring is full. Any thread. */
bool ring_push(struct ring *r, const void *value);
/* Copies the oldest value out; false when the ring is empty. The one consumer only. */
bool ring_pop(struct ring *r, void *ret_value);

/* A guess unless nobody else is at work; never blocks. Any thread. */
size_t ring_used(const struct ring *r);
