/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/config_draft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "core/config_grammar.h"
#include "core/paths.h"
#include "crypto/aead.h"
#include "crypto/keys.h"

/* With profile = small. */
#define SMALL_SEND_BUFFER (256 << 10)

static const struct section_kind *find_kind(const char *name)
{
	for (const struct section_kind *k = section_kinds; k->kind; k++)
		if (!strcmp(k->kind, name))
			return k;
	return NULL;
}

static const struct config_key *find_key(const struct config_key *keys, const char *name)
{
	for (const struct config_key *k = keys; k->name; k++)
		if (!strcmp(k->name, name) || (k->alias && !strcmp(k->alias, name)))
			return k;
	return NULL;
}

/* A key pasted onto a line of its own could end up as the name of an INI key, with its '='. */
static void report_unknown_key(const struct config_section *s, const struct config_entry *e,
			       const struct config_key *keys, struct config_errors *errors)
{
	char allowed[512] = "";
	size_t len = 0;

	for (const struct config_key *k = keys; k->name; k++)
		len += (size_t)snprintf(allowed + len, sizeof(allowed) - len, "%s%s",
					k == keys ? "" : ", ", k->name);
	if (value_is_key_like(e->key))
		config_errors_add(errors, e->line,
				  "%s what looks like a key (not shown) stands alone, allowed: %s",
				  s->label, allowed);
	else
		config_errors_add(errors, e->line, "%s %s: unknown key, allowed: %s", s->label,
				  e->key, allowed);
}

/* 0, whatever `errors` got, or -ENOMEM. */
static int read_entry(const struct config_section *s, struct config_entry *e,
		      const struct section_kind *kind, void *target, struct config_errors *errors)
{
	const struct config_key *key = find_key(kind->keys, e->key);
	const struct config_entry *earlier;
	struct value v;
	int r;

	if (!key) {
		report_unknown_key(s, e, kind->keys, errors);
		return 0;
	}
	earlier = config_section_find(s, key->name);
	if (earlier && !key->is_list) {
		config_errors_add(errors, e->line, "%s %s: given twice, first in line %d", s->label,
				  e->key, earlier->line);
		return 0;
	}
	e->known_as = key->name;
	if (!*e->value) {
		config_errors_add(errors, e->line, "%s %s: empty, a value must follow the '='",
				  s->label, e->key);
		return 0;
	}

	v = (struct value){.key = key->name,
			   .text = e->value,
			   .min = key->min,
			   .max = key->max,
			   .choices = key->choices};
	r = key->parse(&v, (char *)target + key->offset);
	e->is_valid = r == 0;
	if (r == -EINVAL)
		config_errors_add(errors, e->line, "%s %s: %s", s->label, e->key, v.why);
	return r == -ENOMEM ? r : 0;
}

/* True if the section's name is as its kind asks. */
static bool check_name(const struct config_section *s, const struct section_kind *kind,
		       struct config_errors *errors)
{
	size_t len = strlen(s->name);

	if (kind->naming == NAME_REFUSED && len)
		config_errors_add(errors, s->line, "%s takes no name, allowed: [%s]", s->label,
				  kind->kind);
	else if (kind->naming == NAME_REQUIRED && !len)
		config_errors_add(errors, s->line, "%s needs a name, allowed: [%s NAME]", s->label,
				  kind->kind);
	else if (kind->naming == NAME_NETWORK && len && !network_name_is_valid(s->name))
		config_errors_add(errors, s->line,
				  "%s has a bad name, allowed: 1..%zu characters of A-Z, a-z, "
				  "0-9, '_', '.' and '-'",
				  s->label, kind->name_len_max);
	else if (len > kind->name_len_max)
		config_errors_add(errors, s->line, "%s has too long a name, allowed: 1..%zu bytes",
				  s->label, kind->name_len_max);
	else
		return true;
	return false;
}

static int read_section(struct config_draft *d, struct config_section *s,
			struct config_errors *errors)
{
	const struct section_kind *kind = find_kind(s->kind);
	void *target;

	if (!kind) {
		config_errors_add(errors, s->line,
				  "%s: unknown section, allowed: [daemon], [network], "
				  "[network NAME], [wireguard], [wireguard NAME], [link NAME], "
				  "[peer NAME], [rule NAME]",
				  s->label);
		return 0;
	}
	if (!check_name(s, kind, errors))
		return 0;
	if (s->repeats >= 0) {
		config_errors_add(errors, s->line, "%s: given twice, first in line %d", s->label,
				  s->repeats);
		return 0;
	}

