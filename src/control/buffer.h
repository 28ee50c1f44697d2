/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Bytes that grow at the end and are taken from the front. Zero-initialised; one owner. */
#pragma once

#include <stddef.h>

struct buffer {
	char *data;
	size_t len;
	size_t room;
};

void buffer_deinit(struct buffer *b);
/* 0, or -ENOMEM, the content then being unchanged. */
int buffer_append(struct buffer *b, const void *data, size_t len);
/* Takes `len` bytes, at most what is there, from the front. */
void buffer_consume(struct buffer *b, size_t len);
