/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * inih splits "key = value" and takes comments off, but it is handed one line at a time:
 * given a whole file it tells no line numbers, says nothing of sections without keys, cuts
 * long lines and section names silently, and takes an indented key for the continuation of
 * the value before it.
 */
#include "core/config_ini.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keys.h"

_Static_assert(!INI_HANDLER_LINENO, "the handler here takes no line number");

/* inih's buffer must also hold a line end of two characters and a zero. */
#define LINE_LEN_MAX (INI_MAX_LINE - 3)

#define BLANKS " \t"

struct parser {
	struct config_ini *ini;
	struct config_errors *errors;
	struct config_section *section; /* NULL before the first, and within a refused one */
	bool is_in_refused;
	int line;
	bool has_pair; /* inih found a pair in this line */
	int error;
};

char *config_strip(char *text)
{
	char *end;

	text += strspn(text, BLANKS);
	end = text + strlen(text);
	while (end > text && strchr(BLANKS, end[-1]))
		end--;
	*end = '\0';
	return text;
}

/* To at least twice as many whenever their number is a power of two: also after some have gone. */
static void *grow(void *items, size_t n, size_t size)
{
	if (n & (n - 1))
		return items;
	return reallocarray(items, n ? n * 2 : 1, size);
}

static int section_append(struct config_ini *ini, const char *kind, const char *name, int line)
{
	struct config_section s = {.line = line};
	char label[CONFIG_LABEL_MAX];
	void *grown = grow(ini->sections, ini->n_sections, sizeof(s));

	if (!grown)
		return -ENOMEM;
	ini->sections = grown;
	s.kind = strdup(kind);
	s.name = strdup(name);
	snprintf(label, sizeof(label), "[%.40s%s%.80s]", kind, *name ? " " : "", name);
	s.label = strdup(label);
	if (!s.kind || !s.name || !s.label) {
		free(s.kind);
		free(s.name);
		free(s.label);
		return -ENOMEM;
	}
	ini->sections[ini->n_sections++] = s;
	return 0;
}

static int entry_append(struct config_section *s, const char *key, const char *value, int line)
{
	struct config_entry e = {.line = line};
	void *grown = grow(s->entries, s->n_entries, sizeof(e));

	if (!grown)
		return -ENOMEM;
	s->entries = grown;
	e.key = strdup(key);
	e.value = strdup(value);
	if (!e.key || !e.value) {
		free(e.key);
		free(e.value);
		return -ENOMEM;
	}
	s->entries[s->n_entries++] = e;
	return 0;
}

int config_ini_add_section(struct config_ini *ini, const char *kind, const char *name,
			   struct config_section **ret)
{
	int r;

	if (ini->n_sections == CONFIG_SECTIONS_MAX)
		return -ENOMEM;
	r = section_append(ini, kind, name, 0);
	if (r == 0)
		*ret = &ini->sections[ini->n_sections - 1];
	return r;
}

int config_ini_add_entry(struct config_section *s, const char *key, const char *value)
{
	return entry_append(s, key, value, s->line);
}

/* "[kind]" or "[kind name]", after which only a comment may follow. */
static int parse_section(struct parser *p, char *text)
{
	char *close = strchr(text, ']');
	char *kind;
	char *name;
	char *rest;
	int r;

	p->section = NULL;
	p->is_in_refused = true;
	if (!close) {
		config_errors_add(p->errors, p->line, "a section must end with ']'");
		return 0;
	}
	rest = close + 1 + strspn(close + 1, BLANKS);
	if (*rest && *rest != ';' && *rest != '#') {
		config_errors_add(p->errors, p->line, "only a comment may follow the ']'");
		return 0;
	}
	if (p->ini->n_sections == CONFIG_SECTIONS_MAX) {
		config_errors_add(p->errors, p->line, "too many sections, allowed: %d",
				  CONFIG_SECTIONS_MAX);
		return 0;
	}

	*close = '\0';
	kind = config_strip(text + 1);
	name = kind + strcspn(kind, BLANKS);
	if (*name)
		*name++ = '\0';
	r = section_append(p->ini, kind, config_strip(name), p->line);
	if (r < 0)
		return r;
	p->section = &p->ini->sections[p->ini->n_sections - 1];
	p->is_in_refused = false;
	return 0;
}

