/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "links/health.h"

#include <stdlib.h>
#include <string.h>

static struct health_ping *ping_at(struct health *h, uint32_t number)
{
	return &h->pings[number % HEALTH_PINGS];
}

/* Numbers wrap around. */
static bool is_newer(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

/* A path that goes down soon after it came up is held down longer and longer. */
static void note_down(struct health *h, const struct health_settings *s, nsec_t now)
{
	bool is_flap = h->state == HEALTH_UP && h->n_downs && now - h->since < HEALTH_STABLE_TIME;

	h->n_downs++;
	if (h->state == HEALTH_UP && !is_flap)
		h->hold = 0;
	if (!is_flap)
		return;
	h->n_flaps++;
	h->hold = nsec_min(h->hold ? 2 * h->hold : HEALTH_HOLD_FIRST, s->flap_hold_max);
	h->held_until = now + h->hold;
}

static void set_state(struct health *h, const struct health_settings *s, enum health_state state,
		      nsec_t now)
{
	if (state == HEALTH_DOWN)
		note_down(h, s, now);
	h->state = state;
	h->since = now;
	h->pongs_in_row = 0;
}

void health_init(struct health *h, nsec_t now)
{
	memset(h, 0, sizeof(*h));
	h->since = now;
	h->next_ping = now;
	h->next_number = 1;
	/* Nothing is outstanding, not even what the zeroed entries seem to be. */
	for (unsigned i = 0; i < HEALTH_PINGS; i++)
		h->pings[i].is_answered = true;
}

nsec_t health_patience(const struct health *h, const struct health_settings *s)
{
	return nsec_min(s->timeout, nsec_max(2 * HEALTH_RECOVERY_INTERVAL, 4 * h->rtt));
}

bool health_is_overdue(const struct health *h, const struct health_settings *s, nsec_t now)
{
	return h->unanswered_since && now - h->unanswered_since > health_patience(h, s);
}

static nsec_t ping_interval(const struct health *h, const struct health_settings *s, nsec_t now)
{
	if (h->state == HEALTH_DOWN && h->pongs_in_row && h->pongs_in_row < s->up)
		return HEALTH_RECOVERY_INTERVAL;
	if (h->state == HEALTH_PROBING || now < h->retry_until ||
	    (h->state == HEALTH_UP && health_is_overdue(h, s, now)))
		return nsec_min(s->interval, HEALTH_DOUBT_INTERVAL);
	if (h->state == HEALTH_DOWN && !h->pongs_in_row)
		return nsec_min(s->interval, HEALTH_DOWN_INTERVAL);
	return s->interval;
}

void health_rouse(struct health *h, const struct health_settings *s)
{
	h->next_ping = nsec_min(h->next_ping, ping_at(h, h->next_number - 1)->sent + s->interval);
}

void health_stand_by(struct health *h, const struct health_settings *s, bool is_standing_by)
{
	if (h->is_standing_by && !is_standing_by)
		health_rouse(h, s);
	h->is_standing_by = is_standing_by;
}

/* All is answered: a path that stands by is left alone for a while. */
static void rest(struct health *h, const struct health_settings *s, const struct health_ping *last,
		 nsec_t now)
{
	nsec_t interval = s->backup_interval ? s->backup_interval : s->timeout;

	if (h->is_standing_by && h->state == HEALTH_UP && !h->unanswered_since &&
	    now >= h->retry_until)
		h->next_ping = nsec_max(h->next_ping, last->sent + interval);
}

/* Since the newest that was answered. */
static uint32_t n_unanswered(const struct health *h)
{
	return h->next_number - 1 - h->newest_answered;
}

nsec_t health_deadline(const struct health *h, const struct health_settings *s)
{
	if (h->state == HEALTH_DOWN || !h->unanswered_since || n_unanswered(h) < s->down)
		return h->next_ping;
	return nsec_min(h->next_ping, h->unanswered_since + s->timeout);
}

bool health_is_held(const struct health *h, const struct health_settings *s)
{
	return h->state == HEALTH_DOWN && h->pongs_in_row >= s->up;
}

bool health_wants_ping(const struct health *h, nsec_t now)
{
	return now >= h->next_ping;
}

uint32_t health_ping_sent(struct health *h, const struct health_settings *s, uint64_t tx_packets,
			  nsec_t now)
{
	uint32_t number = h->next_number++;

	*ping_at(h, number) = (struct health_ping){number, false, now, tx_packets};
	if (!h->unanswered_since)
		h->unanswered_since = now;
	if (health_is_overdue(h, s, now))
		h->pongs_in_row = 0;
	h->next_ping = now + ping_interval(h, s, now);
	return number;
}

/* RFC 6298, section 2 */
static void measure_rtt(struct health *h, nsec_t sample)
{
	if (!h->rtt) {
		h->rtt = sample;
		h->rtt_var = sample / 2;
		h->rtt_min = sample;
		return;
	}
	h->rtt_var += (llabs(h->rtt - sample) - h->rtt_var) / 4;
	h->rtt += (sample - h->rtt) / 8;
	h->rtt_min = nsec_min(h->rtt_min, sample);
}

/* All pings after the newest answered one are unanswered: the first of them is the oldest. */
static void note_newest(struct health *h, uint32_t number)
{
	uint32_t following = number + 1;

	h->newest_answered = number;
	h->unanswered_since = following == h->next_number ? 0 : ping_at(h, following)->sent;
}

/* The answers in a row, while the path is down. */
static void count_row(struct health *h, const struct health_settings *s,
		      const struct health_ping *ping, bool is_timely, bool is_next, nsec_t now)
{
	if (!is_timely || ping->sent < h->since || now < h->error_until) {
		h->pongs_in_row = 0;
		return;
	}
	h->pongs_in_row = is_next ? h->pongs_in_row + 1 : 1;
	if (h->pongs_in_row < s->up)
		h->next_ping = nsec_min(h->next_ping, ping->sent + HEALTH_RECOVERY_INTERVAL);
	else if (now < h->held_until)
		h->next_ping = nsec_min(h->next_ping, h->held_until);
}

bool health_pong(struct health *h, const struct health_settings *s, uint32_t number, nsec_t now,
		 bool *ret_is_valid, struct health_ping *ret_ping)
{
	struct health_ping *ping = ping_at(h, number);
	bool is_next = number == h->newest_answered + 1; /* no ping was skipped */
	bool is_timely = !h->rtt || now - ping->sent <= health_patience(h, s);

	*ret_is_valid = ping->number == number && !ping->is_answered;
	if (!*ret_is_valid)
		return false;
	ping->is_answered = true;
	if (ret_ping)
		*ret_ping = *ping;
	if (ping->sent >= h->rtt_since)
		measure_rtt(h, nsec_max(now - ping->sent, 1));
	if (!is_newer(number, h->newest_answered))
		return false;
	note_newest(h, number);
	rest(h, s, ping, now);

	if (h->state == HEALTH_UP)
		return false;
	if (h->state == HEALTH_DOWN) {
		count_row(h, s, ping, is_timely, is_next, now);
		if (h->pongs_in_row < s->up || now < h->held_until)
			return false;
	}
	set_state(h, s, HEALTH_UP, now);
	return true;
}

void health_forget_rtt(struct health *h, nsec_t now)
{
	h->rtt = h->rtt_var = h->rtt_min = 0;
	h->rtt_since = now;
}

void health_heard(struct health *h, const struct health_settings *s, nsec_t now)
{
	if (h->state == HEALTH_PROBING)
		set_state(h, s, HEALTH_UP, now);
}

bool health_link_error(struct health *h, const struct health_settings *s, nsec_t now)
{
	bool is_early = now < h->retry_until;

	if (!health_needs_answer(h))
		h->error_until = now + (is_early ? HEALTH_DOUBT_INTERVAL : s->error_backoff);
	h->pongs_in_row = 0;
	if (h->state == HEALTH_DOWN)
		return false;
	set_state(h, s, HEALTH_DOWN, now);
	return true;
}

void health_retry(struct health *h, nsec_t now)
{
	h->error_until = nsec_min(h->error_until, now);
	h->retry_until = now + HEALTH_RETRY_TIME;
	h->next_ping = nsec_min(h->next_ping, now);
}

bool health_unanswered(struct health *h, const struct health_settings *s, nsec_t now)
{
	h->error_until = NSEC_NEVER;
	return health_peer_down(h, s, now);
}

bool health_needs_answer(const struct health *h)
{
	return h->state == HEALTH_DOWN && h->error_until == NSEC_NEVER;
}

bool health_peer_down(struct health *h, const struct health_settings *s, nsec_t now)
{
	if (h->state == HEALTH_DOWN)
		return false;
	set_state(h, s, HEALTH_DOWN, now);
	return true;
}

bool health_expire(struct health *h, const struct health_settings *s, nsec_t now)
{
	if (h->state == HEALTH_DOWN || !h->unanswered_since ||
	    now - h->unanswered_since < s->timeout || n_unanswered(h) < s->down)
		return false;
	set_state(h, s, HEALTH_DOWN, now);
	return true;
}

const char *health_state_name(enum health_state state)
{
	switch (state) {
	case HEALTH_PROBING:
		return "probing";
	case HEALTH_UP:
		return "up";
	case HEALTH_DOWN:
		return "down";
	}
	return "unknown";
}
