/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/probe_internal.h"

#include <stdio.h>
#include <string.h>

#include "dataplane/network_state.h"
#include "dataplane/news.h"
#include "dataplane/recall.h"
#include "util/container.h"
#include "util/log.h"

/* Hellos without an answer after which a peer counts as stock, until its next session. */
#define HELLO_TRIES 4
#define HELLO_INTERVAL NSEC_PER_SEC
/* ... and the cadence at which one with multilink = yes is asked for ever. */
#define HELLO_INTERVAL_PATIENT (5 * NSEC_PER_SEC)

struct frame probe_path_hello(const struct probe_path *pp, bool wants_answer)
{
	const struct link_settings *link = pp->path->link->settings;
	struct frame f = {.type = FRAME_HELLO};

	f.hello.wants_answer = wants_answer;
	f.hello.is_backup = link->role == LINK_BACKUP;
	f.hello.path_id = pp->path->id;
	f.hello.weight = link->weight;
	snprintf(f.hello.link_name, sizeof(f.hello.link_name), "%s", link->name);
	return f;
}

/* The side that has the link knows its weight; and one that says backup is enough. */
static void note_remote_link(struct probe_path *pp, const struct frame_hello *hello)
{
	uint32_t weight = !pp->name && hello->weight ? hello->weight : pp->weight;

	if (weight == pp->weight && hello->is_backup == pp->is_remote_backup &&
	    !strcmp(pp->remote_link, hello->link_name))
		return;
	memcpy(pp->remote_link, hello->link_name, sizeof(pp->remote_link));
	pp->weight = weight;
	pp->is_remote_backup = hello->is_backup;
	probe_publish(pp->probe);
}

void probe_handle_hello(struct probe *p, const struct event *e)
{
	const struct frame_hello *hello = &e->frame.hello;
	struct probe_path *pp = probe_path_of_frame(p, e, hello->path_id);
	struct frame answer;

	if (!pp)
		return;
	pp->is_introduced = true;
	note_remote_link(pp, hello);
	if (hello->wants_answer) {
		answer = probe_path_hello(pp, false);
		probe_path_send(pp, &answer, 1, e->at);
	}
}

/* The peer speaks our protocol: from now on its paths are pinged. */
void probe_note_multilink(struct probe *p, nsec_t now)
{
	p->has_answered = true;
	if (p->is_multilink)
		return;
	p->is_multilink = true;
	p->is_known = true;
	log_info("network %s: peer %s speaks the bonding protocol", p->network->settings->name,
		 p->bond->settings->name);
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		if (!p->paths[i])
			continue;
		/* Now it is by pings that it comes back. */
		if (health_needs_answer(&p->paths[i]->health))
			health_init(&p->paths[i]->health, now);
		p->paths[i]->health.next_ping = now;
		probe_path_arm(p->paths[i]);
	}
	probe_publish(p);
}

/* The peer does not answer hellos: it is a stock one, at least for now. */
static void give_up_multilink(struct probe *p, nsec_t now)
{
	if (!p->is_known || p->is_multilink)
		log_info("network %s: peer %s is a stock WireGuard peer",
			 p->network->settings->name, p->bond->settings->name);
	p->is_known = true;
	if (!p->is_multilink) {
		probe_stock_doubt(p, now);
		probe_stock_call(p, now);
		return;
	}
	p->is_multilink = false;
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		if (!p->paths[i])
			continue;
		health_init(&p->paths[i]->health, now);
		p->paths[i]->is_introduced = false;
		probe_path_arm(p->paths[i]);
	}
	probe_publish(p);
	probe_stock_call(p, now);
}

void probe_hello_tick(struct timer *t, nsec_t now)
{
	struct probe *p = container_of(t, struct probe, hello_timer);
	bool is_patient = p->bond->settings->multilink == MULTILINK_YES;

	if (p->has_answered)
		return;
	if (!p->hellos_left && !is_patient) {
		give_up_multilink(p, now);
		return;
	}
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		struct frame hello;

		if (!p->paths[i])
			continue;
		hello = probe_path_hello(p->paths[i], true);
		probe_path_send(p->paths[i], &hello, 1, now);
	}
	timerq_arm(p->timers, t, now + (p->hellos_left ? HELLO_INTERVAL : HELLO_INTERVAL_PATIENT));
	if (p->hellos_left)
		p->hellos_left--;
}

void probe_session(struct probe *p, nsec_t now)
{
	news_handshake(p->bond);
	recall_note(p);
	probe_judge_peer(p, now);
	if (p->bond->settings->multilink == MULTILINK_NO)
		return;
	p->has_answered = false;
	p->hellos_left = HELLO_TRIES;
	probe_hello_tick(&p->hello_timer, now);
}

void probe_set_multilink(struct probe *p, nsec_t now)
{
	if (p->bond->settings->multilink != MULTILINK_NO) {
		probe_session(p, now);
		return;
	}
	timerq_disarm(p->timers, &p->hello_timer);
	give_up_multilink(p, now);
}
