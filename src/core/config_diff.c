/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/config_diff.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_grammar.h"

/* What a network that runs takes; a NULL key stands for all, and for the section as a whole. */
static const struct {
	const char *section, *key;
} hot[] = {
	{"daemon", "log_level"},
	{"daemon", "metrics_socket"},
	{"daemon", "metrics_listen"},
	{"daemon", "fail_on_init_warnings"}, /* at the next start */
	{"network", "enabled"},
	{"network", "uapi"},
	{"network", "address"},
	{"network", "address_collision"},
	{"network", "netmask"},
	{"network", "destination"},
	{"network", "mtu"},
	{"network", "mss_clamp"},
	{"network", "carrier"},
	{"network", "table"},
	{"network", "metric"},
	{"wireguard", "private_key"},
	{"wireguard", "peer_public_key"},
	{"wireguard", "preshared_key"},
	{"wireguard", "allowed_ips"},
	{"wireguard", "persistent_keepalive"},
	{"wireguard", "multilink"},
	{"wireguard", "bonding_mode"},
	{"wireguard", "scheduler"},
	{"wireguard", "max_spread_ms"},
	{"wireguard", "error_backoff_secs"},
	{"wireguard", "resolve_interval_secs"},
	{"wireguard", "health_check_interval_ms"},
	{"wireguard", "health_check_backup_interval_ms"},
	{"wireguard", "health_check_timeout_ms"},
	{"wireguard", "health_check_down"},
	{"wireguard", "health_check_up"},
	{"wireguard", "failure_loss"},
	{"wireguard", "recovery_loss"},
	{"wireguard", "failure_latency_ms"},
	{"wireguard", "recovery_latency_ms"},
	{"wireguard", "flap_hold_max_secs"},
	{"link", NULL},
	{"peer", NULL},
	{"rule", NULL},
};

/* Of what a NULL key stands for, what a link cannot change while it lives. */
static bool is_cold(const struct config_difference *d)
{
	return d->kind == DIFFERENCE_CHANGED && d->key && !strcmp(d->section->kind, "link") &&
	       !strcmp(d->key, "workers");
}

/* Hooks are the supervisor's, which takes over the new configuration as well. */
static bool is_hook(const struct config_difference *d)
{
	static const char *const keys[] = {
#define X(key, event) #key,
		HOOK_KINDS(X)
#undef X
			"dns",
	};

	for (size_t i = 0; d->key && i < sizeof(keys) / sizeof(*keys); i++)
		if (!strcmp(d->section->kind, "network") && !strcmp(d->key, keys[i]))
			return true;
	return false;
}

bool difference_is_hot(const struct config_difference *d)
{
	if (is_hook(d))
		return true;
	if (is_cold(d))
		return false;
	for (size_t i = 0; i < sizeof(hot) / sizeof(*hot); i++) {
		if (strcmp(hot[i].section, d->section->kind) != 0)
			continue;
		if (!hot[i].key || (d->key && !strcmp(hot[i].key, d->key)))
			return true;
	}
	return false;
}

/* The network that a section belongs to. */
static const char *network_of(const struct config *c, const struct config_section *s)
{
	const struct config_entry *named = config_section_find(s, "network");

	if (section_is_of_network(s))
		return section_network_name(s);
	if (!strcmp(s->kind, "daemon"))
		return "";
	return named ? named->value : c->networks[0].name;
}

/* The next entry of that key from *i on; NULL if there is none. */
static const struct config_entry *next_entry(const struct config_section *s, const char *key,
					     size_t *i)
{
	while (*i < s->n_entries) {
		const struct config_entry *e = &s->entries[(*i)++];

		if (!strcmp(e->known_as, key))
			return e;
	}
	return NULL;
}

static bool has_same_values(const struct config_section *a, const struct config_section *b,
			    const char *key)
{
	size_t i = 0, k = 0;

	for (;;) {
		const struct config_entry *x = next_entry(a, key, &i);
		const struct config_entry *y = next_entry(b, key, &k);

		if (!x || !y)
			return x == y;
		if (strcmp(x->value, y->value) != 0)
			return false;
	}
}

