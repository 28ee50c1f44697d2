/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_check.h"
#include "core/config_diff.h"
#include "core/network_diff.h"
#include "util/log.h"

/* Everything of one reload. */
struct reload {
	struct networks *networks;
	struct exporters *exporters;
	struct config *current, *next;
	/* how each current network that goes on ran so far: wg(8) may have changed it; else NULL */
	struct network_settings **before;
	struct config_diff diff;
	struct control_reply *reply;
};

/* Does the network run, and is it to go on? */
static bool stays(const struct reload *l, const char *name)
{
	const struct network_slot *slot = networks_find(l->networks, name);
	const struct network_settings *after = config_find_network(l->next, name);

	return slot && slot->network && after && (after->is_enabled || !slot->settings->is_enabled);
}

static bool needs_restart(const struct reload *l, const struct config_difference *d)
{
	const struct network_slot *slot = networks_find(l->networks, d->network);

	if (*d->network && !stays(l, d->network))
		return false;
	/* The buffers of a running network have room for what was configured, and for Ethernet. */
	if (d->key && !strcmp(d->key, "mtu"))
		return config_find_network(l->next, d->network)->mtu >
		       network_mtu_most(slot->network);
	return !difference_is_hot(d);
}

/* Names all that needs a restart. */
static enum control_error refuse_cold(const struct reload *l)
{
	char text[sizeof(l->reply->message)] = "";
	char item[256];
	size_t len = 0;

	for (size_t i = 0; i < l->diff.n; i++) {
		const struct config_difference *d = &l->diff.items[i];

		if (!needs_restart(l, d))
			continue;
		difference_describe(d, item, sizeof(item));
		if (len + strlen(item) + 4 > sizeof(text) - 64)
			break;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len ? ", " : "",
					item);
	}
	return len ? control_fail(l->reply, CONTROL_config_error,
				  "needs a restart, and nothing was changed: %s", text)
		   : CONTROL_OK;
}

static struct network *running(const struct reload *l, size_t i)
{
	return networks_find(l->networks, l->current->networks[i].name)->network;
}

static int note_before(struct reload *l)
{
	int r = 0;

	l->before = calloc(l->current->n_networks + 1, sizeof(*l->before));
	if (!l->before)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < l->current->n_networks; i++) {
		if (stays(l, l->current->networks[i].name))
			r = network_settings_now(running(l, i), &l->before[i]);
	}
	return r;
}

static void forget_before(struct reload *l)
{
	for (size_t i = 0; l->before && i < l->current->n_networks; i++)
		network_settings_free(l->before[i]);
	free(l->before);
}

/* Makes the network what `to` says, from what `from` says. Where it fails, some may be done. */
static int change(struct network *n, const struct network_settings *from,
		  const struct network_settings *to)
{
	struct network_diff d;
	int r = network_diff(from, to, &d);

	if (r < 0)
		return r;
	r = network_reshape(n, to);
	if (r == 0)
		r = network_change(n, &d.change);
	if (r == 0 && d.has_tuning)
		r = network_tune(n, to);
	network_diff_deinit(&d);
	return r;
}

static int change_back(struct network *n, const struct network_settings *before)
{
	struct network_settings *now;
	int r = network_settings_now(n, &now);

	if (r < 0)
		return r;
	r = change(n, now, before);
	network_settings_free(now);
	return r;
}

/* The first `count` networks go back to what they were. */
static void change_all_back(const struct reload *l, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int r = l->before[i] ? change_back(running(l, i), l->before[i]) : 0;

		if (r < 0)
			log_error("network %s: cannot go back to what it was: %s",
				  l->current->networks[i].name, strerror(-r));
	}
}

static bool share_a_port(const struct network_settings *a, const struct network_settings *b)
{
	for (size_t i = 0; i < a->n_links; i++)
		for (size_t k = 0; k < b->n_links; k++)
			if (config_take_same_port(&a->links[i], &b->links[k]))
				return true;
	return false;
}

/* Another one that has now, while it runs, a port that this one is to have; NULL: none. */
static const struct network_settings *find_holder(const struct reload *l,
						  const struct network_settings *wanted)
{
	for (size_t i = 0; i < l->current->n_networks; i++) {
		const struct network_settings *other = &l->current->networks[i];

		if (strcmp(other->name, wanted->name) != 0 &&
		    networks_find(l->networks, other->name)->network && share_a_port(other, wanted))
			return other;
	}
	return NULL;
}

