/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Is a text UTF-8? Names come from configurations and from peers: neither is to be believed. */
#pragma once

#include <stddef.h>

/*
 * Bytes of the character that a zero-terminated text begins with: 1 to 4, or 0 where its first
 * byte begins no valid one (RFC 3629, section 4). The terminating zero is a character of 1.
 */
size_t utf8_char_len(const char *text);
/* Copies what has room, "?" for each byte that is none. Returns the length. */
size_t utf8_make_valid(char *ret, size_t size, const char *text);
