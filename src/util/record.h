/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A record: something that happened, as a name, a time and fields. It is made once, where it
 * happens, and becomes a line of the log, an event of the control socket and the environment of a
 * hook. A plain value that can be copied from thread to thread; never holds a key.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/clock.h"

#define RECORD_TEXT_MAX 480
/* Longer values are cut. */
#define RECORD_VALUE_MAX 128

struct record {
	const char *name; /* "path_down"; a constant */
	nsec_t at;	  /* on the wall clock */
	uint16_t len; /* of what follows: for each field 's' or 'n', key and value, each with a zero
		       */
	char text[RECORD_TEXT_MAX];
};

/* At this moment. */
void record_init(struct record *r, const char *name);
/* A field that has no room is left out. */
void record_add(struct record *r, const char *key, const char *value);
__attribute__((format(printf, 3, 4))) void record_format(struct record *r, const char *key,
							 const char *format, ...);
/* A number as text, such as "12.5". */
__attribute__((format(printf, 3, 4))) void record_number(struct record *r, const char *key,
							 const char *format, ...);

struct record_field {
	const char *key, *value; /* the record's */
	bool is_number;
};

/* The field at *pos, which begins at 0, and moves on; false at the end. */
bool record_next(const struct record *r, size_t *pos, struct record_field *ret);
/* The value of that field, or NULL. */
const char *record_find(const struct record *r, const char *key);

/* "network=home peer=vps reason=\"no answer\"", cut if there is no room. Returns its length. */
size_t record_write(const struct record *r, char *buf, size_t size);
