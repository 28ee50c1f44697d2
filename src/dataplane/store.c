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
	uint32_t epoch;
	uint32_t n, stride, len;
	struct store_again again;
	uint8_t data[];
};

struct store_cell {
	struct store_cell *newer;
	size_t used;
	nsec_t newest;	     /* of its records */
	uint64_t begin, end; /* their counters lie in between, of whatever sessions */
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
	c->begin = UINT64_MAX;
	c->end = 0;
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

static void note_record(struct store_cell *c, const struct record *r)
{
	c->used += record_bytes(r->len);
	c->newest = r->at;
	if (r->first < c->begin)
		c->begin = r->first;
	if (r->first + r->n > c->end)
		c->end = r->first + r->n;
}

void store_add(struct store *s, uint32_t epoch, struct burst *b, nsec_t now)
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
			.epoch = epoch,
			.n = n,
			.stride = b->stride,
			.len = (n - 1) * b->stride + burst_datagram_len(b, i + n - 1),
		};
		memcpy(r->data, burst_datagram(b, i), r->len);
		note_record(s->newest, r);
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

/* The record at `offset`, which moves behind it. */
static struct store_run read_run(struct store_cell *c, size_t *offset)
{
	struct record *r = (struct record *)(c->data + *offset);

	*offset += record_bytes(r->len);
	return (struct store_run){r->at,     r->first, r->session, r->epoch, r->n,
				  r->stride, r->len,   r->data,	   &r->again};
}

bool store_next(const struct store *s, struct store_cursor *c, struct store_run *ret)
{
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
	*ret = read_run(c->cell, &c->offset);
	return true;
}

bool store_find(const struct store *s, uint32_t session, uint64_t begin, uint64_t end,
		struct store_run *ret)
{
	for (struct store_cell *c = s->oldest; c; c = c->newer) {
		size_t offset = c->end <= begin || c->begin >= end ? c->used : 0;

		while (offset < c->used) {
			*ret = read_run(c, &offset);
			if (ret->session == session && ret->first + ret->n > begin &&
			    ret->first < end)
				return true;
		}
	}
	return false;
}

void store_seek(const struct store *s, uint64_t counter, struct store_cursor *ret)
{
	*ret = (struct store_cursor){0};
	for (struct store_cell *c = s->oldest; c; c = c->newer) {
		if (c->begin <= counter)
			ret->cell = c;
	}
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
