/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/config_store.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/config_edit.h"
#include "core/config_grammar.h"
#include "core/key_file.h"
#include "crypto/keys.h"
#include "util/log.h"
#include "util/warnings.h"

void config_store_init(struct config_store *s, const char *path)
{
	*s = (struct config_store){.path = path, .hooks.fd = -1};
}

void config_store_end_hooks(struct config_store *s)
{
	hooks_end(&s->hooks);
}

void config_store_forget(struct config_store *s)
{
	config_deinit(&s->config);
	config_deinit(&s->next);
}

/* A file in memory with that text behind a letter. */
static int memory_file(int *ret_fd, char letter, const char *text, size_t len)
{
	int fd = memfd_create("vtrunkd", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, &letter, 1) != 1 || write(fd, text, len) != (ssize_t)len ||
	    lseek(fd, 0, SEEK_SET) < 0) {
		close(fd);
		return -EIO;
	}
	*ret_fd = fd;
	return 0;
}

static int tell_errors(const struct config_errors *errors, int *ret_fd)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int r;

	if (!out)
		return -ENOMEM;
	config_errors_print(errors, out);
	fclose(out);
	r = memory_file(ret_fd, 'E', text, len);
	free(text);
	return r;
}

int config_store_read(struct config_store *s, int *ret_fd)
{
	struct config_errors errors = {0};
	struct buffer text = {0};
	int r;

	config_deinit(&s->next);
	r = config_read(&s->next, s->path, &errors);
	if (r < 0) {
		r = tell_errors(&errors, ret_fd);
		config_errors_deinit(&errors);
		return r;
	}
	config_errors_deinit(&errors);
	r = config_edit_write(&s->next.ini, &text);
	if (r == 0)
		r = memory_file(ret_fd, 'C', text.data, text.len);
	if (text.data)
		keys_wipe(text.data, text.room);
	buffer_deinit(&text);
	return r;
}

int config_store_keep(struct config_store *s)
{
	if (!s->next.n_networks)
		return -EINVAL;
	config_deinit(&s->config);
	s->config = s->next;
	s->next = (struct config){0};
	return 0;
}

static const struct network_hooks *find_hooks(const struct config_store *s, const char *network)
{
	const struct network_settings *n = config_find_network(&s->config, network);

	return n ? &s->config.hooks[n - s->config.networks] : NULL;
}

/* An engine that is started again begins with it. */
static int put_key(struct config *c, const char *network, const uint8_t key[32])
{
	char text[KEY_BASE64_LEN + 1];
	struct config_entry *e = NULL;
	int r = -ENOENT;

	for (size_t i = 0; i < c->ini.n_sections; i++) {
		struct config_section *s = &c->ini.sections[i];

		if (strcmp(s->kind, "wireguard") != 0 ||
		    strcmp(section_network_name(s), network) != 0)
			continue;
		for (size_t k = 0; k < s->n_entries; k++)
			if (!strcmp(s->entries[k].known_as, "private_key"))
				e = &s->entries[k];
	}
	keys_to_base64(text, key);
	if (e)
		r = config_entry_replace(e, "private_key", text);
	keys_wipe(text, sizeof(text));
	for (size_t i = 0; r == 0 && i < c->n_networks; i++)
		if (!strcmp(c->networks[i].name, network))
			memcpy(c->networks[i].private_key, key, KEY_LEN);
	return r;
}

int config_store_next_key(struct config_store *s, const struct broker_key *q, uint8_t ret_key[32])
{
	const struct network_hooks *own = find_hooks(s, q->network);
	uint8_t key[KEY_LEN];
	int r;

	if (!own || !*own->key_file)
		return -ENODATA;
	r = key_file_next(own->key_file, q->step == BROKER_KEY_MAKE, key);
	if (r == 0 && q->step == BROKER_KEY_TAKE)
		r = key_file_take_next(own->key_file);
	if (r == 0 && q->step == BROKER_KEY_TAKE)
		r = put_key(&s->config, q->network, key);
	if (r == 0)
		memcpy(ret_key, key, KEY_LEN);
	keys_wipe(key, sizeof(key));
	return r;
}

