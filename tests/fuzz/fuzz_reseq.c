/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * What a peer may do to its resequencer: packets of several sessions in any order, no counter of a
 * session twice, ranges that are said to stand apart, any times in between. It is used as the
 * receive lane does, and each packet has to leave once.
 */
#include "fuzz.h"

#include <stdbool.h>
#include <stdlib.h>

#include "links/reseq.h"

#define PACKETS_MAX 4096
#define PATHS 3
#define SESSIONS_MAX 64

struct packet {
	uint32_t session;
	uint64_t counter;
	bool has_left;
};

static struct packet packets[PACKETS_MAX];
static unsigned n_packets;
static unsigned n_left;

struct input {
	const uint8_t *at, *end;
};

static uint64_t take(struct input *in, unsigned bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | (in->at < in->end ? *in->at++ : 0);
	return value;
}

static void leave(void *item)
{
	struct packet *p = item;

	if (item == reseq_nothing)
		return;
	if (p->has_left)
		abort();
	p->has_left = true;
	n_left++;
}

static void pop_all(struct reseq *q, nsec_t now)
{
	void *item;

	while ((item = reseq_pop(q, now)))
		leave(item);
}

static void flush_all(struct reseq *q)
{
	void *item;

	while ((item = reseq_flush(q)))
		leave(item);
	if (reseq_held(q))
		abort();
}

static bool has_come(uint32_t session, uint64_t counter)
{
	for (unsigned i = 0; i < n_packets; i++) {
		if (packets[i].session == session && packets[i].counter == counter)
			return true;
	}
	return false;
}

/* Without a cell for it, if `is_without_room`. */
static void hold(struct reseq *q, struct packet *p, nsec_t now, bool is_without_room, bool hurries)
{
	bool is_held = reseq_hold(q, p->session, p->counter, p, now);

	if (is_without_room)
		flush_all(q);
	if (!is_held)
		leave(p);
	else if (hurries && !is_without_room)
		reseq_hurry(q, p->session, p->counter);
}

static void come(struct reseq *q, uint8_t how, unsigned path, uint32_t session, uint64_t counter,
		 nsec_t now)
{
	struct packet *p = &packets[n_packets];

	if (has_come(session, counter)) {
		reseq_copy(q, path, session, counter, now);
		pop_all(q, now);
		return;
	}
	if (n_packets == PACKETS_MAX)
		return;
	n_packets++;
	*p = (struct packet){session, counter, false};
	if (reseq_offer(q, path, session, counter, now) != RESEQ_HOLD)
		leave(p);
	else if (how & 1 && reseq_pass(q, session, counter))
		leave(p);
	else
		hold(q, p, now, how & 2, how & 4);
	pop_all(q, now);
}

/* One thing that happens: what, how, and with which counters, relative to those before. */
struct state {
	nsec_t now;
	uint32_t session; /* the newest */
	uint64_t counter;
};

static void step(struct reseq *q, struct state *s, struct input *in)
{
	struct reseq_gap gaps[8];
	uint8_t what = (uint8_t)take(in, 1);
	uint8_t how = (uint8_t)take(in, 1);
	uint32_t session = s->session - (how >> 4 & 1 && s->session > 1);
	uint64_t counter = s->counter + (uint64_t)(int64_t)(int16_t)take(in, 2);

	switch (what % 8) {
	case 0: /* any counter there is */
		counter = take(in, 8);
		come(q, how, what / 8 % PATHS, session, counter, s->now);
		s->counter = how & 8 ? counter : s->counter;
		break;
	case 1:
		reseq_apart(q, session, counter, (uint32_t)take(in, how & 1 ? 4 : 1), s->now);
		break;
	case 2:
		s->now += (nsec_t)take(in, 1) * NSEC_PER_MSEC;
		pop_all(q, s->now);
		break;
	case 3:
		reseq_allow_repair(q, how & 1, (how >> 1) * NSEC_PER_MSEC);
		break;
	case 4:
		reseq_ask(q, s->now, gaps, 8);
		(void)reseq_deadline(q);
		break;
	case 5:
		if (s->session < SESSIONS_MAX && how < 16) {
			s->session++;
			s->counter = 0;
		}
		break;
	default:
		come(q, how, what / 8 % PATHS, session, counter, s->now);
		s->counter += how >> 5;
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	struct state s = {.now = NSEC_PER_SEC, .session = 1};
	struct reseq *q;

	if (reseq_new(&q) < 0)
		return 0;
	n_packets = n_left = 0;
	while (in.at < in.end)
		step(q, &s, &in);
	flush_all(q);
	if (n_left != n_packets)
		abort();
	reseq_free(q);
	return 0;
}
