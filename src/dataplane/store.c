/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A burst lies in one or several records, each with as many of its datagrams as the cell has room
 * for, so that short bursts share a cell and long ones fill it.
 */
#include "dataplane/store.h"

#include <string.h>

#include "wire/wg.h"

struct record {
	nsec_t at;
	uint64_t first;
	uint32_t session;
	uint32_t way;
	uint32_t n, stride, len;
	uint8_t data[];
};

struct store_cell {
	struct store_cell *newer;
	size_t used;
	nsec_t newest; /* of its records */
	_Alignas(8) uint8_t data[];
};

#define CELL_ROOM (STORE_CELL_BYTES - sizeof(struct store_cell))

void store_init(struct store *s, struct pool *cells)
{
	*s = (struct store){.cells = cells};
}

static struct store_cell *take_oldest(struct store *s)
{
	struct store_cell *c = s->oldest;

	if (!c)
		return NULL;
	s->oldest = c->newer;
	if (!s->oldest)
		s->newest = NULL;
	return c;
}

void store_deinit(struct store *s)
{
	struct store_cell *c;

	while ((c = take_oldest(s)))
		pool_give(s->cells, c);
}

static struct store_cell *add_cell(struct store *s)
{
	struct store_cell *c = pool_take(s->cells);

	if (!c)
		c = take_oldest(s);
	if (!c)
		return NULL;
	c->newer = NULL;
	c->used = 0;
	if (s->newest)
		s->newest->newer = c;
	else
		s->oldest = c;
	s->newest = c;
	return c;
}

static size_t record_bytes(size_t len)
{
	return (sizeof(struct record) + len + 7) & ~(size_t)7;
}

/* How many of the datagrams from `begin` on fit into the cell. */
static uint32_t fitting(const struct store_cell *c, const struct burst *b, uint32_t begin)
{
	size_t room = c ? CELL_ROOM - c->used : 0;
	uint32_t n = b->n - begin;

	if (room < record_bytes(b->len - begin * b->stride))
		n = room < record_bytes(0) ? 0 : (uint32_t)((room - record_bytes(0)) / b->stride);
	return n;
}

void store_add(struct store *s, uint32_t way, struct burst *b, nsec_t now)
{
	struct wg_data header;
	uint32_t n;

	if (!s->cells)
		return;
	for (uint32_t i = 0; i < b->n; i += n) {
		struct record *r;

		n = fitting(s->newest, b, i);
		if (!n && add_cell(s))
			n = fitting(s->newest, b, i);
		if (!n)
			return;
		memcpy(&header, burst_datagram(b, i), sizeof(header));
		r = (struct record *)(s->newest->data + s->newest->used);
		*r = (struct record){
			.at = now,
			.first = le64_get(header.counter),
			.session = le32_get(header.receiver_index),
			.way = way,
			.n = n,
			.stride = b->stride,
			.len = (n - 1) * b->stride + burst_datagram_len(b, i + n - 1),
		};
		memcpy(r->data, burst_datagram(b, i), r->len);
		s->newest->used += record_bytes(r->len);
		s->newest->newest = now;
	}
}

nsec_t store_deadline(const struct store *s)
{
	return s->oldest ? s->oldest->newest + STORE_AGE : NSEC_NEVER;
}

void store_expire(struct store *s, nsec_t now)
{
	while (store_deadline(s) <= now)
		pool_give(s->cells, take_oldest(s));
}

bool store_next(const struct store *s, struct store_cursor *c, struct store_run *ret)
{
	const struct record *r;

	if (!c->cell)
		c->cell = s->oldest;
	while (c->cell && c->offset == c->cell->used) {
		if (!c->cell->newer)
			return false;
		c->cell = c->cell->newer;
		c->offset = 0;
	}
	if (!c->cell)
		return false;
	r = (const struct record *)(c->cell->data + c->offset);
	c->offset += record_bytes(r->len);
	*ret = (struct store_run){r->at, r->first,  r->session, r->way,
				  r->n,	 r->stride, r->len,	r->data};
	return true;
}

void store_run_skip(struct store_run *run, uint64_t n)
{
	uint32_t bytes = n < run->n ? (uint32_t)n * run->stride : run->len;

	run->first += n;
	run->n -= (uint32_t)n;
	run->len -= bytes;
	run->data += bytes;
}

void store_run_cut(struct store_run *run, uint64_t n)
{
	if (n >= run->n)
		return;
	run->n = (uint32_t)n;
	run->len = run->n * run->stride;
}
