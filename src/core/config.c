/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * From file to settings in four steps: the text as sections and entries (config_ini.c), these
 * as values in drafts (config_draft.c, after the grammar of config_grammar.c), the drafts
 * checked against each other (config_check.c), and, if there was no error at all, assembled
 * here.
 */
#include "core/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/config_check.h"
#include "core/config_draft.h"
#include "core/config_file.h"
#include "core/config_secret.h"
#include "core/config_show.h"
#include "crypto/keys.h"

/* Inline keys may be read by the group, so that an unprivileged daemon can. */
#define FILE_MODE_MOST 0640

static void complete_addresses(struct network_draft *n)
{
	struct network_settings *set = &n->settings;

	if (n->netmask_len)
		set->addresses[n->plain_ipv4].prefix.len = n->netmask_len;
	n->netmask_len = 0;
	for (size_t i = 0; i < set->n_addresses; i++)
		if (set->addresses[i].prefix.family == n->destination.family)
			set->addresses[i].destination = n->destination;
}

/* The single-peer form: what comes through the tunnel is from that peer, so all is allowed. */
static int complete_single_peer(struct peer_settings *p)
{
	if (p->n_allowed_ips)
		return 0;
	p->allowed_ips = calloc(2, sizeof(*p->allowed_ips));
	if (!p->allowed_ips)
		return -ENOMEM;
	p->allowed_ips[0].family = AF_INET;
	p->allowed_ips[1].family = AF_INET6;
	p->n_allowed_ips = 2;
	return 0;
}

/* What follows from what is given; of a draft that is sound. */
static int complete(struct config_draft *d)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < d->n_networks; i++) {
		complete_addresses(&d->networks[i]);
		if (network_draft_is_single(&d->networks[i]))
			r = complete_single_peer(&d->networks[i].peer);
	}
	return r;
}

/* Moves a peer, and with it what it points to. */
static void move_peer(struct network_settings *to, struct peer_settings *from)
{
	to->peers[to->n_peers++] = *from;
	*from = (struct peer_settings){0};
}

static int assemble_network(struct network_settings *to, struct config_draft *d,
			    struct network_draft *n)
{
	*to = n->settings;
	n->settings.addresses = NULL;
	to->links = calloc(n->n_links + 1, sizeof(*to->links));
	to->peers = calloc(n->n_peers + 1, sizeof(*to->peers));
	to->rules = calloc(n->n_rules + 1, sizeof(*to->rules));
	if (!to->links || !to->peers || !to->rules)
		return -ENOMEM;
	for (size_t i = 0; i < d->n_rules; i++)
		if (d->rules[i].network == n)
			to->rules[to->n_rules++] = d->rules[i].settings;
	for (size_t i = 0; i < d->n_links; i++)
		if (d->links[i].network == n && d->links[i].is_enabled)
			to->links[to->n_links++] = d->links[i].settings;
	for (size_t i = 0; i < d->n_peers; i++)
		if (d->peers[i].network == n)
			move_peer(to, &d->peers[i].settings);
	if (network_draft_is_single(n))
		move_peer(to, &n->peer);
	return 0;
}

static int assemble(struct config *ret, struct config_draft *d)
{
	struct config c = {.daemon = d->daemon};
	int r = 0;

	c.networks = calloc(d->n_networks, sizeof(*c.networks));
	c.hooks = calloc(d->n_networks, sizeof(*c.hooks));
	if (!c.networks || !c.hooks) {
		config_deinit(&c);
		return -ENOMEM;
	}
	for (size_t i = 0; i < d->n_networks && !r; i++) {
		c.hooks[i] = d->networks[i].hooks;
		r = assemble_network(&c.networks[c.n_networks++], d, &d->networks[i]);
	}
	if (r < 0) {
		config_deinit(&c);
		return r;
	}
	*ret = c;
	return 0;
}

/* The first key that is in the file itself; NULL: there is none. */
static const struct config_entry *find_inline_key(const struct config_ini *ini,
						  const struct config_section **ret_section)
{
	static const char *const secrets[] = {"private_key", "preshared_key"};

	for (size_t i = 0; i < ini->n_sections; i++) {
		for (size_t k = 0; k < 2; k++) {
			const struct config_entry *e =
				config_section_find(&ini->sections[i], secrets[k]);

			if (!e || !e->is_valid)
				continue;
			*ret_section = &ini->sections[i];
			return e;
		}
	}
	return NULL;
}

/*
 * Who can change the file can have hooks run with the daemon's rights; and with a key in it, it
 * must not be open to others. `st` is NULL where there is no file.
 */
static void check_file(const struct config_ini *ini, const struct stat *st,
		       struct config_errors *errors)
{
	const struct config_section *s;
	const struct config_entry *key = find_inline_key(ini, &s);
	struct value v;

