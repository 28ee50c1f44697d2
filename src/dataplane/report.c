/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/report.h"

#include "dataplane/bond.h"
#include "wire/frame.h"

void reporter_note(struct reporter *r, uint8_t slot, uint32_t session, uint64_t counter,
		   uint64_t bytes, nsec_t arrival)
{
	r->marks[slot].session = session;
	r->marks[slot].counter = counter;
	r->marks[slot].bytes += bytes;
	r->marks[slot].arrival = arrival;
	r->marks[slot].is_new = true;
	if (!r->has_news)
		r->next = nsec_max(r->next, arrival + REPORT_DELAY);
	r->has_news = true;
	r->new_bytes += bytes;
}

nsec_t reporter_deadline(const struct reporter *r)
{
	if (r->new_bytes >= REPORT_BYTES)
		return 0;
	return r->has_news ? r->next : NSEC_NEVER;
}

static int write_report(const struct reporter *r, const struct path_entry *e, uint8_t *buf,
			size_t size)
{
	const struct frame f = {
		.type = FRAME_REPORT,
		.report =
			{
				.path_id = e->remote_id,
				.session = r->marks[e->path->slot].session,
				.counter = r->marks[e->path->slot].counter,
				.rx_bytes = r->marks[e->path->slot].bytes,
				.arrival_ns = (uint64_t)r->marks[e->path->slot].arrival,
			},
	};

	return frame_write(&f, buf, size);
}

/*
 * What to tell the peer about its data over: of the active paths that brought some just now, the
 * one of the shortest round trip; NULL (all of them) if none did.
 */
static const struct path_entry *choose_path_rcu(const struct reporter *r, const struct bond *bond,
						nsec_t now)
{
	const struct path_set *set = rcu_read(&bond->paths);
	const struct path_entry *best = NULL;
	nsec_t best_rtt = NSEC_NEVER;

	for (unsigned i = 0; set && i < set->n; i++) {
		const struct path_entry *e = &set->entries[i];
		nsec_t rtt = atomic_load_explicit(&e->path->rtt, memory_order_relaxed);

		if (now - r->marks[e->path->slot].arrival > REPORT_PATH_AGE || rtt >= best_rtt)
			continue;
		best = e;
		best_rtt = rtt;
	}
	return best;
}

bool reporter_takes_all(struct reporter *r, nsec_t now)
{
	if (r->turns_left == 0 && now >= r->all_at) {
		r->turns_left = REPORT_TURNS - 1;
		r->all_at = now + REPORT_INTERVAL;
		return true;
	}
	if (r->turns_left)
		r->turns_left--;
	return false;
}

void reporter_send_rcu(struct reporter *r, struct bond *bond, nsec_t now)
{
	const struct path_set *set = rcu_read(&bond->paths);
	uint8_t payload[FRAME_PACKET_MAX];
	const struct path_entry *e;
	size_t len = 0;
	int n;

	if (now < reporter_deadline(r))
		return;
	r->has_news = false;
	r->new_bytes = 0;
	r->next = now + REPORT_INTERVAL;
	if (!set || !set->n_active)
		return;
	for (unsigned i = 0; i < set->n; i++) {
		e = &set->entries[i];
		if (!r->marks[e->path->slot].is_new || !e->remote_id)
			continue;
		n = write_report(r, e, payload + len, sizeof(payload) - len);
		if (n < 0)
			break; /* the rest is told next time */
		r->marks[e->path->slot].is_new = false;
		len += (size_t)n;
	}
	e = reporter_takes_all(r, now) ? NULL : choose_path_rcu(r, bond, now);
	if (len)
		bond_send_control_rcu(bond, e, payload, len, now);
}
