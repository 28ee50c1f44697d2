/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Path MTU discovery for datagrams (RFC 8899): the largest IP packet that a path carries, found by
 * padded probes and their answers. ICMP is not needed; what the kernel has learnt by it is a hint
 * of which size to try first. While data flows the size is confirmed, so that a path that carries
 * less than before is noticed within seconds. All sizes are those of outer IP packets.
 * Owner: the monitor thread. Pure: time comes in as an argument.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "util/clock.h"

#define PMTU_MAX 1500
#define PMTU_MIN_V4 576
#define PMTU_MIN_V6 1280
/* Works nearly everywhere: what is counted on when a size that worked does not any more. */
#define PMTU_BASE 1280
/* The search ends when no more than this is left. */
#define PMTU_GRAIN 4
/* A complete search is done again after this time: the path may carry more now. */
#define PMTU_RAISE_TIME (600 * NSEC_PER_SEC)
#define PMTU_CONFIRM_INTERVAL NSEC_PER_SEC

/* What the path is like, when pmtu_tick() is called. */
struct pmtu_conditions {
	bool is_answering; /* pings are; else a lost probe means nothing */
	nsec_t patience;   /* an answer that takes longer is a missed one */
	double loss;	   /* 0..1 of probes or their answers */
	uint64_t tx_bytes; /* sent on the path so far */
	uint32_t hint;	   /* what the route says; 0: nothing */
};

struct pmtu_probe {
	uint32_t size; /* 0: none is to be sent */
	uint32_t number;
};

struct pmtu {
	uint32_t mtu;	   /* what the path carries; 0: not known */
	uint32_t min, max; /* of the search */
	uint32_t low;	   /* the largest that was answered; below min: none */
	uint32_t high;	   /* the smallest that was not */
	uint32_t size;	   /* being probed; 0: none */
	uint32_t first;	   /* number of its first probe */
	uint32_t next;	   /* number of the next probe */
	unsigned tries;
	bool is_confirming; /* `size` is `mtu` */
	nsec_t at;	    /* when to look next */
	nsec_t raise_at;
	uint64_t tx_bytes; /* when it was confirmed last */
};

void pmtu_init(struct pmtu *p, uint32_t min, uint32_t max, nsec_t now);
/* Call at p->at. True if `mtu` changed. Sets the probe that is to be sent now. */
bool pmtu_tick(struct pmtu *p, const struct pmtu_conditions *c, nsec_t now, struct pmtu_probe *ret);
/* A probe was answered. True if `mtu` changed; then call pmtu_tick(). */
bool pmtu_answer(struct pmtu *p, uint32_t number, nsec_t now);
