/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Outlet: a peer's send side after encryption: what waits for a session or for room, the choice of
 * the path, and retransmission. Made with the first packet to the peer.
 *
 * A sealed burst that finds no room on any path is kept here; until it has left, the peer's packets
 * wait in the flow queues (as they do without a session), and the outlet is busy.
 * Owner: the TUN reader; of several, whoever has the lock of its share.
 */
#pragma once

#include "dataplane/flowq.h"
#include "dataplane/share.h"
#include "dataplane/spread.h"

/*
 * A burst that finds no room for so long is dropped: the path is as good as dead. (There may be no
 * path yet: when a peer has just been heard for the first time, the monitor is about to make one.)
 * A bound one may have to wait for its path's queue, or for what went over a longer path.
 */
#define OUTLET_WAITING_MAX (200 * NSEC_PER_MSEC)
#define OUTLET_BOUND_WAITING_MAX NSEC_PER_SEC

struct bond;
struct reader;

/* What a reader has to do with an outlet; its own. */
struct outlet_place {
	struct sparse *flows; /* which of them are urgent; NULL: not asked for yet */
	struct outlet *next_busy;
	bool is_busy;
	nsec_t retry_at; /* when to look again, while it is busy */
};

/*
 * Packets that cannot leave now, in order. Those bound to certain paths have a line for each
 * binding, so that nothing waits for a path that it does not take.
 */
struct line {
	struct flowq *queue;   /* made when needed */
	struct burst *waiting; /* sealed, but no path has room: oldest first */
	struct burst **waiting_end;
	nsec_t waiting_since; /* the oldest */
	nsec_t retry_at;      /* when a path may have room */
	uint8_t binding;      /* BINDING_NONE */
};

struct outlet {
	/* constant */
	struct bond *bond;
	struct spread *spread;
	struct share *share; /* NULL: there is one reader */
	unsigned n_places;   /* one for each reader */
	/* the reader, or whoever has the lock */
	struct line main;
	struct line *bound;	/* of all bindings; made with the first packet that has one */
	uint64_t waiting_bound; /* a bit for each of these in which something waits */
	bool is_main_first;	/* they take turns at the paths */
	bool is_resending;	/* there was no room even for what is to be sent again */
	nsec_t resend_at;	/* when a path may have room for that */
	struct outlet_place places[];
};

int outlet_new(struct outlet **ret, struct bond *bond, unsigned n_readers); /* 0 or -ENOMEM */
/* Drops what waits; NULL is fine. */
void outlet_free(struct outlet *o);

static inline bool line_is_clear(const struct line *l)
{
	return !l->waiting && flowq_is_empty(l->queue);
}

/*
 * May a new packet with that binding be sent at once, without overtaking one that waits? With a
 * share, also without the lock.
 */
static inline bool outlet_is_clear(const struct outlet *o, uint8_t binding)
{
	bool is_main = binding == BINDING_NONE;

	if (o->share && is_main)
		return !atomic_load_explicit(&o->share->is_backed_up, memory_order_relaxed);
	if (is_main)
		return line_is_clear(&o->main);
	if (o->share)
		return !(atomic_load_explicit(&o->share->waiting_bound, memory_order_relaxed) >>
				 binding &
			 1);
	return !(o->waiting_bound >> binding & 1);
}

static inline bool outlet_is_waiting(const struct outlet *o)
{
	return o->is_resending || o->waiting_bound || !line_is_clear(&o->main);
}

/* The next line with a bit in `bits`, from which it is cleared; NULL: none is left. */
struct line *outlet_next_line(struct outlet *o, uint64_t *bits);

/* Queues what is left of the read, which has that binding and cannot leave now. */
void outlet_enqueue(struct outlet *o, struct reader *r, uint8_t binding);
/* Inside a read section: consecutive counters for packets with that binding. False: used up. */
bool outlet_take_counters_rcu(struct outlet *o, struct keypair *k, uint8_t binding, uint32_t n,
			      uint64_t *ret_first);
/* Inside a read section: sends a sealed burst, or keeps it; either way it is the outlet's. */
void outlet_send_rcu(struct outlet *o, struct reader *r, struct burst *b);
/* Tries once more what found no room. May packets be taken from the line's flow queues then? */
bool outlet_may_send_rcu(struct outlet *o, struct reader *r, struct line *l);
/* Retransmissions, which come before everything that waits; false if there is no room for them. */
bool outlet_send_again(struct outlet *o, struct reader *r);
/* How many bytes the next burst of that binding may have. */
uint64_t outlet_burst_bytes(struct outlet *o, const struct reader *r, uint8_t binding);
/* Before packets are taken from the flow queues: turn and timing, by what the paths are now. */
void outlet_tune_queue(struct outlet *o, const struct reader *r, struct line *l);
/* Would more only fill the flow queues further? */
bool outlet_is_full(const struct outlet *o, const struct reader *r);
/* There is no session: drops what has waited for one too long. */
void outlet_expire(struct outlet *o, struct reader *r);
/* Counts what the flow queues have dropped. */
void outlet_count_queue(struct outlet *o, struct reader *r);
/* When to look again at what waits, unless woken before; NSEC_NEVER: nothing waits. */
nsec_t outlet_retry_at(struct outlet *o, const struct reader *r);
