/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The file's settings become sections and entries of ours that keep the lines they come from, and
 * are then checked as any configuration is: so a message about, say, a bad address names the
 * line of the file that the user has.
 */
#include "core/import.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "core/config_file.h"

/* So that a line of vtrunkd.conf holds it behind each key. */
#define VALUE_LEN_MAX 170

/* Places in the list of sections: what [Interface] becomes, and behind it the peers. */
enum { NETWORK, WIREGUARD, LINK, PEER };

struct parser {
	struct import *import;
	struct config_ini ini; /* what is taken over */
	struct config_errors *errors;
	struct config_section comments; /* that the next header or setting will place */
	bool has_interface;
	bool is_in_peer;
	bool is_in_section;
	bool has_table;
	int line;
};

struct import_key {
	const char *name; /* as wg-quick(8) has it */
	int section;
	const char *key;    /* ours */
	const char *advice; /* where there is none of ours */
	int (*take)(struct parser *p, const struct import_key *k, char *value);
};

static int add_section(struct parser *p, const char *kind, const char *name)
{
	struct config_section *taken;
	struct config_section *left;
	int r = config_ini_add_section(&p->ini, kind, name, &taken);

	if (r == 0)
		r = config_ini_add_section(&p->import->left, kind, name, &left);
	if (r == 0)
		taken->line = p->line;
	return r;
}

static int add_entry(struct config_section *s, const char *key, const char *value, int line)
{
	int r = config_ini_add_entry(s, key, value);

	if (r == 0)
		s->entries[s->n_entries - 1].line = line;
	return r;
}

static size_t section_of(const struct parser *p, const struct import_key *k)
{
	return k->section == PEER ? p->ini.n_sections - 1 : (size_t)k->section;
}

static int take_as(struct parser *p, const struct import_key *k, const char *value)
{
	if (strlen(value) > VALUE_LEN_MAX) {
		config_errors_add(p->errors, p->line, "%s: too long, allowed: %d characters",
				  k->name, VALUE_LEN_MAX);
		return 0;
	}
	if (strchr(value, ';')) {
		config_errors_add(p->errors, p->line, "%s: a ';' cannot be in a value", k->name);
		return 0;
	}
	return add_entry(&p->ini.sections[section_of(p, k)], k->key, value, p->line);
}

static int take(struct parser *p, const struct import_key *k, char *value)
{
	return take_as(p, k, value);
}

/* One line for each item, since lines of ours are short. */
static int take_list(struct parser *p, const struct import_key *k, char *value)
{
	int r = 0;

	while (!r && value) {
		char *item = config_strip(strsep(&value, ","));

		r = take_as(p, k, item);
	}
	return r;
}

static int take_mark(struct parser *p, const struct import_key *k, char *value)
{
	return take_as(p, k, strcasecmp(value, "off") ? value : "0");
}

static int take_table(struct parser *p, const struct import_key *k, char *value)
{
	p->has_table = true;
	if (!strcasecmp(value, "auto"))
		return take_as(p, k, "auto");
	return take_as(p, k, strcasecmp(value, "off") ? value : "off");
}

/* Kept with its value as a comment; the note has no value, which might be a secret. */
static int leave(struct parser *p, const struct import_key *k, char *value)
{
	config_errors_add(&p->import->notes, p->line, "%s: not taken over: %s", k->name, k->advice);
	return add_entry(&p->import->left.sections[section_of(p, k)], k->name, value, p->line);
}

/* Addresses of servers go to the hooks; wg-quick takes what is none for a search domain. */
static int take_dns(struct parser *p, const struct import_key *k, char *value)
{
	bool has_servers = false;
	int r = 0;

	while (!r && value) {
		char *item = config_strip(strsep(&value, ","));
		struct prefix address;
		bool is_server = !strchr(item, '/') && prefix_parse(&address, item) == 0;

		has_servers |= is_server;
		r = is_server ? take_as(p, k, item) : leave(p, k, item);
	}
	if (has_servers)
		config_errors_add(&p->import->notes, p->line,
				  "DNS: handed to hooks only, as VTRUNKD_DNS: name programs by "
				  "on_up and on_down that tell resolvconf or resolvectl");
	return r;
}

#define HOOK_ADVICE                                                                                \
	"hooks are programs, without a shell: put the command into a script, with "                \
	"$VTRUNKD_INTERFACE for %i, and name it by "

