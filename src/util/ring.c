/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Slot i first belongs to the producer of turn i; a push makes its turn i + 1, which hands
 * it to the consumer; a pop makes it i + slots, which hands it to the next round's producer.
 */
#include "util/ring.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_LINE 64

struct slot {
	_Atomic size_t turn;
	unsigned char value[];
};

struct ring {
	_Alignas(CACHE_LINE) _Atomic size_t tail; /* producers */
	_Alignas(CACHE_LINE) _Atomic size_t head; /* the consumer; read by ring_used() */
	_Alignas(CACHE_LINE) size_t slots;
	size_t value_bytes;
	size_t stride;
	unsigned char *memory;
};

static struct slot *slot_at(const struct ring *r, size_t position)
{
	return (struct slot *)(r->memory + (position & (r->slots - 1)) * r->stride);
}

int ring_new(struct ring **ret, size_t slots, size_t value_bytes)
{
	struct ring *r;

	assert(slots && (slots & (slots - 1)) == 0);
	if (posix_memalign((void **)&r, CACHE_LINE, sizeof(*r)))
		return -ENOMEM;
	r->slots = slots;
	r->value_bytes = value_bytes;
	r->stride = (sizeof(struct slot) + value_bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	if (posix_memalign((void **)&r->memory, CACHE_LINE, slots * r->stride)) {
		free(r);
		return -ENOMEM;
	}
	for (size_t i = 0; i < slots; i++)
		atomic_init(&slot_at(r, i)->turn, i);
	atomic_init(&r->tail, 0);
	atomic_init(&r->head, 0);
	*ret = r;
	return 0;
}

void ring_free(struct ring *r)
{
	if (!r)
		return;
	free(r->memory);
	free(r);
}

bool ring_push(struct ring *r, const void *value)
{
	size_t position = atomic_load_explicit(&r->tail, memory_order_relaxed);
	struct slot *slot;

	for (;;) {
		slot = slot_at(r, position);
		/* acquire: the consumer has finished reading the slot's last value */
		size_t turn = atomic_load_explicit(&slot->turn, memory_order_acquire);

		if (turn == position) {
			if (atomic_compare_exchange_weak_explicit(&r->tail, &position, position + 1,
								  memory_order_relaxed,
								  memory_order_relaxed))
				break;
		} else if ((intptr_t)(turn - position) < 0) {
			return false;
		} else {
			position = atomic_load_explicit(&r->tail, memory_order_relaxed);
		}
	}
	memcpy(slot->value, value, r->value_bytes);
	/* release: publishes the value */
	atomic_store_explicit(&slot->turn, position + 1, memory_order_release);
	return true;
}

bool ring_pop(struct ring *r, void *ret_value)
{
	size_t position = atomic_load_explicit(&r->head, memory_order_relaxed);
	struct slot *slot = slot_at(r, position);

	/* acquire: pairs with the producer's publication */
	if (atomic_load_explicit(&slot->turn, memory_order_acquire) != position + 1)
		return false;
	memcpy(ret_value, slot->value, r->value_bytes);
	/* release: the slot may be written again */
	atomic_store_explicit(&slot->turn, position + r->slots, memory_order_release);
	atomic_store_explicit(&r->head, position + 1, memory_order_relaxed);
	return true;
}

size_t ring_used(const struct ring *r)
{
	size_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	size_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	/* The two loads are not one: a pop between them can make the tail seem older. */
	return (intptr_t)(tail - head) > 0 ? tail - head : 0;
}
