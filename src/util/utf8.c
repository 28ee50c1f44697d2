/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "util/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static bool is_tail(uint8_t byte)
{
	return (byte & 0xc0) == 0x80;
}

/* The second byte's range is what keeps out overlong forms, surrogates and what is too big. */
static bool is_second(uint8_t first, uint8_t second)
{
	switch (first) {
	case 0xe0:
		return second >= 0xa0 && second <= 0xbf;
	case 0xed:
		return second >= 0x80 && second <= 0x9f;
	case 0xf0:
		return second >= 0x90 && second <= 0xbf;
	case 0xf4:
		return second >= 0x80 && second <= 0x8f;
	default:
		return is_tail(second);
	}
}

static size_t announced_len(uint8_t first)
{
	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first <= 0xdf)
		return 2;
	if (first >= 0xe0 && first <= 0xef)
		return 3;
	return first >= 0xf0 && first <= 0xf4 ? 4 : 0;
}

size_t utf8_char_len(const char *text)
{
	const uint8_t *byte = (const uint8_t *)text;
	size_t len = announced_len(byte[0]);

	if (len >= 2 && !is_second(byte[0], byte[1]))
		return 0;
	for (size_t i = 2; i < len; i++)
		if (!is_tail(byte[i]))
			return 0;
	return len;
}

size_t utf8_make_valid(char *ret, size_t size, const char *text)
{
	size_t len = 0;

	while (*text) {
		size_t n = utf8_char_len(text);
		size_t step = n ? n : 1;

		if (len + step >= size)
			break;
		if (n)
			memcpy(ret + len, text, n);
		else
			ret[len] = '?';
		text += step;
		len += step;
	}
	ret[len] = '\0';
	return len;
}
