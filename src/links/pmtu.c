/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "links/pmtu.h"

#include <string.h>

/* A size that is not answered so often is taken for too large, if the path loses nothing else. */
#define TRIES_MIN 3
#define TRIES_MAX 16
/* How likely it may be that all tries of a size that fits are lost. */
#define TRIES_ERROR 1e-5
/* While the path does not answer pings, or has nothing to confirm. */
#define IDLE_INTERVAL NSEC_PER_SEC

/* Between what is known to fit and what is known not to. */
static void begin_search(struct pmtu *p, uint32_t low, uint32_t high)
{
	p->low = low;
	p->high = high;
	p->raise_at = 0;
	p->size = 0;
	p->is_confirming = false;
}

void pmtu_init(struct pmtu *p, uint32_t min, uint32_t max, nsec_t now)
{
	memset(p, 0, sizeof(*p));
	p->min = min;
	p->max = max;
	p->next = 1;
	p->at = now;
	begin_search(p, min - PMTU_GRAIN, max + 1);
}

static unsigned tries_of(double loss)
{
	double chance = 1;
	unsigned n = 0;

	do
		chance *= loss;
	while (++n < TRIES_MAX && (n < TRIES_MIN || chance > TRIES_ERROR));
	return n;
}

static bool is_complete(const struct pmtu *p)
{
	return p->high - p->low <= PMTU_GRAIN && !p->is_confirming;
}

static bool may_fit(const struct pmtu *p, uint32_t size)
{
	return size > p->low && size < p->high;
}

/*
 * Most paths carry the largest size, or what the route says; most others the base. Then the middle,
 * by multiples of the grain.
 */
static uint32_t next_size(const struct pmtu *p, uint32_t hint)
{
	uint32_t half;

	if (hint && hint <= p->max && may_fit(p, hint))
		return hint;
	/* What the route says does fit: does a little more? */
	if (hint && p->low == hint && may_fit(p, hint + PMTU_GRAIN))
		return hint + PMTU_GRAIN;
	if (p->high == p->max + 1)
		return p->max;
	if (p->low < p->min && may_fit(p, PMTU_BASE))
		return PMTU_BASE;
	half = (p->high - p->low) / 2;
	return p->low + (half < PMTU_GRAIN ? half : half / PMTU_GRAIN * PMTU_GRAIN);
}

static void send_try(struct pmtu *p, nsec_t patience, nsec_t now, struct pmtu_probe *ret)
{
	if (!p->tries++)
		p->first = p->next;
	*ret = (struct pmtu_probe){p->size, p->next++};
	p->at = now + patience;
}

static bool set_mtu(struct pmtu *p, uint32_t mtu)
{
	bool has_changed = mtu != p->mtu;

	p->mtu = mtu;
	return has_changed;
}

/* All tries of a size are lost. */
static bool give_up_size(struct pmtu *p)
{
	uint32_t lost = p->size;

	p->size = 0;
	if (p->is_confirming) {
		begin_search(p, p->min - PMTU_GRAIN, lost);
		return set_mtu(p, lost > PMTU_BASE ? PMTU_BASE : p->min);
	}
	p->high = lost;
	return false;
}

/* The search is over: what it has found holds until it is looked for again. */
static bool finish(struct pmtu *p, nsec_t now)
{
	p->raise_at = now + PMTU_RAISE_TIME;
	p->at = now + IDLE_INTERVAL;
	return set_mtu(p, p->low < p->min ? 0 : p->low);
}

static bool needs_confirmation(const struct pmtu *p, const struct pmtu_conditions *c)
{
	return p->mtu && c->tx_bytes - p->tx_bytes >= p->mtu;
}

/* Nothing is being probed: what is next? False: nothing. */
static bool choose_size(struct pmtu *p, const struct pmtu_conditions *c, nsec_t now)
{
	p->tries = 0;
	if (p->raise_at && now >= p->raise_at)
		begin_search(p, p->mtu ? p->mtu : p->low, p->max + 1);
	if (!is_complete(p)) {
		p->size = next_size(p, c->hint);
		return true;
	}
	if (!needs_confirmation(p, c))
		return false;
	p->tx_bytes = c->tx_bytes;
	p->size = p->mtu;
	p->is_confirming = true;
	return true;
}

bool pmtu_tick(struct pmtu *p, const struct pmtu_conditions *c, nsec_t now, struct pmtu_probe *ret)
{
	bool has_changed = false;

	*ret = (struct pmtu_probe){0};
	if (now < p->at)
		return false;
	if (!c->is_answering) {
		p->tries = 0;
		p->at = now + IDLE_INTERVAL;
		return false;
	}
	if (p->size && p->tries >= tries_of(c->loss))
		has_changed = give_up_size(p);
	if (!p->size && is_complete(p) && !p->raise_at)
		has_changed |= finish(p, now);
	if (p->size || choose_size(p, c, now))
		send_try(p, c->patience, now, ret);
	else
		p->at = now + IDLE_INTERVAL;
	return has_changed;
}

bool pmtu_answer(struct pmtu *p, uint32_t number, nsec_t now)
{
	if (!p->size || number - p->first >= p->tries)
		return false;
	if (p->is_confirming) {
		p->is_confirming = false;
		p->at = now + PMTU_CONFIRM_INTERVAL;
	} else {
		p->low = p->size;
		p->at = now;
	}
	p->size = 0;
	/* Meanwhile what is known to fit is better than nothing, or than what was assumed. */
	return p->low > p->mtu && p->mtu && set_mtu(p, p->low);
}
