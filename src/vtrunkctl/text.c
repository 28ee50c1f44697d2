/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "vtrunkctl/text.h"
#include "util/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct text text_format(const char *format, ...)
{
	struct text t;
	va_list args;

	va_start(args, format);
	vsnprintf(t.s, sizeof(t.s), format, args);
	va_end(args);
	return t;
}

/* What does not look like a character is one column wide. */
static size_t step(const char *s)
{
	size_t n = utf8_char_len(s);

	return n ? n : 1;
}

unsigned text_width(const char *s)
{
	unsigned width = 0;

	for (; *s; s += step(s))
		width++;
	return width;
}

static const char *skip(const char *s, unsigned characters)
{
	while (*s && characters--)
		s += step(s);
	return s;
}

int text_prefix(const char *s, unsigned width)
{
	return (int)(skip(s, width) - s);
}

struct text text_shorten(const char *s, unsigned width)
{
	unsigned all = text_width(s);
	unsigned head, tail;

	if (all <= width || width < 4)
		return text_format("%.*s", text_prefix(s, width), s);
	head = (width - 2) / 2;
	tail = width - 2 - head;
	return text_format("%.*s..%s", text_prefix(s, head), s, skip(s, all - tail));
}

/* Control characters of ASCII, and U+0080..U+009F, which some terminals obey as well. */
static bool is_control(const char *s, size_t len)
{
	return (len == 1 && ((unsigned char)*s < 0x20 || *s == 0x7f)) ||
	       (len == 2 && (unsigned char)s[0] == 0xc2 && (unsigned char)s[1] < 0xa0);
}

void field_copy(char *ret, size_t size, struct json_object *o, const char *key,
		const char *otherwise)
{
	struct json_object *value = json_object_object_get(o, key);
	const char *s = otherwise;
	size_t len = 0;
	size_t n;

	if (json_object_is_type(value, json_type_string))
		s = json_object_get_string(value);
	for (; *s && len + 5 <= size; s += step(s)) {
		n = utf8_char_len(s);
		if (!n || (is_control(s, n) && *s != '\n')) {
			ret[len++] = '?';
		} else {
			memcpy(ret + len, s, n);
			len += n;
		}
	}
	ret[len] = '\0';
}

struct text field_text(struct json_object *o, const char *key, const char *otherwise)
{
	struct text t;

	field_copy(t.s, sizeof(t.s), o, key, otherwise);
	for (char *c = t.s; *c; c++)
		*c = *c == '\n' ? '?' : *c;
	return t;
}

uint64_t field_count(struct json_object *o, const char *key)
{
	return json_object_get_uint64(json_object_object_get(o, key));
}

bool field_bool(struct json_object *o, const char *key)
{
	return json_object_get_boolean(json_object_object_get(o, key));
}

bool field_number(struct json_object *o, const char *key, double *ret)
{
	struct json_object *value = json_object_object_get(o, key);

	*ret = json_object_get_double(value);
	return json_object_is_type(value, json_type_int) ||
	       json_object_is_type(value, json_type_double);
}

struct json_object *field_object(struct json_object *o, const char *key)
{
	struct json_object *value = json_object_object_get(o, key);

	return json_object_is_type(value, json_type_object) ? value : NULL;
}

struct json_object *field_entry(struct json_object *o, const char *key, size_t i)
{
	struct json_object *array = json_object_object_get(o, key);

	if (!json_object_is_type(array, json_type_array) || i >= json_object_array_length(array))
		return NULL;
	return json_object_array_get_idx(array, i);
}

/* Three digits: 1210000000 as "1.21 G". */
static struct text shorten_number(uint64_t n, const char *unit)
{
	double value = (double)n / 1000;
	size_t prefix = 0;

	for (; value >= 999.5; value /= 1000)
		prefix++;
	return text_format("%.*f %c%s",
			   value < 9.995   ? 2
			   : value < 99.95 ? 1
					   : 0,
			   value, "kMGTPE"[prefix], unit);
}

struct text text_bytes(uint64_t bytes)
{
	return bytes < 1000 ? text_format("%u B", (unsigned)bytes) : shorten_number(bytes, "B");
}

struct text text_count(uint64_t n)
{
	return n < 100000 ? text_format("%u", (unsigned)n) : shorten_number(n, "");
}

struct text text_mbit(uint64_t bps)
{
	return text_format("%.1f", (double)bps / 1e6);
}

struct text text_ms(double us)
{
	return text_format("%.*f", us < 9995 ? 2 : 1, us / 1000);
}

struct text text_duration(double seconds)
{
	uint64_t s = seconds > 0 && seconds < 1e15 ? (uint64_t)seconds : 0;

	if (s < 120)
		return text_format("%u s", (unsigned)s);
	if (s < 2 * 3600)
		return text_format("%u min", (unsigned)(s / 60));
	if (s < 2 * 86400)
		return text_format("%u h %u min", (unsigned)(s / 3600), (unsigned)(s / 60 % 60));
	return text_format("%u d %u h", (unsigned)(s / 86400), (unsigned)(s / 3600 % 24));
}
