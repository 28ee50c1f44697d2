/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/networks.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/container.h"
#include "util/log.h"
#include "util/warnings.h"

/* A slot, and where its network's threads leave their last words. */
struct place {
	struct network_slot slot;
	struct networks *networks;
	char last_words[NETWORK_WHY_MAX]; /* the thread that fails, before it sets: */
	_Atomic bool has_failed;	  /* release; the main thread reads it with acquire */
};

struct networks {
	struct broker *broker;
	struct events *events;
	int event_fd;
	struct place **places; /* n of them; what they point to never moves */
	size_t n;
};

const char *network_state_name(enum network_state state)
{
	static const char *const names[] = {
#define X(name, text) text,
		NETWORK_STATES(X)
#undef X
	};

	return names[state];
}

static struct place *place_of(struct network_slot *slot)
{
	return container_of(slot, struct place, slot);
}

static void set_state(struct network_slot *slot, enum network_state state, const char *why)
{
	struct record r;

	slot->state = state;
	snprintf(slot->why, sizeof(slot->why), "%s", why);
	record_init(&r, "network_state");
	record_add(&r, "network", slot->settings->name);
	record_add(&r, "interface", slot->settings->interface);
	record_add(&r, "state", network_state_name(state));
	if (*why)
		record_add(&r, "reason", why);
	log_record(LOG_INFO, "state of a network", &r);
	events_post(place_of(slot)->networks->events, &r);
}

/* Any thread, once for each network. */
static void network_failed(void *ctx, const char *why)
{
	struct place *place = ctx;

	snprintf(place->last_words, sizeof(place->last_words), "%s", why);
	atomic_store_explicit(&place->has_failed, true, memory_order_release);
	eventfd_write(place->networks->event_fd, 1);
}

/* Any thread. */
static void network_happened(void *ctx, const struct record *r)
{
	const struct place *place = ctx;

	events_post(place->networks->events, r);
}

/* Another one that runs on the same interface: of two, the configuration disables one. */
static const struct network_slot *find_rival(const struct networks *n,
					     const struct network_slot *slot)
{
	for (size_t i = 0; i < n->n; i++) {
		const struct network_slot *other = &n->places[i]->slot;

		if (other != slot && other->network &&
		    !strcmp(other->settings->interface, slot->settings->interface))
			return other;
	}
	return NULL;
}

static int start(struct networks *n, struct network_slot *slot)
{
	struct place *place = place_of(slot);
	const struct network_slot *rival = find_rival(n, slot);
	int r;

	if (rival) {
		log_error("network %s: interface %s is taken by network %s", slot->settings->name,
			  slot->settings->interface, rival->settings->name);
		set_state(slot, NETWORK_ERROR, strerror(EBUSY));
		return -EBUSY;
	}
	set_state(slot, NETWORK_STARTING, "");
	atomic_store_explicit(&place->has_failed, false, memory_order_relaxed);
	r = network_start(&slot->network, slot->settings, n->broker, network_failed,
			  network_happened, place);
	if (r < 0)
		set_state(slot, NETWORK_ERROR, strerror(-r));
	else
		set_state(slot, NETWORK_ACTIVE, "");
	return r;
}

static void stop(struct network_slot *slot)
{
	set_state(slot, NETWORK_STOPPING, "");
	network_stop(slot->network);
	slot->network = NULL;
	set_state(slot, NETWORK_STOPPED, "");
}

static void drop_place(struct place *place)
{
	networks_disconnect(&place->slot);
	free(place);
}

static struct place *place_named(const struct networks *n, const char *name)
{
	struct network_slot *slot = networks_find(n, name);

	return slot ? place_of(slot) : NULL;
}

/* The place that the network has, or a new one; NULL without memory. */
static struct place *take_place(struct networks *n, const char *name)
{
	struct place *place = place_named(n, name);

	if (place)
		return place;
	place = calloc(1, sizeof(*place));
	if (place)
		place->networks = n;
	return place;
}

static bool is_in(struct place *place, struct place **list, size_t n)
{
	while (n > 0)
		if (list[--n] == place)
			return true;
	return false;
}

