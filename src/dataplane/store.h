/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Store: copies of what was recently sent to a peer, as ciphertext, so that the same bytes can be
 * sent again. Its memory is cells of a pool that all peers of a network share: when none is left, a
 * peer forgets its own oldest. What is older than STORE_AGE is useless.
 * Owner: the TUN reader. Allocates nothing but pool cells. Time comes in as an argument.
 */
#pragma once

#include "links/burst.h"

#define STORE_CELL_BYTES 32768
#define STORE_AGE NSEC_PER_SEC

struct store_cell;

struct store {
	struct pool *cells; /* NULL: nothing is kept */
	struct store_cell *oldest, *newest;
};

/* What was sent again of a run last, over which slots, and until when it may be on its way. */
struct store_again {
	uint64_t first, end;
	nsec_t until;
	uint32_t slots;
};

/* Transport messages that were sent over one path at once: counters from `first` on. */
struct store_run {
	nsec_t at;
	uint64_t first;
	uint32_t session;	 /* receiver index */
	uint32_t epoch;		 /* of the path: path_epoch() */
	uint32_t n, stride, len; /* as in a burst */
	const uint8_t *data;
	struct store_again *again;
};

/* Where store_next() is; zero to begin with the oldest. */
struct store_cursor {
	struct store_cell *cell;
	size_t offset;
};

/* `cells` of STORE_CELL_BYTES. */
void store_init(struct store *s, struct pool *cells);
void store_deinit(struct store *s);

/* Keeps a copy of a sealed burst, unless it does not fit a cell or there is no cell for it. */
void store_add(struct store *s, uint32_t epoch, struct burst *b, nsec_t now);
/* Forgets what is too old, which there will be at the deadline (NSEC_NEVER: it is empty). */
void store_expire(struct store *s, nsec_t now);
nsec_t store_deadline(const struct store *s);

/* The next run in the order of sending; false behind the newest. */
bool store_next(const struct store *s, struct store_cursor *c, struct store_run *ret);
/*
 * The first run, in the order of sending, with something of counters [begin, end) of a session;
 * false, and *ret is anything, if there is none.
 */
bool store_find(const struct store *s, uint32_t session, uint64_t begin, uint64_t end,
		struct store_run *ret);
/*
 * A cursor in front of what was sent last before or with that counter, and not far: a peer that
 * keeps many short packets is not to have all of them looked at each time.
 */
void store_seek(const struct store *s, uint64_t counter, struct store_cursor *ret);
/* Takes the first `n` datagrams off a run; `n` is at most its own. */
void store_run_skip(struct store_run *run, uint64_t n);
/* Leaves only the first `n` datagrams, which is at least 1. */
void store_run_cut(struct store_run *run, uint64_t n);
