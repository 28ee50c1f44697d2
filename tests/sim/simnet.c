/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "simnet.h"

#include <assert.h>
#include <stdlib.h>

#define START NSEC_PER_SEC /* not 0, which means "none" in many places */

struct event {
	nsec_t time;
	uint64_t turn; /* events of one time happen in the order of their making */
	simnet_event call;
	void *context;
	uint64_t value;
};

struct simnet {
	nsec_t now;
	uint64_t random;
	struct simnet_path paths[SIMNET_PATHS];
	struct event *heap; /* [0] stays unused */
	size_t used, room;
	uint64_t turns;
};

struct simnet *simnet_new(uint64_t seed)
{
	struct simnet *net = calloc(1, sizeof(*net));

	assert(net);
	net->now = START;
	net->random = seed;
	return net;
}

void simnet_free(struct simnet *net)
{
	free(net->heap);
	free(net);
}

nsec_t simnet_now(const struct simnet *net)
{
	return net->now;
}

struct simnet_path *simnet_path(struct simnet *net, unsigned path)
{
	return &net->paths[path];
}

/* splitmix64 */
uint64_t simnet_random(struct simnet *net)
{
	uint64_t z = net->random += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

uint64_t simnet_below(struct simnet *net, uint64_t n)
{
	return simnet_random(net) % n;
}

bool simnet_chance(struct simnet *net, double p)
{
	return (double)(simnet_random(net) >> 11) / (double)(1ULL << 53) < p;
}

static bool is_earlier(const struct event *a, const struct event *b)
{
	return a->time != b->time ? a->time < b->time : a->turn < b->turn;
}

void simnet_at(struct simnet *net, nsec_t time, simnet_event event, void *context, uint64_t value)
{
	struct event e = {nsec_max(time, net->now), net->turns++, event, context, value};
	size_t i;

	if (net->used + 1 >= net->room) {
		net->room = net->room ? net->room * 2 : 64;
		net->heap = realloc(net->heap, net->room * sizeof(*net->heap));
		assert(net->heap);
	}
	for (i = ++net->used; i > 1 && is_earlier(&e, &net->heap[i / 2]); i /= 2)
		net->heap[i] = net->heap[i / 2];
	net->heap[i] = e;
}

static struct event take_first(struct simnet *net)
{
	struct event first = net->heap[1];
	struct event last = net->heap[net->used--];
	size_t i = 1;

	for (size_t child; (child = i * 2) <= net->used; i = child) {
		if (child < net->used && is_earlier(&net->heap[child + 1], &net->heap[child]))
			child++;
		if (!is_earlier(&net->heap[child], &last))
			break;
		net->heap[i] = net->heap[child];
	}
	net->heap[i] = last;
	return first;
}

bool simnet_run(struct simnet *net, nsec_t time)
{
	while (net->used && net->heap[1].time <= time) {
		struct event e = take_first(net);

		net->now = e.time;
		e.call(net, e.context, e.value);
	}
	net->now = time;
	return net->used > 0;
}

nsec_t simnet_backlog(const struct simnet *net, unsigned path)
{
	return nsec_max(net->paths[path].busy_until - net->now, 0);
}

/* A line through points drawn once per `wander`; were it drawn for each packet, a dense flow that
 * is kept in order would see the greatest of it all the time. */
static nsec_t wander_at(struct simnet *net, struct simnet_path *p, nsec_t time)
{
	if (time - p->wander_since >= p->wander) {
		bool is_next = time - p->wander_since < 2 * p->wander;

		p->wander_from =
			is_next ? p->wander_to : (nsec_t)simnet_below(net, (uint64_t)p->wander);
		p->wander_to = (nsec_t)simnet_below(net, (uint64_t)p->wander);
		p->wander_since = is_next ? p->wander_since + p->wander : time;
	}
	return p->wander_from +
	       (p->wander_to - p->wander_from) * (time - p->wander_since) / p->wander;
}

bool simnet_send(struct simnet *net, unsigned path, size_t bytes, simnet_event event, void *context,
		 uint64_t value)
{
	struct simnet_path *p = &net->paths[path];
	nsec_t arrival;

	if (p->queue && simnet_backlog(net, path) > p->queue)
		return false;
	p->busy_until = nsec_max(p->busy_until, net->now);
	if (p->rate_bps)
		p->busy_until += (nsec_t)bytes * 8 * NSEC_PER_SEC / (nsec_t)p->rate_bps;
	arrival = p->busy_until + p->delay;
	if (p->jitter)
		arrival += (nsec_t)simnet_below(net, (uint64_t)p->jitter);
	if (p->wander)
		arrival += wander_at(net, p, p->busy_until);
	if (!p->may_reorder)
		arrival = nsec_max(arrival, p->newest_arrival);
	p->newest_arrival = nsec_max(arrival, p->newest_arrival);
	if (simnet_chance(net, p->loss) || (net->now < p->dead_to && arrival >= p->dead_from))
		return false;
	simnet_at(net, arrival, event, context, value);
	return true;
}
