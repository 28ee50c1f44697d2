/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Resend: which of the ciphertext that was sent must be sent again: what the peer had not reported
 * when its path died, and what the peer asks for because a path lost it. The caller chooses the
 * path and says what it has sent. Owner: the TUN reader. Pure, except for the store's cells.
 * docs/design/repair.md
 */
#pragma once

#include <stdatomic.h>

#include "dataplane/store.h"
#include "links/path.h"

/* Ranges of counters that the peer has asked for and that have not been dealt with. */
#define RESEND_WANTED 64
/* At most this fraction of what is sent may be requested packets; and so many bytes at once. */
#define RESEND_SHARE 8
#define RESEND_CREDIT_MAX (1 << 20)

struct resend_place {
	uint32_t session; /* receiver index */
	uint64_t counter;
};

struct resend {
	struct store store;
	struct {
		uint32_t epoch;		  /* path_epoch(); 0: nothing was kept of this slot */
		struct resend_place kept; /* the last packet given to it */
		struct resend_place done; /* the last one reported, or sent again */
		bool has_done;
	} paths[PATHS_MAX];
	uint32_t outstanding; /* slots on which something kept has not been reported */
	struct {
		uint32_t session;
		uint64_t next, end;
	} wanted[RESEND_WANTED];
	unsigned head, tail; /* modulo RESEND_WANTED; equal: none */
	struct resend_gone {
		uint32_t session;
		uint64_t first;
		uint32_t n;
	} gone[RESEND_WANTED]; /* asked for, but not kept any more: the peer is to be told */
	unsigned n_gone;
	uint64_t credit;
	/* atomic: written here, read for status */
	_Atomic uint64_t packets, bytes; /* sent again */
	_Atomic uint64_t refused;	 /* packets asked for that were not: gone, or too many */
};

/* What is to be sent again, and why. */
struct resend_item {
	struct store_run run;
	uint8_t slot; /* of the path that died; PATH_SLOT_NONE: the peer asks for it */
};

void resend_init(struct resend *r, struct pool *cells);
void resend_deinit(struct resend *r);

/* A burst has been given to a path. */
void resend_keep(struct resend *r, const struct path *p, struct burst *b, nsec_t now);
/* The peer has received the packet, and all before it that the path did not lose. */
void resend_reported(struct resend *r, const struct path *p, uint32_t session, uint64_t counter);
/* The peer asks for `n` packets; false if too much is asked for already. */
bool resend_want(struct resend *r, uint32_t session, uint64_t first, uint32_t n);

/* The next to be sent again; `dead` are the slots of paths from which no report will come. */
bool resend_next(struct resend *r, uint32_t dead, nsec_t now, struct resend_item *ret);
/*
 * The first `n` datagrams of the item have been sent over a path, on which they may be on their way
 * until then.
 */
void resend_done(struct resend *r, const struct resend_item *item, uint32_t n, uint64_t bytes,
		 uint8_t slot, nsec_t until);

/*
 * Writes frames that tell the peer what it waits for in vain in this session, as many as there is
 * room for; 0 if there are none.
 */
size_t resend_write_gone(struct resend *r, uint32_t session, uint8_t *buf, size_t size);

static inline bool resend_is_wanted(const struct resend *r)
{
	return r->head != r->tail;
}
