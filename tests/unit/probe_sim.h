/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * What the monitor makes of one peer, over a clock that jumps from timer to timer. The test
 * plays the peer: it opens what is sent from the links' rings, and answers pings where it is
 * told to.
 */
#pragma once

#include "handmade.h"

#define SECONDS(n) ((n)*NSEC_PER_SEC)
#define FAR_ID(link) (100U + (link)) /* what the peer calls the path over our link */

static struct timerq timers;
static struct resolver *resolver;
static struct bond *bond;
static struct probe *probe;
static nsec_t now;
static bool answers[HANDMADE_LINKS]; /* pings on the link */
static unsigned n_sent[HANDMADE_LINKS][FRAME_MTU_ANSWER + 1];
static unsigned n_empty[HANDMADE_LINKS]; /* packets without content */
static uint32_t carried;		 /* by all links, as an IP packet; what is larger is lost */
static struct frame last_sent[FRAME_MTU_ANSWER + 1];

static inline void begin(size_t n_links, const char *host, enum multilink multilink)
{
	const struct probe_context context = {&net, &timers, &resolver};

	handmade_settings(1, n_links);
	peer_settings[0].multilink = multilink;
	if (*host)
		handmade_endpoint(0, host, 51820);
	handmade_begin();
	for (size_t i = 0; i < n_links; i++)
		atomic_store(&net.links[i]->is_open, true);
	bond = net.bonds[0];
	now = T0;
	memset(answers, 0, sizeof(answers));
	memset(n_sent, 0, sizeof(n_sent));
	memset(n_empty, 0, sizeof(n_empty));
	memset(last_sent, 0, sizeof(last_sent));
	timerq_init(&timers);
	ck_assert_int_eq(probe_new(&probe, &context, bond, now), 0);
	bond->probe = probe;
	begin_session(bond, now);
}

static inline void teardown(void)
{
	carried = 0;
	resolver_free(resolver);
	resolver = NULL;
	probe_free(probe);
	bond->probe = NULL;
	timerq_deinit(&timers);
	handmade_end();
}

static inline const struct path_set *published(void)
{
	return rcu_own(&bond->paths);
}

static inline unsigned n_paths(void)
{
	return published()->n;
}

static inline struct event frame_from(unsigned link, const char *remote, const struct frame *f)
{
	return (struct event){
		.kind = EVENT_FRAME,
		.bond = bond,
		.link = net.links[link],
		.from = endpoint_of(remote),
		.at = now,
		.frame = *f,
	};
}

static inline void take_frame(unsigned link, const struct endpoint *to, const struct frame *f)
{
	const struct frame pong = {
		.type = FRAME_PONG,
		.pong = {.number = f->ping.number, .path_id = f->ping.path_id},
	};
	struct event e = frame_from(link, "192.0.2.1", &pong);

	n_sent[link][f->type]++;
	if (f->type == FRAME_MTU_PROBE && f->mtu.size <= carried) {
		struct frame answer = *f;

		answer.type = FRAME_MTU_ANSWER;
		e = frame_from(link, "192.0.2.1", &answer);
		e.from = *to;
		probe_frame(probe, &e);
		return;
	}
	last_sent[f->type] = *f;
	if (f->type != FRAME_PING || !answers[link])
		return;
	e.from = *to;
	probe_frame(probe, &e);
}

static inline void open_sent(unsigned link, const struct link_tx *tx)
{
	const struct wg_data *header = (const void *)tx->burst->data;
	uint8_t payload[2048]; /* probes of the MTU are padded */
	struct aead_job job = {
		.dst = payload,
		.src = tx->burst->data + sizeof(*header),
		.len = tx->burst->len - MESSAGE_DATA_OVERHEAD,
		.counter = le64_get(header->counter),
	};
	struct frame f;
	size_t offset = 0;

	ck_assert_uint_eq(aead_open(far[0]->recv, &job, 1), 1);
	n_empty[link] += !job.len;
	while (frame_read(payload, job.len, &offset, &f) > 0)
		take_frame(link, &tx->to, &f);
}

/* The peer gets what has been sent. */
static inline void take_sent(void)
{
	struct link_tx tx;

	for (unsigned i = 0; i < net.n_links; i++) {
		while (ring_pop(net.links[i]->tx, &tx)) {
			open_sent(i, &tx);
			burst_put(tx.burst);
		}
	}
}

static inline void run_for(nsec_t time)
{
	nsec_t until = now + time;

	take_sent();
	while (timerq_next(&timers) <= until) {
		now = nsec_max(now, timerq_next(&timers));
		timerq_run(&timers, now);
		take_sent();
	}
	now = until;
}

static inline void hear(unsigned link, const char *remote)
{
	const struct event e = {
		.kind = EVENT_HEARD,
		.bond = bond,
		.link = net.links[link],
		.from = endpoint_of(remote),
		.at = now,
	};

	probe_heard(probe, &e);
	take_sent();
}

static inline void give_frame(unsigned link, const char *remote, const struct frame *f)
{
	const struct event e = frame_from(link, remote, f);

	probe_frame(probe, &e);
	take_sent();
}

static inline void give_hello(unsigned link, const char *remote, uint32_t path_id, uint32_t weight)
{
	struct frame f = {.type = FRAME_HELLO, .hello = {.path_id = path_id, .weight = weight}};

	snprintf(f.hello.link_name, sizeof(f.hello.link_name), "far %u", path_id);
	give_frame(link, remote, &f);
}

static inline void give_ping(unsigned link, const char *remote, uint32_t path_id)
{
	const struct frame f = {.type = FRAME_PING, .ping = {.number = 1, .path_id = path_id}};

	give_frame(link, remote, &f);
}

static inline void give_pong(unsigned link, const char *remote, uint32_t path_id, uint32_t number)
{
	const struct frame f = {.type = FRAME_PONG, .pong = {.number = number, .path_id = path_id}};

	give_frame(link, remote, &f);
}

/* The path over that link to there; NULL if there is none. */
static inline struct probe_path *find(unsigned link, const char *remote)
{
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct probe_path *pp = probe->paths[i];

		if (pp && pp->path->link == net.links[link] && leads_to(pp, remote))
			return pp;
	}
	return NULL;
}

static inline enum health_state state_of(unsigned link, const char *remote)
{
	ck_assert_ptr_nonnull(find(link, remote));
	return find(link, remote)->health.state;
}

static inline bool is_active(unsigned link)
{
	for (unsigned i = 0; i < published()->n_active; i++) {
		if (published()->entries[published()->active[i]].path->link == net.links[link])
			return true;
	}
	return false;
}

/* Two configured paths to a vtrunkd that answers on both. */
static inline void begin_bonded(void)
{
	begin(2, "192.0.2.1", MULTILINK_AUTO);
	answers[0] = answers[1] = true;
	probe_session(probe, now);
	give_hello(0, "192.0.2.1", FAR_ID(0), 1);
	give_hello(1, "192.0.2.1", FAR_ID(1), 1);
	run_for(SECONDS(2));
	ck_assert_int_eq(state_of(0, "192.0.2.1"), HEALTH_UP);
	ck_assert_int_eq(state_of(1, "192.0.2.1"), HEALTH_UP);
}
