/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A table whose columns are as wide as what is in them. Cells are added row by row; then it is
 * printed. Where lines would be too long, spare columns are left out and others shrink.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "vtrunkctl/screen.h"
#include "vtrunkctl/text.h"

#define TABLE_COLUMNS_MAX 12

struct table_column {
	const char *group; /* a caption over it and its neighbours of the same one; NULL: none */
	const char *title;
	bool is_right; /* aligned, as numbers are */
	bool may_shrink;
	bool is_spare; /* left out, with its group, where lines would be too long */
};

struct table {
	const struct table_column *columns;
	size_t n_columns;
	struct table_cell *cells;
	size_t n_cells;
	size_t room;
};

void table_init(struct table *t, const struct table_column *columns, size_t n_columns);
void table_deinit(struct table *t);

/* The next cell of the row; after the last one a new row begins. Exits without memory. */
void table_add(struct table *t, enum style style, struct text text);
/* Every line begins with `indent` blanks. */
void table_print(const struct table *t, const struct screen *screen, unsigned indent);