int networks_adopt(struct networks *n, const struct config *config)
{
	struct place **places = calloc(config->n_networks + 1, sizeof(struct place *));
	size_t taken = 0;

	while (places && taken < config->n_networks &&
	       (places[taken] = take_place(n, config->networks[taken].name)))
		taken++;
	if (!places || taken < config->n_networks) {
		for (size_t i = 0; i < taken; i++)
			if (!is_in(places[i], n->places, n->n))
				free(places[i]);
		free(places);
		return -ENOMEM;
	}
	for (size_t i = n->n; i > 0; i--)
		if (!is_in(n->places[i - 1], places, taken))
			drop_place(n->places[i - 1]);
	for (size_t i = 0; i < taken; i++)
		places[i]->slot.settings = &config->networks[i];
	free(n->places);
	n->places = places;
	n->n = taken;
	return 0;
}

int networks_new(struct networks **ret, const struct config *config, struct broker *broker,
		 struct events *events)
{
	struct networks *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return -ENOMEM;
	n->broker = broker;
	n->events = events;
	n->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	r = n->event_fd < 0 ? -errno : networks_adopt(n, config);
	if (r < 0) {
		networks_free(n);
		return r;
	}
	*ret = n;
	return 0;
}

void networks_free(struct networks *n)
{
	if (!n)
		return;
	for (size_t i = n->n; i > 0; i--)
		drop_place(n->places[i - 1]);
	if (n->event_fd >= 0)
		close(n->event_fd);
	free(n->places);
	free(n);
}

int networks_start(struct networks *n, bool may_be_idle)
{
	size_t n_enabled = 0;
	int last_failure = 0;
	int r;

	for (size_t i = 0; i < n->n; i++) {
		struct network_slot *slot = &n->places[i]->slot;

		if (!slot->settings->is_enabled) {
			log_info("network %s: not enabled", slot->settings->name);
			continue;
		}
		n_enabled++;
		r = start(n, slot);
		if (r < 0)
			last_failure = r;
	}
	if (!n_enabled && !may_be_idle) {
		log_error("no network is enabled; nothing to do");
		return -ENOENT;
	}
	if (!networks_active(n))
		return last_failure;
	if (last_failure)
		warning_add("only %zu of %zu networks are up", networks_active(n), n_enabled);
	return 0;
}

size_t networks_count(const struct networks *n)
{
	return n->n;
}

size_t networks_active(const struct networks *n)
{
	size_t n_active = 0;

	for (size_t i = 0; i < n->n; i++)
		n_active += n->places[i]->slot.state == NETWORK_ACTIVE;
	return n_active;
}

const struct network_slot *networks_at(const struct networks *n, size_t i)
{
	return &n->places[i]->slot;
}

struct network_slot *networks_find(const struct networks *n, const char *name)
{
	for (size_t i = 0; i < n->n; i++)
		if (!strcmp(n->places[i]->slot.settings->name, name))
			return &n->places[i]->slot;
	return NULL;
}

int networks_connect(struct networks *n, struct network_slot *slot)
{
	return slot->state == NETWORK_ACTIVE ? -EALREADY : start(n, slot);
}

int networks_disconnect(struct network_slot *slot)
{
	if (slot->state != NETWORK_ACTIVE)
		return -EALREADY;
	stop(slot);
	return 0;
}

int networks_failure_fd(const struct networks *n)
{
	return n->event_fd;
}

void networks_handle_failures(struct networks *n)
{
	eventfd_t count;

	/* A network that failed while it was started may have written as well. */
	eventfd_read(n->event_fd, &count);
	for (size_t i = 0; i < n->n; i++) {
		struct place *place = n->places[i];
		struct network_slot *slot = &place->slot;

		if (slot->state != NETWORK_ACTIVE ||
		    !atomic_load_explicit(&place->has_failed, memory_order_acquire))
			continue;
		log_error("network %s: %s", slot->settings->name, place->last_words);
		stop(slot);
		set_state(slot, NETWORK_ERROR, place->last_words);
	}
}
