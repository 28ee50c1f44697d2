/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "shaper.h"

#include <errno.h>
#include <stdlib.h>

struct waiting {
	void *packet;
	size_t bytes;
	nsec_t arrived;
};

struct shaper {
	uint64_t rate_bps;
	uint64_t backlog_bytes;
	nsec_t served; /* when the oldest is, or the last one was if nothing is waiting */
	size_t oldest;
	size_t used;
	size_t room;
	struct waiting ring[];
};

int shaper_new(struct shaper **ret, size_t packets)
{
	struct shaper *s = malloc(sizeof(*s) + packets * sizeof(s->ring[0]));

	if (!s)
		return -ENOMEM;
	*s = (struct shaper){.room = packets};
	*ret = s;
	return 0;
}

void shaper_free(struct shaper *s)
{
	free(s);
}

static nsec_t service_time(const struct shaper *s, size_t bytes)
{
	return s->rate_bps ? (nsec_t)(bytes * 8 * (uint64_t)NSEC_PER_SEC / s->rate_bps) : 0;
}

/* The oldest packet's turn has come. */
static void serve(struct shaper *s)
{
	const struct waiting *w = &s->ring[s->oldest];

	s->served = nsec_max(s->served, w->arrived) + service_time(s, w->bytes);
}

void shaper_set_rate(struct shaper *s, nsec_t now, uint64_t rate_bps)
{
	nsec_t left = nsec_max(s->served - now, 0);

	if (rate_bps == s->rate_bps)
		return;
	if (s->used && left > 0)
		s->served = rate_bps ? now + (nsec_t)((double)left * (double)s->rate_bps /
						      (double)rate_bps)
				     : now;
	s->rate_bps = rate_bps;
}

bool shaper_push(struct shaper *s, nsec_t now, void *packet, size_t bytes, uint64_t limit_bytes)
{
	uint64_t behind = s->used ? s->backlog_bytes - s->ring[s->oldest].bytes + bytes : 0;

	if (behind > limit_bytes || s->used == s->room)
		return false;
	s->ring[(s->oldest + s->used) % s->room] = (struct waiting){packet, bytes, now};
	s->backlog_bytes += bytes;
	if (s->used++ == 0)
		serve(s);
	return true;
}

void *shaper_pop(struct shaper *s, nsec_t now, nsec_t *ret_served)
{
	const struct waiting *w = &s->ring[s->oldest];

	if (s->used == 0 || s->served > now)
		return NULL;
	*ret_served = s->served;
	s->backlog_bytes -= w->bytes;
	s->oldest = (s->oldest + 1) % s->room;
	if (--s->used)
		serve(s);
	return w->packet;
}

nsec_t shaper_next(const struct shaper *s)
{
	return s->used ? s->served : NSEC_NEVER;
}

uint64_t shaper_backlog(const struct shaper *s)
{
	return s->backlog_bytes;
}
