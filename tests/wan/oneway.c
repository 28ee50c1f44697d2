/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "oneway.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chance.h"
#include "delay.h"
#include "loss.h"
#include "shaper.h"
#include "util/pool.h"

#define BATCH 64

struct oneway {
	struct oneway_options options; /* with the settings of this moment */
	uint64_t limit_bytes;	       /* of the FIFO */
	struct pool *pool;
	struct shaper *shaper;
	struct delay *delay;
	struct loss loss;
	struct chance chance;
	struct oneway_counters counters;
};

static void apply(struct oneway *w, nsec_t now)
{
	const struct settings *s = &w->options.settings;

	shaper_set_rate(w->shaper, now, s->rate_bps);
	if (s->rate_bps && s->queue_ns)
		w->limit_bytes = (uint64_t)((double)s->rate_bps / 8 * (double)s->queue_ns / 1e9);
	else
		w->limit_bytes = s->rate_bps && s->queue_bytes ? s->queue_bytes : UINT64_MAX;
}

int oneway_new(struct oneway **ret, const struct oneway_options *o)
{
	struct oneway *w = calloc(1, sizeof(*w));
	size_t frame_max = o->frame_max > PACKET_ICMP_MAX ? o->frame_max : PACKET_ICMP_MAX;

	if (!w)
		return -ENOMEM;
	w->options = *o;
	w->options.frame_max = frame_max;
	w->chance.state = o->seed;
	if (pool_new(&w->pool, o->packets, sizeof(struct packet) + frame_max) < 0 ||
	    shaper_new(&w->shaper, o->packets) < 0 || delay_new(&w->delay, o->packets) < 0) {
		oneway_free(w);
		return -ENOMEM;
	}
	apply(w, 0);
	*ret = w;
	return 0;
}

void oneway_free(struct oneway *w)
{
	void *packet;
	nsec_t served;

	if (!w)
		return;
	while (w->shaper && (packet = shaper_pop(w->shaper, NSEC_NEVER, &served)))
		pool_give(w->pool, packet);
	while (w->delay && (packet = delay_pop(w->delay, NSEC_NEVER)))
		pool_give(w->pool, packet);
	delay_free(w->delay);
	shaper_free(w->shaper);
	pool_free(w->pool);
	free(w);
}

static void drop(struct oneway *w, struct packet *p, uint64_t *counter)
{
	pool_give(w->pool, p);
	(*counter)++;
}

/* NULL, and counted, if none is left. */
static struct packet *take(struct oneway *w)
{
	struct packet *p = pool_take(w->pool);

	if (!p)
		w->counters.memory_drops++;
	return p;
}

static void start_travel(struct oneway *w, struct packet *p, nsec_t start)
{
	bool is_held;

	if (!delay_push(w->delay, start, p, &w->options.settings, &w->chance, &is_held)) {
		drop(w, p, &w->counters.memory_drops);
		return;
	}
	w->counters.held_back += is_held;
}

static void duplicate(struct oneway *w, const struct packet *p, nsec_t start)
{
	struct packet *copy = take(w);

	if (!copy)
		return;
	memcpy(copy, p, sizeof(*p) + p->len);
	w->counters.duplicated++;
	start_travel(w, copy, start);
}

/* The bottleneck has served it. */
static void depart(struct oneway *w, struct packet *p, nsec_t start)
{
	const struct settings *s = &w->options.settings;

	if (loss_takes(&w->loss, s, &w->chance)) {
		drop(w, p, w->loss.is_burst ? &w->counters.lost_in_bursts : &w->counters.lost);
		return;
	}
	if (chance_hits(&w->chance, s->corrupt)) {
		packet_flip_bit(p, chance_next(&w->chance));
		w->counters.corrupted++;
	}
	if (chance_hits(&w->chance, s->duplicate))
		duplicate(w, p, start);
	start_travel(w, p, start);
}

static void depart_all(struct oneway *w, nsec_t now)
{
	struct packet *p;
	nsec_t served;

	while ((p = shaper_pop(w->shaper, now, &served)))
		depart(w, p, served);
}

