/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * What a path was given and when, so that a report of a packet tells how much has come and how long
 * it took. What was sent within half a millisecond shares a record.
 * Owner: the TUN reader, within struct pathctl. Pure: time comes in as an argument.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/clock.h"

/* Bursts sent within this time share a record. */
#define SENTLOG_RECORD (NSEC_PER_MSEC / 2)
#define SENTLOG_RECORDS 1024

enum sent_kind {
	SENT_NEW,
	SENT_APART, /* its counters are a block's, all in a row, behind those of other data */
	SENT_AGAIN, /* of what was sent before, over whatever path: its arrival times nothing */
};

/* Data sent in a row: of counters [first, end) of a session. */
struct sent_record {
	uint64_t first, end;
	uint64_t bytes_before, bytes; /* cumulative, and of this record */
	nsec_t at;
	uint32_t session;
	enum sent_kind kind;
};

struct sentlog {
	uint64_t sent_bytes, acked_bytes; /* since the path was made */
	bool has_apart;			  /* some record of these */
	struct sent_record records[SENTLOG_RECORDS];
	unsigned head, tail; /* modulo SENTLOG_RECORDS; equal: none */
};

/* `bytes_before` is filled in here. */
void sentlog_add(struct sentlog *s, const struct sent_record *next);

/*
 * The packet with this counter has come, and with it all that was sent before. The record it was
 * sent with is valid until the next call; NULL: nothing of it is outstanding.
 */
const struct sent_record *sentlog_acknowledge(struct sentlog *s, uint32_t session,
					      uint64_t counter);

static inline uint64_t sentlog_outstanding(const struct sentlog *s)
{
	return s->sent_bytes - s->acked_bytes;
}
