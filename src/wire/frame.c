/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "wire/frame.h"

#include <errno.h>
#include <string.h>

#include "util/cursor.h"

#define HELLO_WANTS_ANSWER 0x01
#define HELLO_IS_BACKUP 0x02

static void write_body(struct encoder *w, const struct frame *f)
{
	size_t name_len;

	switch (f->type) {
	case FRAME_HELLO:
		name_len = strnlen(f->hello.link_name, FRAME_LINK_NAME_MAX);
		encoder_u8(w, (uint8_t)((f->hello.wants_answer ? HELLO_WANTS_ANSWER : 0) |
					(f->hello.is_backup ? HELLO_IS_BACKUP : 0)));
		encoder_be32(w, f->hello.path_id);
		encoder_be32(w, f->hello.weight);
		encoder_u8(w, (uint8_t)name_len);
		encoder_bytes(w, f->hello.link_name, name_len);
		break;
	case FRAME_PING:
		encoder_be32(w, f->ping.number);
		encoder_be32(w, f->ping.path_id);
		encoder_be64(w, f->ping.tx_packets);
		encoder_be64(w, f->ping.tx_bytes);
		break;
	case FRAME_PONG:
		encoder_be32(w, f->pong.number);
		encoder_be32(w, f->pong.path_id);
		encoder_be64(w, f->pong.rx_packets);
		encoder_be64(w, f->pong.rx_bytes);
		break;
	case FRAME_DOWN:
		encoder_be32(w, f->down.path_id);
		break;
	case FRAME_REPORT:
		encoder_be32(w, f->report.path_id);
		encoder_be32(w, f->report.session);
		encoder_be64(w, f->report.counter);
		encoder_be64(w, f->report.rx_bytes);
		encoder_be64(w, f->report.arrival_ns);
		break;
	case FRAME_REPAIR:
		encoder_be32(w, f->repair.session);
		encoder_u8(w, f->repair.n_gaps);
		for (unsigned i = 0; i < f->repair.n_gaps; i++) {
			encoder_be64(w, f->repair.gaps[i].counter);
			encoder_be32(w, f->repair.gaps[i].n);
		}
		break;
	case FRAME_APART:
		encoder_be64(w, f->apart.counter);
		encoder_be32(w, f->apart.n);
		break;
	case FRAME_MTU_PROBE:
	case FRAME_MTU_ANSWER:
		encoder_be32(w, f->mtu.number);
		encoder_be32(w, f->mtu.path_id);
		encoder_be32(w, f->mtu.size);
		break;
	}
}

int frame_write(const struct frame *f, uint8_t *buf, size_t size)
{
	struct encoder w = encoder_of(buf, size);
	struct be16 body_len;

	encoder_u8(&w, FRAME_VERSION);
	encoder_u8(&w, (uint8_t)f->type);
	encoder_be16(&w, 0);
	write_body(&w, f);
	if (w.is_bad)
		return -ENOSPC;
	body_len = be16_make((uint16_t)(encoder_used(&w) - FRAME_HEADER_LEN));
	memcpy(buf + 2, &body_len, sizeof(body_len));
	return (int)encoder_used(&w);
}

static void read_hello(struct decoder *body, struct frame_hello *ret)
{
	size_t name_len;
	uint8_t flags = decoder_u8(body);

	ret->wants_answer = flags & HELLO_WANTS_ANSWER;
	ret->is_backup = flags & HELLO_IS_BACKUP;
	ret->path_id = decoder_be32(body);
	ret->weight = decoder_be32(body);
	name_len = decoder_u8(body);
	if (name_len > FRAME_LINK_NAME_MAX || ret->path_id == 0)
		body->is_bad = true;
	else
		decoder_bytes(body, ret->link_name, name_len);
	/* It will be printed on terminals. */
	for (size_t i = 0; i < FRAME_LINK_NAME_MAX && ret->link_name[i]; i++) {
		if (ret->link_name[i] < ' ' || ret->link_name[i] == 0x7f)
			ret->link_name[i] = '?';
	}
}

static void read_repair(struct decoder *body, struct frame_repair *ret)
{
	ret->session = decoder_be32(body);
	ret->n_gaps = decoder_u8(body);
	if (ret->n_gaps > FRAME_REPAIR_MAX) {
		body->is_bad = true;
		return;
	}
	for (unsigned i = 0; i < ret->n_gaps; i++) {
		ret->gaps[i].counter = decoder_be64(body);
		ret->gaps[i].n = decoder_be32(body);
	}
}

/* A longer body than we know is a newer minor version's: the rest is passed over. */
static bool read_body(struct decoder *body, uint8_t type, struct frame *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->type = type;
	switch (type) {
	case FRAME_HELLO:
		read_hello(body, &ret->hello);
		return true;
	case FRAME_PING:
		ret->ping.number = decoder_be32(body);
		ret->ping.path_id = decoder_be32(body);
		ret->ping.tx_packets = decoder_be64(body);
		ret->ping.tx_bytes = decoder_be64(body);
		return true;
	case FRAME_PONG:
		ret->pong.number = decoder_be32(body);
		ret->pong.path_id = decoder_be32(body);
		ret->pong.rx_packets = decoder_be64(body);
		ret->pong.rx_bytes = decoder_be64(body);
		return true;
	case FRAME_DOWN:
		ret->down.path_id = decoder_be32(body);
		return true;
	case FRAME_REPORT:
		ret->report.path_id = decoder_be32(body);
		ret->report.session = decoder_be32(body);
		ret->report.counter = decoder_be64(body);
		ret->report.rx_bytes = decoder_be64(body);
		ret->report.arrival_ns = decoder_be64(body);
		return true;
	case FRAME_REPAIR:
		read_repair(body, &ret->repair);
		return true;
	case FRAME_APART:
		ret->apart.counter = decoder_be64(body);
		ret->apart.n = decoder_be32(body);
		return true;
	case FRAME_MTU_PROBE:
	case FRAME_MTU_ANSWER:
		ret->mtu.number = decoder_be32(body);
		ret->mtu.path_id = decoder_be32(body);
		ret->mtu.size = decoder_be32(body);
		return true;
	default:
		return false;
	}
}

int frame_read(const uint8_t *payload, size_t len, size_t *offset, struct frame *ret)
{
	struct decoder r = decoder_of(payload + *offset, len - *offset);
	struct decoder body;
	uint8_t version;
	uint8_t type;

	while (decoder_left(&r) && r.at[0] != 0) {
		version = decoder_u8(&r);
		type = decoder_u8(&r);
		body = decoder_part(&r, decoder_be16(&r));
		if (r.is_bad)
			return -EBADMSG;
		*offset = (size_t)(r.at - payload);
		if (version != FRAME_VERSION || !read_body(&body, type, ret))
			continue;
		return body.is_bad ? -EBADMSG : 1;
	}
	return 0;
}