static void enqueue(struct oneway *w, nsec_t now, struct packet *p)
{
	uint64_t backlog;

	if (!shaper_push(w->shaper, now, p, packet_ip_len(p), w->limit_bytes)) {
		drop(w, p, &w->counters.queue_drops);
		return;
	}
	backlog = shaper_backlog(w->shaper);
	if (backlog > w->counters.queue_peak_bytes)
		w->counters.queue_peak_bytes = backlog;
}

static void enqueue_fragments(struct oneway *w, nsec_t now, struct packet *p)
{
	struct packet *fragment;
	size_t at = 0;

	packet_finish_checksum(p);
	while ((fragment = take(w))) {
		if (!packet_fragment(p, w->options.settings.mtu, &at, fragment)) {
			pool_give(w->pool, fragment);
			break;
		}
		w->counters.fragments++;
		enqueue(w, now, fragment);
	}
	pool_give(w->pool, p);
}

static void refuse_too_big(struct oneway *w, struct packet *p)
{
	const struct settings *s = &w->options.settings;
	struct packet *error = s->mtu_icmp ? take(w) : NULL;

	if (error) {
		packet_finish_checksum(p); /* the sender compares what is quoted */
		if (packet_too_big(p, s->mtu, error)) {
			w->options.back.send(w->options.back.context, &error, 1);
			w->counters.icmp_sent++;
		}
		pool_give(w->pool, error);
	}
	drop(w, p, &w->counters.mtu_drops);
}

static void accept_ip(struct oneway *w, nsec_t now, struct packet *p)
{
	const struct settings *s = &w->options.settings;

	w->counters.packets_in++;
	w->counters.bytes_in += packet_ip_len(p);
	if (s->blackout)
		drop(w, p, &w->counters.blackout_drops);
	else if (!s->mtu || packet_ip_len(p) <= s->mtu)
		enqueue(w, now, p);
	else if (packet_may_fragment(p))
		enqueue_fragments(w, now, p);
	else
		refuse_too_big(w, p);
}

static void pass_at_once(struct oneway *w, struct packet *p)
{
	w->options.forward.send(w->options.forward.context, &p, 1);
	w->counters.neighbour++;
	pool_give(w->pool, p);
}

void oneway_receive(struct oneway *w, nsec_t now, const struct virtio_net_hdr *vnet,
		    const uint8_t *frame, size_t len)
{
	bool is_far = frame_is_far(frame, len);
	struct packet *p;
	struct cut cut;

	depart_all(w, now);
	if (cut_begin(&cut, vnet, frame, len) < 0 || cut_frame_max(&cut) > w->options.frame_max) {
		w->counters.malformed++;
		return;
	}
	while (!cut.is_done && (p = take(w))) {
		cut_next(&cut, p);
		if (is_far)
			accept_ip(w, now, p);
		else
			pass_at_once(w, p);
	}
}

static void send_batch(struct oneway *w, struct packet **packets, size_t n)
{
	if (n == 0)
		return;
	w->options.forward.send(w->options.forward.context, packets, n);
	for (size_t i = 0; i < n; i++) {
		w->counters.packets_out++;
		w->counters.bytes_out += packet_ip_len(packets[i]);
		pool_give(w->pool, packets[i]);
	}
}

void oneway_run(struct oneway *w, nsec_t now)
{
	struct packet *batch[BATCH], *p;
	size_t n = 0;

	depart_all(w, now);
	while ((p = delay_pop(w->delay, now))) {
		if (w->options.settings.blackout) {
			drop(w, p, &w->counters.blackout_drops);
			continue;
		}
		batch[n++] = p;
		if (n == BATCH) {
			send_batch(w, batch, n);
			n = 0;
		}
	}
	send_batch(w, batch, n);
}

nsec_t oneway_next(const struct oneway *w)
{
	return nsec_min(shaper_next(w->shaper), delay_next(w->delay));
}

void oneway_set(struct oneway *w, nsec_t now, const struct settings *settings)
{
	oneway_run(w, now);
	w->options.settings = *settings;
	apply(w, now);
}

const struct oneway_counters *oneway_counters(const struct oneway *w)
{
	return &w->counters;
}

uint64_t oneway_queued_bytes(const struct oneway *w)
{
	return shaper_backlog(w->shaper);
}