/* inih's handler: non-zero is success. */
static int take_pair(void *user, const char *section, const char *key, const char *value)
{
	struct parser *p = user;

	(void)section;
	if (!value || !*key)
		return 0;
	p->has_pair = true;
	if (p->section)
		p->error = entry_append(p->section, key, value, p->line);
	else if (!p->is_in_refused)
		config_errors_add(p->errors, p->line, "a key must follow a [section]");
	return 1;
}

static int parse_pair(struct parser *p, const char *text)
{
	p->has_pair = false;
	if (strlen(text) > LINE_LEN_MAX)
		config_errors_add(p->errors, p->line,
				  "the line is too long, allowed: %d characters "
				  "(a list may go on in a second line with the same key)",
				  LINE_LEN_MAX);
	else if (ini_parse_string(text, take_pair, p) != 0 || !p->has_pair)
		config_errors_add(p->errors, p->line,
				  "neither a comment, nor a [section], nor 'key = value'");
	return p->error;
}

/* `text` is one line without its end; `len` tells what a zero in it would hide. */
static int parse_line(struct parser *p, char *text, size_t len)
{
	if (len && text[len - 1] == '\r')
		text[--len] = '\0';
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (iscntrl(c) && c != '\t') {
			config_errors_add(p->errors, p->line, "a control character (0x%02x)", c);
			return 0;
		}
	}
	text = config_strip(text);
	if (!*text || *text == ';' || *text == '#')
		return 0;
	if (*text == '[')
		return parse_section(p, text);
	return parse_pair(p, text);
}

/* A byte order mark, which some editors put before everything. */
static size_t mark_len(const char *text, size_t len)
{
	return len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0;
}

int config_ini_parse(struct config_ini *ret, char *text, size_t len, struct config_errors *errors)
{
	struct config_ini ini = {0};
	struct parser p = {.ini = &ini, .errors = errors};
	size_t at = mark_len(text, len);

	while (at < len && !p.error) {
		char *line = text + at;
		char *end = memchr(line, '\n', len - at);
		size_t line_len = end ? (size_t)(end - line) : len - at;

		line[line_len] = '\0';
		p.line++;
		p.error = parse_line(&p, line, line_len);
		at += line_len + 1;
	}
	if (p.error) {
		config_ini_deinit(&ini);
		return p.error;
	}
	*ret = ini;
	return 0;
}

void config_entry_deinit(struct config_entry *e)
{
	keys_wipe(e->value, strlen(e->value));
	free(e->value);
	free(e->key);
}

void config_section_deinit(struct config_section *s)
{
	for (size_t i = 0; i < s->n_entries; i++)
		config_entry_deinit(&s->entries[i]);
	free(s->entries);
	free(s->kind);
	free(s->name);
	free(s->label);
}

void config_ini_deinit(struct config_ini *ini)
{
	for (size_t i = 0; i < ini->n_sections; i++)
		config_section_deinit(&ini->sections[i]);
	free(ini->sections);
	*ini = (struct config_ini){0};
}

const struct config_entry *config_section_find(const struct config_section *section,
					       const char *key)
{
	for (size_t i = 0; section && i < section->n_entries; i++) {
		const struct config_entry *e = &section->entries[i];

		if (e->known_as && !strcmp(e->known_as, key))
			return e;
	}
	return NULL;
}

bool config_section_has(const struct config_section *section, const char *key)
{
	return config_section_find(section, key);
}

bool config_section_is_bad(const struct config_section *section, const char *key)
{
	const struct config_entry *entry = config_section_find(section, key);

	return entry && !entry->is_valid;
}

int config_section_line(const struct config_section *section, const char *key)
{
	const struct config_entry *entry = config_section_find(section, key);

	if (entry)
		return entry->line;
	return section ? section->line : 0;
}

int config_entry_replace(struct config_entry *e, const char *key, const char *value)
{
	struct config_entry new = *e;

	new.key = strdup(key);
	new.value = strdup(value);
	if (!new.key || !new.value) {
		free(new.key);
		free(new.value);
		return -ENOMEM;
	}
	config_entry_deinit(e);
	*e = new;
	return 0;
}
