/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * What one direction of the wire does to IP packets, and how that is written: "KEY=VALUE",
 * for both directions, or "up.KEY=VALUE", "down.KEY=VALUE" for one. Pure.
 *
 *	rate=100mbit           bit, kbit, mbit, gbit a second, of IP packets; none
 *	queue=100ms            FIFO before it: a time at the present rate, or bytes (64kb); none
 *	delay=10ms             us, ms, s
 *	jitter=5ms             up to this much is added to the delay
 *	jitter_reorders=yes    for each packet anew, so that they overtake each other
 *	reorder=1%             this share of packets is held back
 *	reorder_by=5ms         for so long
 *	loss=0.5%              at random
 *	burst_enter=0.1%       Gilbert-Elliott: chance, per packet, that a burst of loss begins,
 *	burst_leave=25%        that it ends,
 *	burst_loss=100%        and that a packet in it is lost
 *	duplicate=1%
 *	corrupt=1%             one bit behind the IP header is flipped
 *	mtu=1400               bytes of an IP packet; none
 *	mtu_icmp=no            drop what is too big without a word
 *	blackout=yes           nothing arrives, nobody is told
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/clock.h"

enum way { UP, DOWN, WAYS }; /* from the first interface to the second, and back */

struct settings {
	uint64_t rate_bps;    /* 0: infinite */
	uint64_t queue_bytes; /* the FIFO's limit; 0 if it is given as a time */
	nsec_t queue_ns;      /* both 0: without limit */
	nsec_t delay;
	nsec_t jitter;
	nsec_t reorder_by;
	double reorder, loss, burst_enter, burst_leave, burst_loss, duplicate, corrupt; /* 0..1 */
	uint64_t mtu; /* 0: none */
	bool mtu_icmp;
	bool jitter_reorders;
	bool blackout;
};

#define SETTINGS_DEFAULT                                                                           \
	{                                                                                          \
		.queue_ns = 100 * NSEC_PER_MSEC, .reorder_by = 5 * NSEC_PER_MSEC,                  \
		.burst_leave = 0.25, .burst_loss = 1, .mtu_icmp = true                             \
	}

#define SETTINGS_WORD_MAX 64
#define SETTINGS_MTU_MIN 68 /* RFC 791, section 3.2: the longest header and 8 bytes */

/*
 * Applies a line of such words to both directions: all of them or, if one is wrong, none; that
 * word is then in `ret_wrong`. 0, -ENOENT (no such key), or -EINVAL (no such value).
 */
int settings_assign(struct settings ways[WAYS], const char *line,
		    char ret_wrong[SETTINGS_WORD_MAX]);

/* "1.5s", "20ms", "100us"; the unit is a must. 0 or -EINVAL. */
int settings_parse_time(nsec_t *ret, const char *text);
