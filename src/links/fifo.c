/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "links/fifo.h"

void past_set(struct past *past, uint64_t position, nsec_t now)
{
	*past = (struct past){position, position, now};
}

void past_note(struct past *past, uint64_t position, nsec_t span, nsec_t now)
{
	if (now - past->since < span)
		return;
	past->highest = past->next;
	past->next = position;
	past->since = now;
}

static bool is_active(const struct fifo_path *path, nsec_t now)
{
	return path->last && now - path->last < FIFO_ACTIVE_TIME;
}

void fifo_note(struct fifo *f, unsigned slot, uint64_t position, bool was_asked, nsec_t now)
{
	struct fifo_path *path = &f->paths[slot];
	uint64_t backwards = path->highest - position;

	if (slot >= f->n)
		f->n = slot + 1;
	if (!is_active(path, now)) {
		path->highest = position;
		path->disorder = 0;
		past_set(&path->past, position, now);
	} else if (position_is_before(path->highest, position)) {
		path->highest = position;
	} else if (!was_asked && backwards > path->disorder && backwards <= FIFO_DISORDER_MAX &&
		   !position_is_before(position, path->past.highest)) {
		path->disorder = backwards;
	}
	past_note(&path->past, path->highest, FIFO_DISORDER_TIME, now);
	path->last = now;
}

void fifo_decay(struct fifo *f, unsigned shift)
{
	for (unsigned i = 0; i < f->n; i++) {
		uint64_t *disorder = &f->paths[i].disorder;

		*disorder -= (*disorder + (1 << shift) - 1) >> shift;
	}
}

/* May `path` still bring something that lies before `position`? */
static bool is_behind(const struct fifo_path *path, uint64_t position)
{
	return position_is_before(path->highest - path->disorder, position);
}

bool fifo_has_passed(const struct fifo *f, uint64_t position, nsec_t now)
{
	for (unsigned i = 0; i < f->n; i++) {
		const struct fifo_path *path = &f->paths[i];

		if (is_active(path, now) && is_behind(path, position))
			return false;
	}
	return true;
}

nsec_t fifo_proof_time(const struct fifo *f, uint64_t position)
{
	nsec_t time = 0;

	for (unsigned i = 0; i < f->n; i++) {
		const struct fifo_path *path = &f->paths[i];

		if (path->last && is_behind(path, position))
			time = nsec_max(time, path->last + FIFO_ACTIVE_TIME);
	}
	return time;
}

uint64_t fifo_proven_end(const struct fifo *f, uint64_t end, nsec_t now)
{
	for (unsigned i = 0; i < f->n; i++) {
		const struct fifo_path *path = &f->paths[i];
		uint64_t reached = path->highest - path->disorder + 1;

		if (is_active(path, now) && position_is_before(reached, end))
			end = reached;
	}
	return end;
}