struct differ {
	const struct config *before, *after;
	struct config_diff diff;
	size_t room;
	int error;
};

static void add(struct differ *d, enum difference_kind kind, const struct config *c,
		const struct config_section *s, const char *key)
{
	struct config_difference *grown = d->diff.items;

	if (d->error)
		return;
	if (d->diff.n == d->room) {
		d->room = d->room ? 2 * d->room : 16;
		grown = reallocarray(grown, d->room, sizeof(*grown));
		if (!grown) {
			d->error = -ENOMEM;
			return;
		}
		d->diff.items = grown;
	}
	grown[d->diff.n] = (struct config_difference){.kind = kind, .section = s, .key = key};
	snprintf(grown[d->diff.n].network, sizeof(grown->network), "%s", network_of(c, s));
	d->diff.n++;
}

/* Each key that is not the same in both, or not there. `shown` is the section in messages. */
static void compare_sections(struct differ *d, const struct config_section *before,
			     const struct config_section *after, const struct config_section *shown)
{
	for (size_t i = 0; i < after->n_entries; i++) {
		const char *key = after->entries[i].known_as;

		if (config_section_find(after, key) != &after->entries[i])
			continue; /* a list that goes on */
		if (!has_same_values(before, after, key))
			add(d, DIFFERENCE_CHANGED, d->after, shown, key);
	}
	for (size_t i = 0; i < before->n_entries; i++) {
		const char *key = before->entries[i].known_as;

		if (config_section_find(before, key) == &before->entries[i] &&
		    !config_section_has(after, key))
			add(d, DIFFERENCE_CHANGED, d->after, shown, key);
	}
}

/*
 * A section that is a mere place for keys of what is there without it, such as [daemon], is the
 * same as an empty one.
 */
static bool is_mere_place(const struct config *other, const struct config_section *s)
{
	if (!strcmp(s->kind, "daemon"))
		return true;
	return section_is_of_network(s) && config_find_network(other, section_network_name(s));
}

/* The sections that there are now, then those that are gone; the others' come sorted. */
static void compare_all(struct differ *d, struct config_section **sorted_before,
			struct config_section **sorted_after)
{
	static const struct config_section empty;
	const struct config_ini *before = &d->before->ini;
	const struct config_ini *after = &d->after->ini;

	for (size_t i = 0; i < after->n_sections; i++) {
		const struct config_section *s = &after->sections[i];
		const struct config_section *old =
			sections_find(sorted_before, before->n_sections, s);

		if (old || is_mere_place(d->before, s))
			compare_sections(d, old ? old : &empty, s, s);
		else
			add(d, DIFFERENCE_ADDED, d->after, s, NULL);
	}
	for (size_t i = 0; i < before->n_sections; i++) {
		const struct config_section *s = &before->sections[i];

		if (sections_find(sorted_after, after->n_sections, s))
			continue;
		if (is_mere_place(d->after, s))
			compare_sections(d, s, &empty, s);
		else
			add(d, DIFFERENCE_REMOVED, d->before, s, NULL);
	}
}

int config_diff(const struct config *before, const struct config *after, struct config_diff *ret)
{
	struct differ d = {.before = before, .after = after};
	struct config_section **sorted_before = sections_sort(&before->ini);
	struct config_section **sorted_after = sections_sort(&after->ini);

	if (sorted_before && sorted_after)
		compare_all(&d, sorted_before, sorted_after);
	else
		d.error = -ENOMEM;
	free(sorted_before);
	free(sorted_after);
	if (d.error < 0) {
		config_diff_deinit(&d.diff);
		return d.error;
	}
	*ret = d.diff;
	return 0;
}

void config_diff_deinit(struct config_diff *d)
{
	free(d->items);
	*d = (struct config_diff){0};
}

void difference_describe(const struct config_difference *d, char *buf, size_t size)
{
	static const char *const words[] = {
		[DIFFERENCE_ADDED] = "added",
		[DIFFERENCE_REMOVED] = "removed",
		[DIFFERENCE_CHANGED] = "changed",
	};

	snprintf(buf, size, "%s%s%s %s", d->section->label, d->key ? " " : "", d->key ? d->key : "",
		 words[d->kind]);
}