/* "link" becomes VTRUNKD_LINK. */
static void set_variable(struct hook *h, const char *key, const char *value)
{
	char name[64];

	snprintf(name, sizeof(name), "VTRUNKD_%s", key);
	for (char *c = name; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	hook_set(h, name, value);
}

static void set_variables(struct hook *h, const struct broker_hook *q,
			  const struct network_hooks *hooks)
{
	struct record fields = {.len = (uint16_t)q->event.len};
	struct record_field f;

	memcpy(fields.text, q->event.fields, q->event.len);
	set_variable(h, "event", q->event.name);
	for (size_t pos = 0; record_next(&fields, &pos, &f);)
		set_variable(h, f.key, f.value);
	if (*hooks->dns)
		set_variable(h, "dns", hooks->dns);
}

static void forget_secrets(void *ctx)
{
	config_store_forget(ctx);
}

/* A program that is not there when it is needed is better told now. */
static void check_hook(const char *network, const char *key, const char *path)
{
	if (*path && access(path, X_OK) < 0)
		warning_add("network %s: %s = %s: %s", network, key, path, strerror(errno));
}

void config_store_check_hooks(const struct config_store *s)
{
	static const char *const keys[] = {
#define X(key, event) #key,
		HOOK_KINDS(X)
#undef X
	};

	for (size_t i = 0; i < s->config.n_networks; i++)
		for (int k = 0; k < HOOK_KIND_COUNT; k++)
			check_hook(s->config.networks[i].name, keys[k],
				   s->config.hooks[i].paths[k]);
}

/* Their process may have been killed; then by another one. */
static int run_hook(struct config_store *s, const struct hook *h)
{
	int r = s->hooks.fd < 0 ? -EPIPE : hooks_run(&s->hooks, h);

	if (r != -EPIPE)
		return r;
	hooks_end(&s->hooks);
	r = hooks_start(forget_secrets, s, &s->hooks);
	return r < 0 ? r : hooks_run(&s->hooks, h);
}

int config_store_run_hook(struct config_store *s, const struct broker_hook *q)
{
	const struct network_hooks *hooks = find_hooks(s, q->network);
	struct hook h = {0};
	int r;

	if (!hooks || !*hooks->paths[q->hook])
		return -ENOENT;
	strcpy(h.path, hooks->paths[q->hook]);
	strcpy(h.event, q->event.name);
	set_variables(&h, q, hooks);
	r = run_hook(s, &h);
	if (r < 0)
		log_warn("hook %s (%s): not run: %s", h.path, h.event, strerror(-r));
	return r;
}

const struct daemon_settings *config_store_newest(const struct config_store *s)
{
	return s->next.n_networks ? &s->next.daemon : &s->config.daemon;
}

/* A configuration says `auto` for one of two. */
static bool is_table(uint32_t wanted, uint32_t table)
{
	if (wanted == ROUTE_TABLE_AUTO)
		return table == ROUTE_TABLE_MAIN || table == ROUTE_TABLE_TUNNEL;
	return table && wanted == table;
}

static bool config_has_table(const struct config *c, const char *interface, uint32_t table)
{
	for (size_t i = 0; i < c->n_networks; i++)
		if (!strcmp(c->networks[i].interface, interface))
			return is_table(c->networks[i].route_table, table);
	return false;
}

static bool config_has_uapi(const struct config *c, const char *interface)
{
	for (size_t i = 0; i < c->n_networks; i++)
		if (!strcmp(c->networks[i].interface, interface) && c->networks[i].has_uapi)
			return true;
	return false;
}

bool config_store_has_uapi(const struct config_store *s, const char *interface)
{
	return config_has_uapi(&s->config, interface) || config_has_uapi(&s->next, interface);
}

bool config_store_has_network(const struct config_store *s, const char *name)
{
	return config_find_network(&s->config, name) || config_find_network(&s->next, name);
}

static bool config_has_peer(const struct config *c, const char *network,
			    const uint8_t public_key[KEY_LEN])
{
	const struct network_settings *n = config_find_network(c, network);

	for (size_t i = 0; n && i < n->n_peers; i++)
		if (!memcmp(n->peers[i].public_key, public_key, KEY_LEN))
			return true;
	return false;
}

bool config_store_has_peer(const struct config_store *s, const char *network,
			   const uint8_t public_key[KEY_LEN])
{
	return config_has_peer(&s->config, network, public_key) ||
	       config_has_peer(&s->next, network, public_key);
}

/* The configured one, or, where that is taken, another one of its subnet. */
static bool is_address(const struct interface_address *wanted, const struct prefix *address,
		       const struct prefix *destination)
{
	return wanted->prefix.len == address->len && prefix_covers(&wanted->prefix, address) &&
	       wanted->destination.family == destination->family &&
	       (!destination->family || prefix_equal(&wanted->destination, destination));
}

static bool config_has_address(const struct config *c, const char *interface,
			       const struct prefix *address, const struct prefix *destination)
{
	for (size_t i = 0; i < c->n_networks; i++) {
		const struct network_settings *n = &c->networks[i];

		for (size_t j = 0; j < n->n_addresses; j++)
			if (!strcmp(n->interface, interface) &&
			    is_address(&n->addresses[j], address, destination))
				return true;
	}
	return false;
}

bool config_store_may_have_address(const struct config_store *s, const char *interface,
				   const struct prefix *address, const struct prefix *destination)
{
	return config_has_address(&s->config, interface, address, destination) ||
	       config_has_address(&s->next, interface, address, destination);
}

bool config_store_may_route(const struct config_store *s, const char *interface, uint32_t table)
{
	return config_has_table(&s->config, interface, table) ||
	       config_has_table(&s->next, interface, table);
}
