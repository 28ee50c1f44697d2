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

struct decoder {
	const uint8_t *at;
	const uint8_t *end;
	bool is_bad;
};

struct encoder {
	uint8_t *begin;
	uint8_t *at;
	uint8_t *end;
	bool is_bad;
};

static inline struct decoder decoder_of(const void *data, size_t len)
{
	return (struct decoder){.at = data, .end = (const uint8_t *)data + len};
}

static inline struct encoder encoder_of(void *data, size_t len)
{
	return (struct encoder){.begin = data, .at = data, .end = (uint8_t *)data + len};
}

static inline size_t decoder_left(const struct decoder *r)
{
	return (size_t)(r->end - r->at);
}

static inline size_t encoder_used(const struct encoder *w)
{
	return (size_t)(w->at - w->begin);
}

static inline void decoder_bytes(struct decoder *r, void *ret, size_t len)
{
	if (decoder_left(r) < len) {
		r->is_bad = true;
		memset(ret, 0, len);
		return;
	}
	memcpy(ret, r->at, len);
	r->at += len;
}

/* A part of `len` bytes as a decoder of its own; empty if there are not so many. */
static inline struct decoder decoder_part(struct decoder *r, size_t len)
{
	struct decoder part = decoder_of(r->at, 0);

	if (decoder_left(r) < len) {
		r->is_bad = true;
		return part;
	}
	part.end = r->at + len;
	r->at += len;
	return part;
}

static inline void encoder_bytes(struct encoder *w, const void *data, size_t len)
{
	if ((size_t)(w->end - w->at) < len) {
		w->is_bad = true;
		return;
	}
	memcpy(w->at, data, len);
	w->at += len;
}

static inline uint8_t decoder_u8(struct decoder *r)
{
	uint8_t v;

	decoder_bytes(r, &v, sizeof(v));
	return v;
}

static inline void encoder_u8(struct encoder *w, uint8_t v)
{
	encoder_bytes(w, &v, sizeof(v));
}

#define CURSOR_ACCESSORS(type, width)                                                              \
	static inline uint##width##_t decoder_##type##width(struct decoder *r)                     \
	{                                                                                          \
		struct type##width v;                                                              \
		decoder_bytes(r, &v, sizeof(v));                                                   \
		return type##width##_get(v);                                                       \
	}                                                                                          \
	static inline void encoder_##type##width(struct encoder *w, uint##width##_t value)         \
	{                                                                                          \
		struct type##width v = type##width##_make(value);                                  \
		encoder_bytes(w, &v, sizeof(v));                                                   \
	}

CURSOR_ACCESSORS(be, 16)
CURSOR_ACCESSORS(be, 32)
CURSOR_ACCESSORS(be, 64)
