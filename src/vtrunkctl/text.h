/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Short texts by value: fields of the daemon's answer, and numbers as people read them. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

struct text {
	char s[128];
};

__attribute__((format(printf, 1, 2))) struct text text_format(const char *format, ...);

/* Characters, not bytes. */
unsigned text_width(const char *s);
/* How many bytes the first `width` characters are, or all where there are fewer. */
int text_prefix(const char *s, unsigned width);
/* Takes characters from the middle, ".." standing for them, until at most `width` are left. */
struct text text_shorten(const char *s, unsigned width);

/*
 * Fields of a JSON object, which may lack them: another version may have written it. A text is
 * `otherwise` where there is none, and holds nothing that a terminal would obey.
 */
struct text field_text(struct json_object *o, const char *key, const char *otherwise);
/* The same for a long one, which may have several lines. */
void field_copy(char *ret, size_t size, struct json_object *o, const char *key,
		const char *otherwise);
uint64_t field_count(struct json_object *o, const char *key);
bool field_bool(struct json_object *o, const char *key);
/* False, and 0 in `ret`, where it is null, missing or no number. */
bool field_number(struct json_object *o, const char *key, double *ret);
/* NULL where it is null, missing or of another type. */
struct json_object *field_object(struct json_object *o, const char *key);
/* A look at entry `i` of an array; NULL past its end, and where there is no such array. */
struct json_object *field_entry(struct json_object *o, const char *key, size_t i);

struct text text_bytes(uint64_t bytes);	   /* "1.21 GB" */
struct text text_count(uint64_t n);	   /* "1234", "1.21 M" */
struct text text_mbit(uint64_t bps);	   /* bit/s as "85.3", in Mbit/s */
struct text text_duration(double seconds); /* "2 h 5 min" */
struct text text_ms(double us);		   /* microseconds as "12.3", in ms */