	target = kind->open(d, s);
	for (size_t i = 0; i < s->n_entries; i++) {
		int r = read_entry(s, &s->entries[i], kind, target, errors);

		if (r < 0)
			return r;
	}
	return 0;
}

static int find_repeated(const struct config_ini *ini)
{
	struct config_section **sorted = sections_sort(ini);
	struct config_section *first = NULL;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < ini->n_sections; i++) {
		bool is_first = !first || section_compare(first, sorted[i]) != 0;

		if (is_first)
			first = sorted[i];
		sorted[i]->repeats = is_first ? -1 : first->line;
	}
	free(sorted);
	return 0;
}

static int read_sections(struct config_draft *d, struct config_ini *ini,
			 struct config_errors *errors)
{
	int r = find_repeated(ini);

	for (size_t i = 0; r == 0 && i < ini->n_sections; i++)
		r = read_section(d, &ini->sections[i], errors);
	return r;
}

static void fill(uint32_t *size, uint32_t standard)
{
	if (!*size)
		*size = standard;
}

/* What is not given follows the profile, whose section may be the last. */
static void fill_sizes(struct network_sizes *s, const struct network_sizes *profile)
{
	fill(&s->buffers, profile->buffers);
	fill(&s->queue_buffers, s->buffers * 3 / 5);
	fill(&s->reorder_packets, profile->reorder_packets);
	fill(&s->repair_buffer, profile->repair_buffer);
	fill(&s->handshake_queue, profile->handshake_queue);
	fill(&s->event_queue, profile->event_queue);
	fill(&s->link.receive_batch, profile->link.receive_batch);
	fill(&s->link.queue, profile->link.queue);
}

static void apply_profile(struct config_draft *d)
{
	bool is_small = d->daemon.is_small;

	for (size_t i = 0; i < d->n_networks; i++) {
		struct network_settings *n = &d->networks[i].settings;

		fill_sizes(&n->sizes, is_small ? &network_sizes_small : &network_sizes_normal);
		if (is_small)
			fill(&n->queues, 1);
	}
	for (size_t i = 0; i < d->n_links; i++) {
		struct link_settings *l = &d->links[i].settings;

		fill(&l->receive_buffer, LINK_RECEIVE_BUFFER);
		fill(&l->send_buffer, is_small ? SMALL_SEND_BUFFER : LINK_SEND_BUFFER);
	}
	if (is_small && !strcmp(d->daemon.aead, AEAD_AUTO))
		d->daemon.aead = AEAD_SMALL;
}

/* They are large, and few where there are many sections. */
static size_t count_rules(const struct config_ini *ini)
{
	size_t n = 0;

	for (size_t i = 0; i < ini->n_sections; i++)
		n += !strcmp(ini->sections[i].kind, "rule");
	return n;
}

int config_draft_init(struct config_draft *ret, struct config_ini *ini,
		      struct config_errors *errors)
{
	struct config_draft d = {
		.networks = calloc(ini->n_sections + 1, sizeof(*d.networks)),
		.links = calloc(ini->n_sections + 1, sizeof(*d.links)),
		.peers = calloc(ini->n_sections + 1, sizeof(*d.peers)),
		.rules = calloc(count_rules(ini) + 1, sizeof(*d.rules)),
		.daemon = {.control_socket = RUN_DIR "/vtrunkd.sock",
			   .state_dir = STATE_DIR,
			   .is_sandboxed = true,
			   .restarts = true,
			   .restart_limit = 5,
			   .log_level = LOG_INFO,
			   .aead = AEAD_AUTO},
	};
	int r = -ENOMEM;

	if (d.networks && d.links && d.peers && d.rules)
		r = read_sections(&d, ini, errors);
	if (r == 0)
		apply_profile(&d);
	if (r < 0) {
		config_draft_deinit(&d);
		return r;
	}
	*ret = d;
	return 0;
}

void config_draft_deinit(struct config_draft *d)
{
	for (size_t i = 0; i < d->n_networks; i++) {
		free(d->networks[i].settings.addresses);
		peer_settings_deinit(&d->networks[i].peer);
	}
	for (size_t i = 0; i < d->n_peers; i++)
		peer_settings_deinit(&d->peers[i].settings);
	keys_wipe(d->networks, d->n_networks * sizeof(*d->networks));
	free(d->networks);
	free(d->links);
	free(d->peers);
	free(d->rules);
	*d = (struct config_draft){0};
}

bool network_draft_is_single(const struct network_draft *n)
{
	return config_section_has(n->wireguard, "peer_public_key");
}
