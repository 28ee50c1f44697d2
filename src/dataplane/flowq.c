/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A flow is a list of parcels: super-packets as they were read, and cells with copies of short
 * packets one after the other, each behind a small record. The parcel of the packet popped last
 * is given back with the next call.
 */
#include "dataplane/flowq.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "links/burst.h"
#include "wire/ecn.h"
#include "wire/inner.h"
#include "wire/wg.h"

/* RFC 8289, section 4.4: what they are at least; flowq_set_timing(). */
#define TARGET_MIN (8 * NSEC_PER_MSEC)
#define TARGET_MAX (100 * NSEC_PER_MSEC)
#define INTERVAL_MIN (100 * NSEC_PER_MSEC)
#define INTERVAL_MAX NSEC_PER_SEC
#define TARGET_FAST (2 * NSEC_PER_MSEC)
#define INTERVAL_FAST (20 * NSEC_PER_MSEC)
/* Full is this before the last cell: what one more read may take. */
#define CELLS_SPARE 2
#define QUANTUM_MIN 3000
#define QUANTUM_MAX 65536
#define MTU_BYTES 1500
/* Each flow has one of so many places. */
#define WAYS 8

struct record {
	nsec_t since;
	size_t len;
	uint8_t packet[];
};

struct packet {
	uint8_t *data;
	size_t len;
};

enum flow_list { LIST_NONE, LIST_NEW, LIST_OLD };

struct flow {
	struct parcel *first, *last;
	size_t bytes;
	int64_t deficit;
	struct flow *next; /* in its list */
	enum flow_list list;
	uint32_t tag;	/* whose it is */
	bool is_shared; /* ... and others' too, who found none */
	/* CoDel */
	nsec_t first_above; /* when the queue will have been too long for an interval; 0 */
	nsec_t drop_next;
	uint32_t count, last_count;
	bool is_dropping;
};

struct list {
	struct flow *first, **end;
};

struct flowq {
	struct pool *pool;
	size_t cell_bytes;
	uint64_t key;
	int64_t quantum;
	nsec_t target, interval;
	size_t bytes;
	size_t n_cells, cells_max;
	struct parcel *spent; /* its last packet is with the caller */
	struct list new_flows, old_flows;
	struct flowq_stats stats;
	struct flow flows[FLOWQ_FLOWS];
};

static void list_init(struct list *l)
{
	l->first = NULL;
	l->end = &l->first;
}

static void list_append(struct list *l, struct flow *f, enum flow_list name)
{
	f->next = NULL;
	f->list = name;
	*l->end = f;
	l->end = &f->next;
}

static void list_take_first(struct list *l)
{
	l->first->list = LIST_NONE;
	l->first = l->first->next;
	if (!l->first)
		l->end = &l->first;
}

int flowq_new(struct flowq **ret, struct pool *cells, size_t cells_max, size_t cell_bytes,
	      uint64_t key)
{
	struct flowq *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->pool = cells;
	q->cells_max = cells_max;
	q->cell_bytes = cell_bytes;
	q->key = key;
	q->quantum = QUANTUM_MIN;
	flowq_set_timing(q, 0, false);
	list_init(&q->new_flows);
	list_init(&q->old_flows);
	*ret = q;
	return 0;
}

void flowq_set_turn(struct flowq *q, uint64_t burst_bytes, uint32_t mtu)
{
	uint64_t n = burst_bytes / (mtu + MESSAGE_DATA_OVERHEAD);
	uint64_t bytes = n < BURST_DATAGRAMS ? n * mtu : QUANTUM_MAX;

	if (bytes > QUANTUM_MAX)
		bytes = QUANTUM_MAX;
	q->quantum = bytes < QUANTUM_MIN ? QUANTUM_MIN : (int64_t)bytes;
}

bool flowq_is_turn_over(const struct flowq *q)
{
	const struct flow *f = q->new_flows.first ? q->new_flows.first : q->old_flows.first;

	return f && f->deficit <= 0;
}

static void give_spent(struct flowq *q)
{
	if (!q->spent)
		return;
	pool_give(q->pool, q->spent);
	q->n_cells--;
	q->spent = NULL;
}

/*
 * The flow of a packet: the one that it has, or else a free one, so that a call does not wait
 * behind a download by chance. If others have all its places it shares one, until that is empty:
 * what waits there must not be overtaken.
 */
