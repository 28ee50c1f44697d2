/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Bounds-checked reading and writing of bytes from or for the network. An access beyond the
 * end gives zeros or writes nothing and sets `is_bad`, which the user checks once at the end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "util/endian.h"

struct reader {
	const uint8_t *at;
	const uint8_t *end;
	bool is_bad;
};

struct writer {
	uint8_t *begin;
	uint8_t *at;
	uint8_t *end;
	bool is_bad;
};

static inline struct reader reader_of(const void *data, size_t len)
{
	return (struct reader){.at = data, .end = (const uint8_t *)data + len};
}

static inline struct writer writer_of(void *data, size_t len)
{
	return (struct writer){.begin = data, .at = data, .end = (uint8_t *)data + len};
}

static inline size_t reader_left(const struct reader *r)
{
	return (size_t)(r->end - r->at);
}

static inline size_t writer_used(const struct writer *w)
{
	return (size_t)(w->at - w->begin);
}

static inline void reader_bytes(struct reader *r, void *ret, size_t len)
{
	if (reader_left(r) < len) {
		r->is_bad = true;
		memset(ret, 0, len);
		return;
	}
	memcpy(ret, r->at, len);
	r->at += len;
}

/* A part of `len` bytes as a reader of its own; empty if there are not so many. */
static inline struct reader reader_part(struct reader *r, size_t len)
{
	struct reader part = reader_of(r->at, 0);

	if (reader_left(r) < len) {
		r->is_bad = true;
		return part;
	}
	part.end = r->at + len;
	r->at += len;
	return part;
}

static inline void writer_bytes(struct writer *w, const void *data, size_t len)
{
	if ((size_t)(w->end - w->at) < len) {
		w->is_bad = true;
		return;
	}
	memcpy(w->at, data, len);
	w->at += len;
}

static inline uint8_t reader_u8(struct reader *r)
{
	uint8_t v;

	reader_bytes(r, &v, sizeof(v));
	return v;
}

static inline void writer_u8(struct writer *w, uint8_t v)
{
	writer_bytes(w, &v, sizeof(v));
}

#define CURSOR_ACCESSORS(type, width)                                                              \
	static inline uint##width##_t reader_##type##width(struct reader *r)                       \
	{                                                                                          \
		struct type##width v;                                                              \
		reader_bytes(r, &v, sizeof(v));                                                    \
		return type##width##_get(v);                                                       \
	}                                                                                          \
	static inline void writer_##type##width(struct writer *w, uint##width##_t value)           \
	{                                                                                          \
		struct type##width v = type##width##_make(value);                                  \
		writer_bytes(w, &v, sizeof(v));                                                    \
	}

CURSOR_ACCESSORS(be, 16)
CURSOR_ACCESSORS(be, 32)
CURSOR_ACCESSORS(be, 64)
