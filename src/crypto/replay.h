/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Replay window of one session's receive direction (RFC 6479: a ring of words, of which one
 * is always being cleared). Owner: whoever holds the peer's receive lane.
 *
 * Its size must cover rate x delay spread of the links: 10 Gbit/s of 1500-byte packets for
 * 150 ms are 125,000 packets, so 131,072 bits, 16 KB; stock WireGuard has 8,128.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define REPLAY_BITS 131072
#define REPLAY_WINDOW (REPLAY_BITS - 64) /* a counter this far behind the newest is too old */

struct replay;

enum replay_verdict {
	REPLAY_FRESH,
	REPLAY_SEEN, /* a copy */
	REPLAY_OLD,  /* behind the window, so nobody knows */
};

int replay_new(struct replay **ret); /* 0 or -ENOMEM */
void replay_free(struct replay *r);
/* Marks `counter` as seen. Only for authenticated packets. */
enum replay_verdict replay_check(struct replay *r, uint64_t counter);
