/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "util/record.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void record_init(struct record *r, const char *name)
{
	r->name = name;
	r->at = clock_wall();
	r->len = 0;
}

static void append(struct record *r, char type, const char *key, const char *value)
{
	size_t key_len = strlen(key) + 1;
	size_t value_len = strnlen(value, RECORD_VALUE_MAX);
	char *to = r->text + r->len;

	if (r->len + 1 + key_len + value_len + 1 > sizeof(r->text))
		return;
	*to++ = type;
	memcpy(to, key, key_len);
	memcpy(to + key_len, value, value_len);
	to[key_len + value_len] = '\0';
	r->len = (uint16_t)(r->len + 1 + key_len + value_len + 1);
}

void record_add(struct record *r, const char *key, const char *value)
{
	append(r, 's', key, value);
}

static void append_format(struct record *r, char type, const char *key, const char *format,
			  va_list args)
{
	char value[RECORD_VALUE_MAX + 1];

	vsnprintf(value, sizeof(value), format, args);
	append(r, type, key, value);
}

void record_format(struct record *r, const char *key, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	append_format(r, 's', key, format, args);
	va_end(args);
}

void record_number(struct record *r, const char *key, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	append_format(r, 'n', key, format, args);
	va_end(args);
}

bool record_next(const struct record *r, size_t *pos, struct record_field *ret)
{
	const char *at = r->text + *pos;

	if (*pos >= r->len)
		return false;
	ret->is_number = *at == 'n';
	ret->key = at + 1;
	ret->value = ret->key + strlen(ret->key) + 1;
	*pos = (size_t)(ret->value + strlen(ret->value) + 1 - r->text);
	return true;
}

const char *record_find(const struct record *r, const char *key)
{
	struct record_field f;

	for (size_t pos = 0; record_next(r, &pos, &f);)
		if (!strcmp(f.key, key))
			return f.value;
	return NULL;
}

/* Where the line is cut nothing more is written, but for its terminating zero. */
struct line {
	char *buf;
	size_t size, len;
};

static void put(struct line *line, char c)
{
	if (line->len + 1 < line->size)
		line->buf[line->len++] = c;
}

static void put_text(struct line *line, const char *s)
{
	for (; *s; s++)
		put(line, *s);
}

/* Quoted where a reader that splits at blanks would go wrong; control characters never pass. */
static void put_value(struct line *line, const char *value)
{
	bool is_quoted = !*value || strpbrk(value, " \"=\\\t\n");

	if (is_quoted)
		put(line, '"');
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			put(line, '\\');
		put(line, (unsigned char)*value < 0x20 || *value == 0x7f ? '?' : *value);
	}
	if (is_quoted)
		put(line, '"');
}

size_t record_write(const struct record *r, char *buf, size_t size)
{
	struct line line = {buf, size, 0};
	struct record_field f;

	for (size_t pos = 0; record_next(r, &pos, &f);) {
		if (line.len)
			put(&line, ' ');
		put_text(&line, f.key);
		put(&line, '=');
		put_value(&line, f.value);
	}
	buf[line.len] = '\0';
	return line.len;
}
