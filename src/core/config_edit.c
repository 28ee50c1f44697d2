/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/config_edit.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

static int put(struct buffer *out, const char *text)
{
	return buffer_append(out, text, strlen(text));
}

static int put_entry(struct buffer *out, const struct config_entry *e)
{
	int r = put(out, e->key);

	if (!r)
		r = put(out, " = ");
	if (!r)
		r = put(out, e->value);
	return r ? r : put(out, "\n");
}

static int put_section(struct buffer *out, const struct config_section *s)
{
	int r = put(out, "[");

	if (!r)
		r = put(out, s->kind);
	if (!r && *s->name)
		r = put(out, " ");
	if (!r)
		r = put(out, s->name);
	if (!r)
		r = put(out, "]\n");
	for (size_t i = 0; !r && i < s->n_entries; i++)
		r = put_entry(out, &s->entries[i]);
	return r;
}

int config_edit_write(const struct config_ini *ini, struct buffer *out)
{
	int r = 0;

	for (size_t i = 0; !r && i < ini->n_sections; i++)
		r = put_section(out, &ini->sections[i]);
	return r;
}

struct config_section *config_edit_find(struct config_ini *ini, const char *kind, const char *name)
{
	for (size_t i = 0; i < ini->n_sections; i++)
		if (!strcmp(ini->sections[i].kind, kind) && !strcmp(ini->sections[i].name, name))
			return &ini->sections[i];
	return NULL;
}

/* Would it come back as it is? Blanks at its ends, and what begins a comment, would not. */
static bool is_writable(const char *text, const char *forbidden)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if (iscntrl((unsigned char)text[i]))
			return false;
	return !strpbrk(text, forbidden) && (!len || (!isspace((unsigned char)text[0]) &&
						      !isspace((unsigned char)text[len - 1])));
}

int config_edit_add(struct config_ini *ini, const char *kind, const char *name,
		    struct config_section **ret)
{
	if (!*name || !is_writable(name, "]"))
		return -EINVAL;
	if (config_edit_find(ini, kind, name))
		return -EEXIST;
	return config_ini_add_section(ini, kind, name, ret);
}

void config_edit_remove(struct config_ini *ini, struct config_section *s)
{
	size_t after = (size_t)(ini->sections + ini->n_sections - s) - 1;

	config_section_deinit(s);
	memmove(s, s + 1, after * sizeof(*s));
	ini->n_sections--;
}

static bool is_key(const struct config_entry *e, const char *key)
{
	return !strcmp(e->key, key) || (e->known_as && !strcmp(e->known_as, key));
}

int config_edit_set(struct config_section *s, const char *key, const char *value)
{
	size_t n = 0;

	if (!*key || !is_writable(key, "=:[]#; ") || !is_writable(value, ";#"))
		return -EINVAL;
	for (size_t i = 0; i < s->n_entries; i++) {
		if (is_key(&s->entries[i], key))
			config_entry_deinit(&s->entries[i]);
		else
			s->entries[n++] = s->entries[i];
	}
	s->n_entries = n;
	return *value ? config_ini_add_entry(s, key, value) : 0;
}
