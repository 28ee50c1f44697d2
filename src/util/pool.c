/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A Treiber stack of cell numbers. The head carries a tag that grows with every change, so
 * that a cell taken and given back between a thread's load and its swap is noticed (ABA).
 * The links lie outside the cells: a cell that was never used costs no memory.
 */
#include "util/pool.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define CACHE_LINE 64
#define NO_CELL UINT32_MAX

struct pool {
	_Alignas(CACHE_LINE) _Atomic uint64_t head; /* tag << 32 | cell number */
	_Alignas(CACHE_LINE) _Atomic size_t available;
	_Alignas(CACHE_LINE) uint8_t *cells;
	_Atomic uint32_t *next;
	size_t n_cells;
	size_t cell_bytes;
};

int pool_new(struct pool **ret, size_t cells, size_t cell_bytes)
{
	struct pool *p;

	assert(cells > 0 && cells < NO_CELL);
	if (posix_memalign((void **)&p, CACHE_LINE, sizeof(*p)))
		return -ENOMEM;
	p->n_cells = cells;
	p->cell_bytes = (cell_bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	p->next = calloc(cells, sizeof(*p->next));
	p->cells = mmap(NULL, cells * p->cell_bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (!p->next || p->cells == MAP_FAILED) {
		if (p->cells != MAP_FAILED)
			munmap(p->cells, cells * p->cell_bytes);
		free(p->next);
		free(p);
		return -ENOMEM;
	}
	for (size_t i = 0; i < cells; i++)
		atomic_init(&p->next[i], i + 1 < cells ? (uint32_t)(i + 1) : NO_CELL);
	atomic_init(&p->head, 0);
	atomic_init(&p->available, cells);
	*ret = p;
	return 0;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	assert(pool_available(p) == p->n_cells);
	munmap(p->cells, p->n_cells * p->cell_bytes);
	free(p->next);
	free(p);
}

static uint64_t head_make(uint64_t old, uint32_t cell)
{
	return ((old >> 32) + 1) << 32 | cell;
}

void *pool_take(struct pool *p)
{
	/* acquire: the giver's writes to `next` and to the cell are seen */
	uint64_t head = atomic_load_explicit(&p->head, memory_order_acquire);
	uint32_t cell;

	do {
		cell = (uint32_t)head;
		if (cell == NO_CELL)
			return NULL;
	} while (!atomic_compare_exchange_weak_explicit(
		&p->head, &head,
		head_make(head, atomic_load_explicit(&p->next[cell], memory_order_relaxed)),
		memory_order_acquire, memory_order_acquire));
	atomic_fetch_sub_explicit(&p->available, 1, memory_order_relaxed);
	return p->cells + cell * p->cell_bytes;
}

void pool_give(struct pool *p, void *cell)
{
	size_t offset = (size_t)((uint8_t *)cell - p->cells);
	uint32_t number = (uint32_t)(offset / p->cell_bytes);
	uint64_t head = atomic_load_explicit(&p->head, memory_order_relaxed);

	assert(offset % p->cell_bytes == 0 && number < p->n_cells);
	atomic_fetch_add_explicit(&p->available, 1, memory_order_relaxed);
	do {
		atomic_store_explicit(&p->next[number], (uint32_t)head, memory_order_relaxed);
		/* release: what was written to the cell is over before it can be taken */
	} while (!atomic_compare_exchange_weak_explicit(&p->head, &head, head_make(head, number),
							memory_order_release,
							memory_order_relaxed));
}

size_t pool_available(const struct pool *p)
{
	return atomic_load_explicit(&p->available, memory_order_relaxed);
}

size_t pool_cells(const struct pool *p)
{
	return p->n_cells;
}