static struct flow *flow_of(struct flowq *q, const uint8_t *packet, size_t len)
{
	uint64_t hash = inner_flow(packet, len, q->key);
	struct flow *places = &q->flows[hash % (FLOWQ_FLOWS / WAYS) * WAYS];
	uint32_t tag = (uint32_t)(hash >> 32);
	struct flow *first = &places[tag % WAYS];
	struct flow *unused = NULL;

	for (uint32_t i = 0; i < WAYS; i++) {
		struct flow *f = &places[(tag + i) % WAYS];

		if (f->tag == tag)
			return f;
		if (f->list == LIST_NONE && !unused)
			unused = f;
	}
	if (!unused || first->is_shared) {
		first->is_shared = true;
		return first;
	}
	*unused = (struct flow){.tag = tag};
	return unused;
}

static size_t record_bytes(size_t len)
{
	return (sizeof(struct record) + len + 15) & ~(size_t)15;
}

static void append(struct flowq *q, struct flow *f, struct parcel *p)
{
	q->n_cells++;
	p->next = NULL;
	if (f->last)
		f->last->next = p;
	else
		f->first = p;
	f->last = p;
}

/* Room for a record at the end of the flow; NULL if there is none to be had. */
static struct record *make_record(struct flowq *q, struct flow *f, size_t bytes)
{
	struct parcel *p = f->last;
	size_t room = q->cell_bytes - sizeof(struct parcel);
	struct record *r;

	if (bytes > room)
		return NULL;
	if (!p || p->is_whole || p->tail + bytes > room) {
		p = q->n_cells < q->cells_max ? pool_take(q->pool) : NULL;
		if (!p)
			return NULL;
		p->is_whole = false;
		p->head = p->tail = 0;
		append(q, f, p);
	}
	r = (struct record *)(p->data + p->tail);
	p->tail += bytes;
	return r;
}

void flowq_set_timing(struct flowq *q, nsec_t round_trip, bool is_fast)
{
	nsec_t target = is_fast ? TARGET_FAST : TARGET_MIN;
	nsec_t interval = is_fast ? INTERVAL_FAST : INTERVAL_MIN;

	/* Memory that goes cold costs fast paths more than a queue that runs empty. */
	q->target = nsec_min(nsec_max(is_fast ? round_trip / 2 : round_trip, target), TARGET_MAX);
	q->interval = nsec_min(nsec_max(2 * round_trip, interval), INTERVAL_MAX);
}

/* So many more bytes wait in the flow. */
static void note_pushed(struct flowq *q, struct flow *f, size_t bytes)
{
	f->bytes += bytes;
	q->bytes += bytes;
	if (f->list == LIST_NONE) {
		f->deficit = q->quantum;
		list_append(&q->new_flows, f, LIST_NEW);
	}
}

bool flowq_push(struct flowq *q, const uint8_t *packet, size_t len, nsec_t now)
{
	struct flow *f = flow_of(q, packet, len);
	struct record *r;

	if (q->bytes + len > FLOWQ_BYTES_MAX)
		return false;
	r = make_record(q, f, record_bytes(len));
	if (!r)
		return false;
	r->since = now;
	r->len = len;
	memcpy(r->packet, packet, len);
	note_pushed(q, f, len);
	return true;
}

bool flowq_push_whole(struct flowq *q, struct parcel *p, nsec_t now)
{
	size_t bytes = split_bytes_left(&p->split);
	struct flow *f;

	if (q->bytes + bytes > FLOWQ_BYTES_MAX || q->n_cells >= q->cells_max)
		return false;
	/* Of its headers a copy is whole, whatever has been given out. */
	f = flow_of(q, split_headers(&p->split), p->split.len);
	p->is_whole = true;
	p->since = now;
	append(q, f, p);
	note_pushed(q, f, bytes);
	return true;
}

/* When the flow's first packet came. */
static nsec_t first_since(const struct flow *f)
{
	const struct parcel *p = f->first;

	return p->is_whole ? p->since : ((const struct record *)(p->data + p->head))->since;
}

/* The next packet of a parcel; true if it was the last. */
static bool unpack(struct parcel *p, struct packet *ret)
{
	struct record *r = (struct record *)(p->data + p->head);

	if (p->is_whole) {
		ret->data = split_next(&p->split, &ret->len);
		return split_bytes_left(&p->split) == 0;
	}
	*ret = (struct packet){r->packet, r->len};
	p->head += record_bytes(r->len);
	return p->head == p->tail;
}

