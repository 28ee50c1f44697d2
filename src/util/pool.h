/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A fixed number of equal cells in one mapping. Any thread takes and gives, without locks;
 * the cell given last is taken next, so that an idle pool's memory is never touched and a
 * busy one's stays in the cache. An empty pool is the caller's counted drop.
 */
#pragma once

#include <stddef.h>

struct pool;

/* 0, or -ENOMEM. A cell begins on a cache line and has at least `cell_bytes`. */
int pool_new(struct pool **ret, size_t cells, size_t cell_bytes);
/* Every cell must have been given back. */
void pool_free(struct pool *p);

/* NULL when all cells are taken. The content is what the last user left. */
void *pool_take(struct pool *p);
void pool_give(struct pool *p, void *cell);

/* Cells not taken just now; exact only when nobody else takes or gives. */
size_t pool_available(const struct pool *p);
size_t pool_cells(const struct pool *p);