static const struct import_key keys[] = {
	{"Address", NETWORK, "address", NULL, take_list},
	{"DNS", NETWORK, "dns",
	 "search domains have no key: let the program named by on_up set them", take_dns},
	{"FwMark", LINK, "fwmark", NULL, take_mark},
	{"ListenPort", LINK, "port", NULL, take},
	{"MTU", NETWORK, "mtu", NULL, take},
	{"PostDown", NETWORK, NULL, HOOK_ADVICE "on_down in [network]", leave},
	{"PostUp", NETWORK, NULL, HOOK_ADVICE "on_up in [network]", leave},
	{"PreDown", NETWORK, NULL,
	 HOOK_ADVICE "on_down in [network]; that runs when the network has been stopped", leave},
	{"PreUp", NETWORK, NULL,
	 HOOK_ADVICE "on_up in [network], or run it before vtrunkd: no hook runs that early",
	 leave},
	{"PrivateKey", WIREGUARD, "private_key", NULL, take},
	{"SaveConfig", NETWORK, NULL,
	 "what wg changes is never written to the file: make lasting changes in it", leave},
	{"Table", NETWORK, "table", NULL, take_table},
	{"AllowedIPs", PEER, "allowed_ips", NULL, take_list},
	{"Endpoint", PEER, "endpoint", NULL, take},
	{"PersistentKeepalive", PEER, "persistent_keepalive", NULL, take},
	{"PresharedKey", PEER, "preshared_key", NULL, take},
	{"PublicKey", PEER, "public_key", NULL, take},
	{NULL},
};

static bool is_here(const struct parser *p, const struct import_key *k)
{
	return (k->section == PEER) == p->is_in_peer;
}

/* A key pasted onto a line of its own could end up as the name of a setting. */
static void report_unknown(struct parser *p, const char *name)
{
	char allowed[256] = "";
	size_t len = 0;

	for (const struct import_key *k = keys; k->name; k++)
		if (is_here(p, k))
			len += (size_t)snprintf(allowed + len, sizeof(allowed) - len, "%s%s",
						len ? ", " : "", k->name);
	config_errors_add(p->errors, p->line, "[%s] %.40s: unknown key, allowed: %s",
			  p->is_in_peer ? "Peer" : "Interface",
			  value_is_key_like(name) ? "(not shown)" : name, allowed);
}

static int place_comments(struct parser *p, size_t section)
{
	int r = 0;

	for (size_t i = 0; !r && i < p->comments.n_entries; i++)
		r = add_entry(&p->import->left.sections[section], "", p->comments.entries[i].value,
			      p->comments.entries[i].line);
	config_section_deinit(&p->comments);
	p->comments = (struct config_section){0};
	return r;
}

static int parse_header(struct parser *p, const char *text)
{
	char name[32];

	p->is_in_peer = !strcasecmp(text, "[Peer]");
	p->is_in_section = p->is_in_peer || !strcasecmp(text, "[Interface]");
	if (!p->is_in_section) {
		config_errors_add(p->errors, p->line,
				  "unknown section, allowed: [Interface], [Peer]");
		return 0;
	}
	if (p->is_in_peer) {
		snprintf(name, sizeof(name), "peer-%zu", p->ini.n_sections - PEER + 1);
		if (p->ini.n_sections < CONFIG_SECTIONS_MAX)
			return add_section(p, "peer", name);
		config_errors_add(p->errors, p->line, "too many sections, allowed: %d",
				  CONFIG_SECTIONS_MAX);
		p->is_in_section = false;
		return 0;
	}
	for (size_t i = 0; !p->has_interface && i < PEER; i++)
		p->ini.sections[i].line = p->line;
	p->has_interface = true;
	return 0;
}

static int parse_setting(struct parser *p, char *text)
{
	char *value = strchr(text, '=');
	const struct import_key *k = keys;

	if (!value) {
		config_errors_add(p->errors, p->line,
				  "neither a comment, nor a [section], nor 'Key = value'");
		return 0;
	}
	if (!p->is_in_section)
		return 0; /* of an unknown section, or of none: that has been told, or will be */
	*value = '\0';
	value = config_strip(value + 1);
	text = config_strip(text);
	while (k->name && (strcasecmp(k->name, text) != 0 || !is_here(p, k)))
		k++;
	if (k->name)
		return k->take(p, k, value);
	report_unknown(p, text);
	return 0;
}

