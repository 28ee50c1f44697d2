/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "control/buffer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_MIN 1024

void buffer_deinit(struct buffer *b)
{
	free(b->data);
	*b = (struct buffer){0};
}

static int make_room(struct buffer *b, size_t more)
{
	size_t room = b->room ? b->room : ROOM_MIN;
	char *data;

	if (b->room - b->len >= more)
		return 0;
	while (room - b->len < more)
		room *= 2;
	data = realloc(b->data, room);
	if (!data)
		return -ENOMEM;
	b->data = data;
	b->room = room;
	return 0;
}

int buffer_append(struct buffer *b, const void *data, size_t len)
{
	int r = make_room(b, len);

	if (r < 0)
		return r;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	return 0;
}

void buffer_consume(struct buffer *b, size_t len)
{
	assert(len <= b->len);
	if (!len)
		return;
	b->len -= len;
	memmove(b->data, b->data + len, b->len);
}
