/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Integers as they lie on the wire: structs of bytes, so that their alignment is 1 and a
 * value of the wrong byte order does not compile.
 */
#pragma once

#include <endian.h>
#include <stdint.h>
#include <string.h>

struct le32 {
	uint8_t b[4];
};

struct le64 {
	uint8_t b[8];
};

struct be16 {
	uint8_t b[2];
};

struct be32 {
	uint8_t b[4];
};

struct be64 {
	uint8_t b[8];
};

#define ENDIAN_ACCESSORS(type, width)                                                              \
	static inline uint##width##_t type##width##_get(struct type##width v)                      \
	{                                                                                          \
		uint##width##_t raw;                                                               \
		memcpy(&raw, v.b, sizeof(raw));                                                    \
		return type##width##toh(raw);                                                      \
	}                                                                                          \
	static inline struct type##width type##width##_make(uint##width##_t value)                 \
	{                                                                                          \
		struct type##width v;                                                              \
		uint##width##_t raw = hto##type##width(value);                                     \
		memcpy(v.b, &raw, sizeof(raw));                                                    \
		return v;                                                                          \
	}

ENDIAN_ACCESSORS(le, 32)
ENDIAN_ACCESSORS(le, 64)
ENDIAN_ACCESSORS(be, 16)
ENDIAN_ACCESSORS(be, 32)
ENDIAN_ACCESSORS(be, 64)
