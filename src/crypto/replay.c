/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * One bit per counter in a ring of words. When the newest counter moves on, the words between
 * the old and the new one are cleared; no bit is ever shifted (RFC 6479, section 3).
 */
#include "crypto/replay.h"

#include <errno.h>
#include <stdlib.h>

#define WORD_BITS 64
#define WORDS (REPLAY_BITS / WORD_BITS)

_Static_assert((WORDS & (WORDS - 1)) == 0, "the ring's index is a mask");

struct replay {
	uint64_t newest; /* 0 also at the start: no bit is set then */
	uint64_t words[WORDS];
};

int replay_new(struct replay **ret)
{
	struct replay *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	*ret = r;
	return 0;
}

void replay_free(struct replay *r)
{
	free(r);
}

static void advance(struct replay *r, uint64_t counter)
{
	uint64_t word = r->newest / WORD_BITS;
	uint64_t steps = counter / WORD_BITS - word;

	if (steps > WORDS)
		steps = WORDS;
	for (uint64_t i = 1; i <= steps; i++)
		r->words[(word + i) % WORDS] = 0;
	r->newest = counter;
}

enum replay_verdict replay_check(struct replay *r, uint64_t counter)
{
	uint64_t *word = &r->words[counter / WORD_BITS % WORDS];
	uint64_t bit = 1ULL << counter % WORD_BITS;

	if (counter > r->newest)
		advance(r, counter);
	else if (r->newest - counter >= REPLAY_WINDOW)
		return REPLAY_OLD;
	if (*word & bit)
		return REPLAY_SEEN;
	*word |= bit;
	return REPLAY_FRESH;
}
