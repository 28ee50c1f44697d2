/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Any payload is read to its end or refused, and what was read can be written and read again. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "wire/frame.h"

static void check_name(const char *name)
{
	size_t len = strnlen(name, FRAME_LINK_NAME_MAX + 1);

	if (len > FRAME_LINK_NAME_MAX)
		abort();
	for (size_t i = 0; i < len; i++) {
		if ((signed char)name[i] < ' ' || name[i] == 0x7f)
			abort();
	}
}

static bool is_same_hello(const struct frame_hello *a, const struct frame_hello *b)
{
	return a->wants_answer == b->wants_answer && a->path_id == b->path_id &&
	       a->weight == b->weight && !strcmp(a->link_name, b->link_name);
}

static void check_frame(const struct frame *f)
{
	uint8_t buf[FRAME_PACKET_MAX];
	struct frame again;
	size_t offset = 0;
	int len = frame_write(f, buf, sizeof(buf));

	if (len < FRAME_HEADER_LEN || frame_read(buf, (size_t)len, &offset, &again) != 1)
		abort();
	if (offset != (size_t)len)
		abort();
	/* Behind the end of a name may lie what is not written again. */
	if (f->type == FRAME_HELLO ? !is_same_hello(&f->hello, &again.hello)
				   : memcmp(&again, f, sizeof(again)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame f;
	size_t offset = 0;
	size_t last = 0;

	while (frame_read(data, size, &offset, &f) > 0) {
		if (offset <= last || offset > size)
			abort();
		last = offset;
		if (f.type == FRAME_HELLO)
			check_name(f.hello.link_name);
		check_frame(&f);
	}
	return 0;
}
