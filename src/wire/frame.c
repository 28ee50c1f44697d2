/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "wire/frame.h"

#include <errno.h>
#include <string.h>

#include "util/cursor.h"

#define HELLO_WANTS_ANSWER 0x01
#define HELLO_IS_BACKUP 0x02

static void write_body(struct writer *w, const struct frame *f)
{
	size_t name_len;

	switch (f->type) {
	case FRAME_HELLO:
		name_len = strnlen(f->hello.link_name, FRAME_LINK_NAME_MAX);
		writer_u8(w, (uint8_t)((f->hello.wants_answer ? HELLO_WANTS_ANSWER : 0) |
				       (f->hello.is_backup ? HELLO_IS_BACKUP : 0)));
		writer_be32(w, f->hello.path_id);
		writer_be32(w, f->hello.weight);
		writer_u8(w, (uint8_t)name_len);
		writer_bytes(w, f->hello.link_name, name_len);
		break;
	case FRAME_PING:
		writer_be32(w, f->ping.number);
		writer_be32(w, f->ping.path_id);
		writer_be64(w, f->ping.tx_packets);
		writer_be64(w, f->ping.tx_bytes);
		break;
	case FRAME_PONG:
		writer_be32(w, f->pong.number);
		writer_be32(w, f->pong.path_id);
		writer_be64(w, f->pong.rx_packets);
		writer_be64(w, f->pong.rx_bytes);
		break;
	case FRAME_DOWN:
		writer_be32(w, f->down.path_id);
		break;
	case FRAME_REPORT:
		writer_be32(w, f->report.path_id);
		writer_be32(w, f->report.session);
		writer_be64(w, f->report.counter);
		writer_be64(w, f->report.rx_bytes);
		writer_be64(w, f->report.arrival_ns);
		break;
	case FRAME_REPAIR:
		writer_be32(w, f->repair.session);
		writer_u8(w, f->repair.n_gaps);
		for (unsigned i = 0; i < f->repair.n_gaps; i++) {
			writer_be64(w, f->repair.gaps[i].counter);
			writer_be32(w, f->repair.gaps[i].n);
		}
		break;
	case FRAME_APART:
		writer_be64(w, f->apart.counter);
		writer_be32(w, f->apart.n);
		break;
	case FRAME_MTU_PROBE:
	case FRAME_MTU_ANSWER:
		writer_be32(w, f->mtu.number);
		writer_be32(w, f->mtu.path_id);
		writer_be32(w, f->mtu.size);
		break;
	}
}

int frame_write(const struct frame *f, uint8_t *buf, size_t size)
{
	struct writer w = writer_of(buf, size);
	struct be16 body_len;

	writer_u8(&w, FRAME_VERSION);
	writer_u8(&w, (uint8_t)f->type);
	writer_be16(&w, 0);
	write_body(&w, f);
	if (w.is_bad)
		return -ENOSPC;
	body_len = be16_make((uint16_t)(writer_used(&w) - FRAME_HEADER_LEN));
	memcpy(buf + 2, &body_len, sizeof(body_len));
	return (int)writer_used(&w);
}

static void read_hello(struct reader *body, struct frame_hello *ret)
{
	size_t name_len;
	uint8_t flags = reader_u8(body);

	ret->wants_answer = flags & HELLO_WANTS_ANSWER;
	ret->is_backup = flags & HELLO_IS_BACKUP;
	ret->path_id = reader_be32(body);
	ret->weight = reader_be32(body);
	name_len = reader_u8(body);
	if (name_len > FRAME_LINK_NAME_MAX || ret->path_id == 0)
		body->is_bad = true;
	else
		reader_bytes(body, ret->link_name, name_len);
	/* It will be printed on terminals. */
	for (size_t i = 0; i < FRAME_LINK_NAME_MAX && ret->link_name[i]; i++) {
		if (ret->link_name[i] < ' ' || ret->link_name[i] == 0x7f)
			ret->link_name[i] = '?';
	}
}

static void read_repair(struct reader *body, struct frame_repair *ret)
{
	ret->session = reader_be32(body);
	ret->n_gaps = reader_u8(body);
	if (ret->n_gaps > FRAME_REPAIR_MAX) {
		body->is_bad = true;
		return;
	}
	for (unsigned i = 0; i < ret->n_gaps; i++) {
		ret->gaps[i].counter = reader_be64(body);
		ret->gaps[i].n = reader_be32(body);
	}
}

/* A longer body than we know is a newer minor version's: the rest is passed over. */
static bool read_body(struct reader *body, uint8_t type, struct frame *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->type = type;
	switch (type) {
	case FRAME_HELLO:
		read_hello(body, &ret->hello);
		return true;
	case FRAME_PING:
		ret->ping.number = reader_be32(body);
		ret->ping.path_id = reader_be32(body);
		ret->ping.tx_packets = reader_be64(body);
		ret->ping.tx_bytes = reader_be64(body);
		return true;
	case FRAME_PONG:
		ret->pong.number = reader_be32(body);
		ret->pong.path_id = reader_be32(body);
		ret->pong.rx_packets = reader_be64(body);
		ret->pong.rx_bytes = reader_be64(body);
		return true;
	case FRAME_DOWN:
		ret->down.path_id = reader_be32(body);
		return true;
	case FRAME_REPORT:
		ret->report.path_id = reader_be32(body);
		ret->report.session = reader_be32(body);
		ret->report.counter = reader_be64(body);
		ret->report.rx_bytes = reader_be64(body);
		ret->report.arrival_ns = reader_be64(body);
		return true;
	case FRAME_REPAIR:
		read_repair(body, &ret->repair);
		return true;
	case FRAME_APART:
		ret->apart.counter = reader_be64(body);
		ret->apart.n = reader_be32(body);
		return true;
	case FRAME_MTU_PROBE:
	case FRAME_MTU_ANSWER:
		ret->mtu.number = reader_be32(body);
		ret->mtu.path_id = reader_be32(body);
		ret->mtu.size = reader_be32(body);
		return true;
	default:
		return false;
	}
}

int frame_read(const uint8_t *payload, size_t len, size_t *offset, struct frame *ret)
{
	struct reader r = reader_of(payload + *offset, len - *offset);
	struct reader body;
	uint8_t version;
	uint8_t type;

	while (reader_left(&r) && r.at[0] != 0) {
		version = reader_u8(&r);
		type = reader_u8(&r);
		body = reader_part(&r, reader_be16(&r));
		if (r.is_bad)
			return -EBADMSG;
		*offset = (size_t)(r.at - payload);
		if (version != FRAME_VERSION || !read_body(&body, type, ret))
			continue;
		return body.is_bad ? -EBADMSG : 1;
	}
	return 0;
}