	if (!st)
		return;
	if (key && secret_check_file(&v, st, FILE_MODE_MOST, errors->file) < 0)
		config_errors_add(errors, key->line, "%s %s: %s", s->label, key->key, v.why);
	else if (S_ISREG(st->st_mode) && (secret_check_writers(&v, st, errors->file) < 0 ||
					  secret_check_place(&v, errors->file) < 0))
		config_errors_add(errors, 0, "%s", v.why);
}

static int read_draft(struct config_draft *ret, struct config_ini *ini, const struct stat *st,
		      struct config_errors *errors)
{
	int r = config_draft_init(ret, ini, errors);

	if (r < 0)
		return r;
	check_file(ini, st, errors);
	r = config_check(ret, errors);
	if (!r && config_errors_any(errors))
		r = -EINVAL;
	if (!r)
		r = complete(ret);
	if (r < 0)
		config_draft_deinit(ret);
	return r;
}

static int parse_draft(struct config *ret, struct config_ini *ini, const struct stat *st,
		       struct config_errors *errors)
{
	struct config_draft draft;
	int r = read_draft(&draft, ini, st, errors);

	if (r < 0)
		return r;
	r = assemble(ret, &draft);
	config_draft_deinit(&draft);
	return r;
}

/* The file's content in the place of its path, so that it can be read where there are no files. */
static int inline_secret(struct config_section *s, struct config_entry *e,
			 struct config_errors *errors)
{
	const char *key = strcmp(e->known_as, "private_key_file") ? "preshared_key" : "private_key";
	struct value v = {.key = e->known_as, .text = e->value};
	char text[KEY_BASE64_LEN + 1];
	uint8_t bytes[KEY_LEN];
	int r = value_key_file(&v, bytes);

	if (r == -EINVAL)
		config_errors_add(errors, e->line, "%s %s: %s", s->label, e->key, v.why);
	if (r < 0)
		return r;
	keys_to_base64(text, bytes);
	r = config_entry_replace(e, key, text);
	e->known_as = key;
	keys_wipe(text, sizeof(text));
	keys_wipe(bytes, sizeof(bytes));
	return r;
}

static bool is_key_file(const struct config_entry *e)
{
	return e->known_as && (!strcmp(e->known_as, "private_key_file") ||
			       !strcmp(e->known_as, "preshared_key_file"));
}

/* `ini` is the configuration's from now on, if it succeeds. */
static int keep_ini(struct config *ret, struct config_ini *ini, struct config_errors *errors)
{
	int r = 0;

	for (size_t i = 0; !r && i < ini->n_sections; i++) {
		struct config_section *s = &ini->sections[i];

		for (size_t k = 0; !r && k < s->n_entries; k++)
			if (is_key_file(&s->entries[k]))
				r = inline_secret(s, &s->entries[k], errors);
	}
	if (r < 0)
		config_deinit(ret);
	else
		ret->ini = *ini;
	return r;
}

static int from_ini(struct config *ret, struct config_ini *ini, const struct stat *st,
		    struct config_errors *errors)
{
	int r = parse_draft(ret, ini, st, errors);

	if (!r)
		r = keep_ini(ret, ini, errors);
	if (r < 0)
		config_ini_deinit(ini);
	return r;
}

static int parse(void *ret, char *text, size_t len, const struct stat *st,
		 struct config_errors *errors)
{
	struct config_ini ini;
	int r = config_ini_parse(&ini, text, len, errors);

	return r < 0 ? r : from_ini(ret, &ini, st, errors);
}

int config_from_ini(struct config *ret, struct config_ini *ini, struct config_errors *errors)
{
	return from_ini(ret, ini, NULL, errors);
}

int config_parse(struct config *ret, char *text, size_t len, struct config_errors *errors)
{
	int r = parse(ret, text, len, NULL, errors);

	if (r == -ENOMEM)
		config_errors_add(errors, 0, "%s", strerror(ENOMEM));
	return r;
}

int config_read(struct config *ret, const char *path, struct config_errors *errors)
{
	return config_file_read(path, parse, ret, errors);
}

static int show(void *out, char *text, size_t len, const struct stat *st,
		struct config_errors *errors)
{
	struct config_draft draft;
	struct config_ini ini;
	int r = config_ini_parse(&ini, text, len, errors);

	if (r < 0)
		return r;
	r = read_draft(&draft, &ini, st, errors);
	if (r == 0) {
		config_show(out, &draft);
		config_draft_deinit(&draft);
	}
	config_ini_deinit(&ini);
	return r;
}

int config_print(FILE *out, const char *path, struct config_errors *errors)
{
	return config_file_read(path, show, out, errors);
}

const struct network_settings *config_find_network(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_networks; i++)
		if (!strcmp(c->networks[i].name, name))
			return &c->networks[i];
	return NULL;
}

void config_deinit(struct config *c)
{
	for (size_t i = 0; i < c->n_networks; i++)
		network_settings_deinit(&c->networks[i]);
	free(c->networks);
	free(c->hooks);
	config_ini_deinit(&c->ini);
	*c = (struct config){0};
}
