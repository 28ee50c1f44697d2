/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "links/sentlog.h"

#include <stddef.h>

static struct sent_record *record_at(struct sentlog *s, unsigned position)
{
	return &s->records[position % SENTLOG_RECORDS];
}

static bool continues(const struct sent_record *last, const struct sent_record *next)
{
	bool is_next =
		next->kind == SENT_APART ? last->end == next->first : last->end <= next->first;

	return last->session == next->session && is_next && last->kind == next->kind &&
	       next->at - last->at <= SENTLOG_RECORD;
}

void sentlog_add(struct sentlog *s, const struct sent_record *next)
{
	struct sent_record *last = record_at(s, s->head - 1);

	if (s->head == s->tail || !continues(last, next)) {
		if (s->head - s->tail == SENTLOG_RECORDS)
			s->tail++; /* what it told will be told by the next */
		last = record_at(s, s->head++);
		*last = *next;
		last->bytes = 0;
		last->bytes_before = s->sent_bytes;
	}
	last->end = next->end;
	last->bytes += next->bytes;
	s->sent_bytes += next->bytes;
	s->has_apart |= next->kind == SENT_APART;
}

static bool holds(const struct sent_record *r, uint32_t session, uint64_t counter)
{
	return r->session == session && r->first <= counter && counter < r->end;
}

/*
 * The place of the record with a packet; s->head: there is none. One of what stands apart has just
 * its own counters; others may span a block of these, which they have nothing of.
 */
static unsigned find(struct sentlog *s, uint32_t session, uint64_t counter)
{
	unsigned found = s->head;

	for (unsigned at = s->tail; at != s->head; at++) {
		if (!holds(record_at(s, at), session, counter))
			continue;
		if (!s->has_apart || record_at(s, at)->kind == SENT_APART)
			return at;
		if (found == s->head)
			found = at;
	}
	return found;
}

/* The part of a record that lies before and with the packet. */
static double bytes_until(const struct sent_record *r, uint64_t counter)
{
	return (double)r->bytes * (double)(counter - r->first + 1) / (double)(r->end - r->first);
}

/*
 * The records before it are forgotten: counters grow from record to record but where something was
 * sent again, or stands apart.
 */
const struct sent_record *sentlog_acknowledge(struct sentlog *s, uint32_t session, uint64_t counter)
{
	unsigned at = find(s, session, counter);
	const struct sent_record *r = record_at(s, at);
	uint64_t acked;

	if (at == s->head)
		return NULL;
	s->tail = at;
	acked = r->bytes_before + (uint64_t)bytes_until(r, counter);
	if (acked <= s->acked_bytes)
		return NULL;
	s->acked_bytes = acked;
	return r;
}
