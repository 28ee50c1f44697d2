/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Sieve: keeps a flood of handshake messages from a link's worker, which would have to receive
 * each before it can drop it. Above a rate that no peers reach, a filter of the socket lets
 * through but few of the handshake messages of those who send that many, and nothing that is no
 * message of WireGuard's at all. Data passes always. Now and then the filter is taken away, to see
 * who floods by then. Without it, if the system refuses it, the worker drops what has come.
 *
 * Owner: whoever has the lead of the link. Time comes in as an argument; nothing here allocates.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "links/burst.h"

/* So many messages that are no data, within this time, are a flood: 64,000 in a second. */
#define SIEVE_SAMPLE 3200
#define SIEVE_SPAN (50 * NSEC_PER_MSEC)
/* Messages in a second that are let through of each class that floods. */
#define SIEVE_RATE 2000
/* Sources, an address and a port, are in classes by a hash, that is another for each filter. */
#define SIEVE_CLASSES 32
/* How long a filter stays. */
#define SIEVE_HOLD NSEC_PER_SEC

struct sieve {
	/* since `begun`, messages that are no data: of each class, and of all */
	nsec_t begun;
	uint32_t counts[SIEVE_CLASSES];
	uint32_t n;
	uint32_t seed; /* of the hash */
	/* the filter */
	nsec_t until;	       /* 0: there is none */
	uint32_t hot;	       /* one bit for each class that floods */
	uint32_t chance;       /* in 2^32, that a message of those passes */
	bool may_have_dropped; /* of what the kernel has told by now */
};

/* A batch has come from the socket `fd`. */
void sieve_look(struct sieve *s, int fd, struct burst *const *bursts, int n, nsec_t now);
/* Takes the filter away when its time is over. Returns when that will be; NSEC_NEVER. */
nsec_t sieve_lift(struct sieve *s, int fd, nsec_t now);