static enum control_error refuse_change(const struct reload *l,
					const struct network_settings *wanted, int error)
{
	const struct network_settings *holder =
		error == -EADDRINUSE ? find_holder(l, wanted) : NULL;

	if (holder)
		return control_fail(
			l->reply, CONTROL_platform_error,
			"network %s: a port that it is to have is still that of network "
			"%s: give that one another in a reload before; nothing was changed",
			wanted->name, holder->name);
	return control_fail(l->reply,
			    error == -ENOMEM ? CONTROL_internal_error : CONTROL_platform_error,
			    "network %s: %s; nothing was changed", wanted->name, strerror(-error));
}

static enum control_error change_all(const struct reload *l)
{
	for (size_t i = 0; i < l->current->n_networks; i++) {
		const struct network_settings *from = &l->current->networks[i];
		const struct network_settings *to = config_find_network(l->next, from->name);
		int r = l->before[i] ? change(running(l, i), from, to) : 0;

		if (r == 0)
			continue;
		change_all_back(l, i + 1);
		return refuse_change(l, to, r);
	}
	return CONTROL_OK;
}

/* Those that the older configuration wanted, and the newer one does not; or the other way. */
static void switch_all(const struct reload *l, bool to_enabled)
{
	for (size_t i = 0; i < l->next->n_networks; i++) {
		const struct network_settings *after = &l->next->networks[i];
		const struct network_settings *before =
			config_find_network(l->current, after->name);
		struct network_slot *slot = networks_find(l->networks, after->name);
		bool was_wanted = before && before->is_enabled;

		if (after->is_enabled != to_enabled || was_wanted == to_enabled)
			continue;
		if (to_enabled)
			networks_connect(l->networks, slot);
		else
			networks_disconnect(slot);
	}
}

/* What stops leaves its interface, its ports and addresses to what starts. */
static void start_and_stop(const struct reload *l)
{
	switch_all(l, false);
	switch_all(l, true);
}

static void list_changes(const struct reload *l)
{
	struct json_object *list = json_object_new_array();
	char item[256];

	for (size_t i = 0; i < l->diff.n; i++) {
		difference_describe(&l->diff.items[i], item, sizeof(item));
		log_notice("configuration: %s", item);
		json_object_array_add(list, json_object_new_string(item));
	}
	l->reply->data = json_object_new_object();
	json_object_object_add(l->reply->data, "changes", list);
}

static enum control_error apply(struct reload *l)
{
	enum control_error error = refuse_cold(l);
	int r;

	if (!error && note_before(l) < 0)
		error = control_fail(l->reply, CONTROL_internal_error, "%s", strerror(ENOMEM));
	if (!error)
		error = change_all(l);
	if (error)
		return error;
	r = exporters_prepare(l->exporters, &l->current->daemon, &l->next->daemon);
	if (r < 0) {
		change_all_back(l, l->current->n_networks);
		return control_fail(l->reply, CONTROL_platform_error,
				    "metrics: %s (the log has the details); nothing was changed",
				    strerror(-r));
	}
	if (networks_adopt(l->networks, l->next) < 0) {
		exporters_drop(l->exporters);
		change_all_back(l, l->current->n_networks);
		return control_fail(l->reply, CONTROL_internal_error, "%s", strerror(ENOMEM));
	}
	exporters_take(l->exporters);
	start_and_stop(l);
	if (l->next->daemon.log_level != l->current->daemon.log_level)
		log_set_level(l->next->daemon.log_level);
	list_changes(l);
	return CONTROL_OK;
}

enum control_error reload_apply(struct networks *networks, struct exporters *exporters,
				struct config *current, struct config *next,
				struct control_reply *reply)
{
	struct reload l = {.networks = networks,
			   .exporters = exporters,
			   .current = current,
			   .next = next,
			   .reply = reply};
	enum control_error error;

	if (config_diff(current, next, &l.diff) < 0)
		return control_fail(reply, CONTROL_internal_error, "%s", strerror(ENOMEM));
	error = apply(&l);
	forget_before(&l);
	config_diff_deinit(&l.diff);
	if (error)
		return error;
	config_deinit(current);
	*current = *next;
	*next = (struct config){0};
	return CONTROL_OK;
}
