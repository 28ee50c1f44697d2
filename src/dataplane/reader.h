/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Reader: what the thread that reads the TUN interface works with. For tx.c and its parts: pack.c
 * makes sealed bursts of what is read, outlet.c finds a path for them.
 * Owner: that thread.
 */
#pragma once

#include "dataplane/filling.h"
#include "dataplane/outlet.h"
#include "util/log.h"

struct network;

struct reader {
	/* constant */
	struct network *network;
	size_t read_bytes;
	/* its own */
	nsec_t now;
	struct parcel *read; /* what the interface is read into */
	struct filling open; /* the burst that packets are sealed into */
	struct outlet *busy; /* those with something waiting, through next_busy */
	struct log_limit no_path_limit;
};

static inline void reader_make_busy(struct reader *r, struct outlet *o)
{
	if (o->is_busy)
		return;
	o->is_busy = true;
	o->next_busy = r->busy;
	r->busy = o;
}
