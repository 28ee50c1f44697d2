/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "vtrunkctl/table.h"

#include <assert.h>
#include <err.h>
#include <stdlib.h>
#include <string.h>

#define SHRINK_MIN 6

struct table_cell {
	struct text text;
	enum style style;
};

/* One line in the making: blanks are written only when something follows them. */
struct line {
	const struct screen *screen;
	unsigned blanks;
};

void table_init(struct table *t, const struct table_column *columns, size_t n_columns)
{
	assert(n_columns <= TABLE_COLUMNS_MAX);
	*t = (struct table){.columns = columns, .n_columns = n_columns};
}

void table_deinit(struct table *t)
{
	free(t->cells);
	t->cells = NULL;
}

void table_add(struct table *t, enum style style, struct text text)
{
	if (t->n_cells == t->room) {
		t->room = t->room ? 2 * t->room : 64;
		t->cells = reallocarray(t->cells, t->room, sizeof(*t->cells));
		if (!t->cells)
			err(EXIT_FAILURE, "table");
	}
	t->cells[t->n_cells++] = (struct table_cell){.text = text, .style = style};
}

static bool is_same_group(const struct table *t, size_t a, size_t b)
{
	return t->columns[a].group && t->columns[b].group &&
	       !strcmp(t->columns[a].group, t->columns[b].group);
}

/* Blanks before a column: those of one group stand close together. One left out has no width. */
static unsigned gap(const struct table *t, const unsigned *widths, size_t column)
{
	if (!column || !widths[column])
		return 0;
	return is_same_group(t, column - 1, column) ? 1 : 2;
}

/* The first column after the group (or the single column) that begins at `first`. */
static size_t group_end(const struct table *t, size_t first)
{
	size_t end = first + 1;

	while (end < t->n_columns && is_same_group(t, first, end))
		end++;
	return end;
}

static unsigned group_width(const struct table *t, const unsigned *widths, size_t first)
{
	unsigned width = widths[first];

	for (size_t i = first + 1; i < group_end(t, first); i++)
		width += gap(t, widths, i) + widths[i];
	return width;
}

static unsigned total_width(const struct table *t, const unsigned *widths)
{
	unsigned total = 0;

	for (size_t i = 0; i < t->n_columns; i++)
		total += gap(t, widths, i) + widths[i];
	return total;
}

static void widen(unsigned *width, const char *text)
{
	unsigned needed = text_width(text);

	if (*width < needed)
		*width = needed;
}

/* Those on the right first. */
static void leave_out(const struct table *t, unsigned *widths, unsigned room)
{
	for (size_t i = t->n_columns; i-- > 0;) {
		bool is_begun =
			i + 1 < t->n_columns && !widths[i + 1] && is_same_group(t, i, i + 1);

		if (t->columns[i].is_spare && (is_begun || total_width(t, widths) > room))
			widths[i] = 0;
	}
}

/* Takes from the widest column that may shrink, until the lines fit. */
static void shrink(const struct table *t, unsigned *widths, unsigned room)
{
	while (total_width(t, widths) > room) {
		unsigned *widest = NULL;

		for (size_t i = 0; i < t->n_columns; i++)
			if (t->columns[i].may_shrink && widths[i] > SHRINK_MIN &&
			    (!widest || widths[i] > *widest))
				widest = &widths[i];
		if (!widest)
			return;
		--*widest;
	}
}

static void measure(const struct table *t, unsigned *ret_widths, unsigned room)
{
	for (size_t i = 0; i < t->n_columns; i++) {
		ret_widths[i] = 0;
		widen(&ret_widths[i], t->columns[i].title);
	}
	for (size_t i = 0; i < t->n_cells; i++)
		widen(&ret_widths[i % t->n_columns], t->cells[i].text.s);
	for (size_t i = 0; i < t->n_columns; i = group_end(t, i)) {
		unsigned caption = t->columns[i].group ? text_width(t->columns[i].group) : 0;
		unsigned width = group_width(t, ret_widths, i);

		if (caption > width)
			ret_widths[i] += caption - width;
	}
	leave_out(t, ret_widths, room);
	shrink(t, ret_widths, room);
}

static void put(struct line *line, enum style style, const char *text, unsigned width,
		bool is_right)
{
	struct text shown = text_shorten(text, width);
	unsigned padding = width - text_width(shown.s);

	line->blanks += is_right ? padding : 0;
	if (*shown.s) {
		fprintf(line->screen->out, "%*s", (int)line->blanks, "");
		screen_print(line->screen, style, "%s", shown.s);
		line->blanks = 0;
	}
	line->blanks += is_right ? 0 : padding;
}

static void print_captions(const struct table *t, const struct screen *screen,
			   const unsigned *widths, unsigned indent)
{
	struct line line = {.screen = screen, .blanks = indent};
	bool has_caption = false;

	for (size_t i = 0; i < t->n_columns; i++)
		has_caption |= t->columns[i].group != NULL;
	if (!has_caption)
		return;
	for (size_t i = 0; i < t->n_columns; i = group_end(t, i)) {
		line.blanks += gap(t, widths, i);
		put(&line, STYLE_FAINT, t->columns[i].group ? t->columns[i].group : "",
		    group_width(t, widths, i), true);
	}
	fputc('\n', screen->out);
}

static void print_titles(const struct table *t, const struct screen *screen, const unsigned *widths,
			 unsigned indent)
{
	struct line line = {.screen = screen, .blanks = indent};

	for (size_t i = 0; i < t->n_columns; i++) {
		line.blanks += gap(t, widths, i);
		put(&line, STYLE_FAINT, t->columns[i].title, widths[i], t->columns[i].is_right);
	}
	fputc('\n', screen->out);
}

static void print_row(const struct table *t, const struct screen *screen, const unsigned *widths,
		      unsigned indent, const struct table_cell *cells)
{
	struct line line = {.screen = screen, .blanks = indent};

	for (size_t i = 0; i < t->n_columns; i++) {
		line.blanks += gap(t, widths, i);
		put(&line, cells[i].style, cells[i].text.s, widths[i], t->columns[i].is_right);
	}
	fputc('\n', screen->out);
}

void table_print(const struct table *t, const struct screen *screen, unsigned indent)
{
	unsigned widths[TABLE_COLUMNS_MAX];

	measure(t, widths, screen->width - indent);
	print_captions(t, screen, widths, indent);
	print_titles(t, screen, widths, indent);
	for (size_t i = 0; i + t->n_columns <= t->n_cells; i += t->n_columns)
		print_row(t, screen, widths, indent, &t->cells[i]);
}