static int parse_line(struct parser *p, char *text, size_t len)
{
	char *comment;
	int r = 0;

	if (len && text[len - 1] == '\r')
		text[--len] = '\0';
	for (size_t i = 0; i < len; i++)
		if (iscntrl((unsigned char)text[i]) && text[i] != '\t') {
			config_errors_add(p->errors, p->line, "a control character (0x%02x)",
					  (unsigned char)text[i]);
			return 0;
		}
	comment = strchr(text, '#');
	if (comment) {
		r = add_entry(&p->comments, "", comment, p->line);
		*comment = '\0';
	}
	text = config_strip(text);
	if (r < 0 || !*text)
		return r;
	r = *text == '[' ? parse_header(p, text) : parse_setting(p, text);
	if (r == 0)
		r = place_comments(p, p->is_in_peer ? p->ini.n_sections - 1 : NETWORK);
	return r;
}

static int parse_lines(struct parser *p, char *text, size_t len)
{
	int r = 0;

	for (size_t at = 0; !r && at < len;) {
		char *line = text + at;
		char *end = memchr(line, '\n', len - at);
		size_t line_len = end ? (size_t)(end - line) : len - at;

		line[line_len] = '\0';
		p->line++;
		r = parse_line(p, line, line_len);
		at += line_len + 1;
	}
	return r ? r : place_comments(p, p->ini.n_sections - 1);
}

/* wg-quick names the interface after the file. */
static int name_interface(struct parser *p)
{
	const char *base = strrchr(p->errors->file, '/');
	char name[IFNAMSIZ] = "";
	char field[IFNAMSIZ];
	struct value v = {.key = "interface", .text = name};
	size_t len;

	base = base ? base + 1 : p->errors->file;
	len = strlen(base);
	if (len > 5 && !strcmp(base + len - 5, ".conf"))
		len -= 5;
	if (len < sizeof(name))
		memcpy(name, base, len);
	if (value_interface(&v, field) == 0)
		return add_entry(&p->ini.sections[NETWORK], "interface", name, 0);
	config_errors_add(&p->import->notes, 0,
			  "the file is not called as an interface can be: it will be tun0, name "
			  "it by interface in [network]");
	return 0;
}

static int begin(struct parser *p)
{
	int r = add_section(p, "network", "");

	if (r == 0)
		r = add_section(p, "wireguard", "");
	if (r == 0)
		r = add_section(p, "link", "link-0");
	return r ? r : name_interface(p);
}

static int parse(struct parser *p, char *text, size_t len)
{
	int r = begin(p);

	if (r == 0)
		r = parse_lines(p, text, len);
	if (r == 0 && !p->has_table)
		r = add_entry(&p->ini.sections[NETWORK], "table", "auto",
			      p->ini.sections[NETWORK].line);
	if (r < 0)
		return r;
	if (!p->has_interface) {
		config_errors_add(p->errors, 0, "the section [Interface] is missing");
		return -EINVAL;
	}
	return 0;
}

int import_parse(void *ret, char *text, size_t len, const struct stat *st,
		 struct config_errors *errors)
{
	struct import m = {.notes = {.file = errors->file}};
	struct parser p = {.import = &m, .errors = errors};
	int r = parse(&p, text, len);

	(void)st;
	config_section_deinit(&p.comments);
	if (r == 0)
		r = config_from_ini(&m.config, &p.ini, errors);
	else
		config_ini_deinit(&p.ini);
	if (r < 0)
		import_deinit(&m);
	else
		*(struct import *)ret = m;
	return r;
}

int import_read(struct import *ret, const char *path, struct config_errors *errors)
{
	return config_file_read(path, import_parse, ret, errors);
}

void import_deinit(struct import *m)
{
	config_deinit(&m->config);
	config_ini_deinit(&m->left);
	config_errors_deinit(&m->notes);
}

static void write_section(FILE *f, const struct config_section *s,
			  const struct config_section *left)
{
	fprintf(f, "\n[%s%s%s]\n", s->kind, *s->name ? " " : "", s->name);
	for (size_t i = 0; i < left->n_entries; i++) {
		const struct config_entry *e = &left->entries[i];

		if (*e->key)
			fprintf(f, "# %s = %s\n", e->key, e->value);
		else
			fprintf(f, "%s\n", e->value);
	}
	for (size_t i = 0; i < s->n_entries; i++)
		fprintf(f, "%s = %s\n", s->entries[i].key, s->entries[i].value);
}

void import_write(FILE *f, const void *import)
{
	const struct import *m = import;

	fprintf(f,
		"# From a file of wg-quick. For more links add sections [link NAME], each with a\n"
		"# device. See vtrunkd.conf(5). Keep the mode at 0600: there are secrets here.\n");
	for (size_t i = 0; i < m->notes.n_items; i++)
		fprintf(f, "# %s\n", m->notes.items[i].text);
	for (size_t i = 0; i < m->config.ini.n_sections; i++)
		write_section(f, &m->config.ini.sections[i], &m->left.sections[i]);
}