/* Takes the flow's first packet out; it stays readable until the next give_spent(). */
static struct packet take(struct flowq *q, struct flow *f)
{
	struct parcel *p = f->first;
	struct packet packet;

	give_spent(q);
	if (unpack(p, &packet)) {
		f->first = p->next;
		if (!f->first)
			f->last = NULL;
		q->spent = p;
	}
	f->bytes -= packet.len;
	q->bytes -= packet.len;
	return packet;
}

/* RFC 8289, section 5.4: has the queue been too long for an interval? */
static bool should_drop(const struct flowq *q, struct flow *f, nsec_t now)
{
	if (now - first_since(f) < q->target || f->bytes <= MTU_BYTES) {
		f->first_above = 0;
		return false;
	}
	if (!f->first_above) {
		f->first_above = now + q->interval;
		return false;
	}
	return now >= f->first_above;
}

static nsec_t control_law(const struct flowq *q, nsec_t t, uint32_t count)
{
	return t + (nsec_t)((double)q->interval / sqrt(count));
}

/* The packet is to be dropped; true if marking it does instead. */
static bool signal_congestion(struct flowq *q, const struct packet *p)
{
	if (ecn_mark(p->data)) {
		q->stats.marked++;
		return true;
	}
	q->stats.dropped++;
	return false;
}

static void enter_dropping(const struct flowq *q, struct flow *f, nsec_t now)
{
	uint32_t delta = f->count - f->last_count;
	bool is_recent = now - f->drop_next < 16 * q->interval;

	f->is_dropping = true;
	f->count = is_recent && delta > 1 ? delta : 1;
	f->last_count = f->count;
	f->drop_next = control_law(q, now, f->count);
}

/* RFC 8289, section 5.5: the flow's next packet that is not dropped; false if there is none. */
static bool codel_take(struct flowq *q, struct flow *f, nsec_t now, struct packet *ret)
{
	while (f->first) {
		bool is_late = should_drop(q, f, now);

		*ret = take(q, f);
		if (!is_late) {
			f->is_dropping = false;
			return true;
		}
		if (f->is_dropping && now < f->drop_next)
			return true;
		if (f->is_dropping) {
			f->count++;
			f->drop_next = control_law(q, f->drop_next, f->count);
		} else {
			enter_dropping(q, f, now);
		}
		if (signal_congestion(q, ret))
			return true;
	}
	return false;
}

uint8_t *flowq_pop(struct flowq *q, nsec_t now, size_t *ret_len)
{
	for (;;) {
		struct list *l = q->new_flows.first ? &q->new_flows : &q->old_flows;
		struct flow *f = l->first;
		struct packet p;

		if (!f)
			return NULL;
		if (f->deficit <= 0) {
			f->deficit += q->quantum;
			list_take_first(l);
			list_append(&q->old_flows, f, LIST_OLD);
			continue;
		}
		if (codel_take(q, f, now, &p)) {
			f->deficit -= (int64_t)p.len;
			*ret_len = p.len;
			return p.data;
		}
		f->is_shared = false;
		/* A flow that was new waits its turn among the old, or it would always be new. */
		list_take_first(l);
		if (l == &q->new_flows && q->old_flows.first)
			list_append(&q->old_flows, f, LIST_OLD);
	}
}

void flowq_expire(struct flowq *q, nsec_t now, nsec_t age)
{
	for (unsigned i = 0; q && i < FLOWQ_FLOWS; i++) {
		struct flow *f = &q->flows[i];

		while (f->first && now - first_since(f) > age) {
			take(q, f);
			q->stats.dropped++;
		}
	}
}

void flowq_free(struct flowq *q)
{
	if (!q)
		return;
	flowq_expire(q, NSEC_NEVER, 0);
	give_spent(q);
	free(q);
}

bool flowq_is_empty(const struct flowq *q)
{
	return !q || !q->bytes;
}

bool flowq_is_full(const struct flowq *q)
{
	return q && (q->bytes >= FLOWQ_BYTES_FULL || q->n_cells + CELLS_SPARE >= q->cells_max);
}

size_t flowq_cells(const struct flowq *q)
{
	return q ? q->n_cells : 0;
}

struct flowq_stats flowq_take_stats(struct flowq *q)
{
	struct flowq_stats s = q->stats;

	memset(&q->stats, 0, sizeof(q->stats));
	return s;
}
