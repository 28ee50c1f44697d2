/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The grammar backwards: for each parser there is a printer of what it stores. One that prints
 * nothing says that the key is not set and has no default; it becomes a comment then.
 */
#include "core/config_show.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include "core/config_rule.h"
#include "core/config_secret.h"
#include "crypto/keys.h"
#include "netlink/route.h"

/* Where the line of a key is to be written, and what of it. */
struct place {
	FILE *out;
	const struct config_key *key;
	const struct config_section *section; /* NULL: it is not in the file */
	unsigned n_lines;		      /* that have been written */
};

__attribute__((format(printf, 2, 3))) static void line(struct place *p, const char *format, ...)
{
	va_list args;

	fprintf(p->out, "%s = ", p->key->name);
	va_start(args, format);
	vfprintf(p->out, format, args);
	va_end(args);
	fputc('\n', p->out);
	p->n_lines++;
}

typedef void print_value(struct place *p, const void *field);

/* Below its least value a number is not set. */
static void print_number(struct place *p, uint64_t n, const char *unit)
{
	if (n >= p->key->min)
		line(p, "%" PRIu64 "%s", n, unit);
}

static void print_u32(struct place *p, const void *field)
{
	print_number(p, *(const uint32_t *)field, "");
}

static void print_u64(struct place *p, const void *field)
{
	print_number(p, *(const uint64_t *)field, "");
}

static void print_percent(struct place *p, const void *field)
{
	print_number(p, *(const uint32_t *)field, "%");
}

static void print_seconds(struct place *p, const void *field)
{
	print_number(p, (uint64_t)(*(const nsec_t *)field / NSEC_PER_SEC), "");
}

static void print_milliseconds(struct place *p, const void *field)
{
	print_number(p, (uint64_t)(*(const nsec_t *)field / NSEC_PER_MSEC), "");
}

static void print_mark(struct place *p, const void *field)
{
	line(p, "0x%x", *(const uint32_t *)field);
}

static void print_table(struct place *p, const void *field)
{
	const uint32_t table = *(const uint32_t *)field;

	if (!table || table == ROUTE_TABLE_AUTO || table == ROUTE_TABLE_MAIN)
		line(p, "%s", !table ? "off" : table == ROUTE_TABLE_AUTO ? "auto" : "main");
	else
		line(p, "%u", table);
}

static void print_keepalive(struct place *p, const void *field)
{
	line(p, "%u", *(const uint16_t *)field);
}

/* With `bind` there is none. */
static void print_port(struct place *p, const void *field)
{
	const uint16_t port = *(const uint16_t *)field;

	if (port)
		line(p, "%u", port);
}

static void print_word(struct place *p, int value)
{
	const struct choice *c = p->key->choices;

	while (c->name && c->value != value)
		c++;
	if (c->name)
		line(p, "%s", c->name);
}

static void print_choice(struct place *p, const void *field)
{
	print_word(p, *(const int *)field);
}

static void print_bool(struct place *p, const void *field)
{
	const bool is_on = *(const bool *)field;

	if (p->key->choices)
		print_word(p, is_on);
	else
		line(p, "%s", is_on ? "on" : "off");
}

static void print_rate(struct place *p, const void *field)
{
	const uint64_t bits = *(const uint64_t *)field;

	if (!bits)
		line(p, "0");
	else if (bits % 1000000)
		line(p, "%" PRIu64 "kbit", bits / 1000);
	else
		line(p, "%" PRIu64 "mbit", bits / 1000000);
}

static void print_aead(struct place *p, const void *field)
{
	line(p, "%s", *(const char *const *)field);
}

static void print_text(struct place *p, const void *field)
{
	if (*(const char *)field)
		line(p, "%s", (const char *)field);
}

static void print_addr(struct place *p, const void *field)
{
	char text[ADDR_TEXT_MAX];

	if (addr_is_set(field))
		line(p, "%s", addr_format(field, text));
}

static void print_endpoint(struct place *p, const void *field)
{
	const struct endpoint_name *e = field;
	const bool has_brackets = strchr(e->host, ':');

	if (*e->host)
		line(p, "%s%s%s:%u", has_brackets ? "[" : "", e->host, has_brackets ? "]" : "",
		     e->port);
}

static void print_peer_endpoint(struct place *p, const void *field)
{
	const struct endpoint_name *e = *(const struct endpoint_name *const *)field;

	if (e)
		print_endpoint(p, e);
}

static void print_ip(struct place *p, const void *field)
{
	const struct prefix *address = field;
	char text[INET6_ADDRSTRLEN];

	if (address->family)
		line(p, "%s", inet_ntop(address->family, address->bytes, text, sizeof(text)));
}

/* The address has its length by now. */
static void print_nothing(struct place *p, const void *field)
{
	(void)p;
	(void)field;
}

static void print_addresses(struct place *p, const void *field)
{
	const struct network_settings *s = &((const struct network_draft *)field)->settings;
	char text[PREFIX_TEXT_MAX];

	for (size_t i = 0; i < s->n_addresses; i++)
		line(p, "%s", prefix_format(&s->addresses[i].prefix, text));
}

static void print_allowed_ips(struct place *p, const void *field)
{
	const struct peer_settings *s = field;
	char text[PREFIX_TEXT_MAX];

	for (size_t i = 0; i < s->n_allowed_ips; i++)
		line(p, "%s", prefix_format(&s->allowed_ips[i], text));
}

/* "1.1.1.1 9.9.9.9" */
static void print_dns(struct place *p, const void *field)
{
	const char *servers = field;

	for (size_t len; *servers; servers += len + (servers[len] == ' ')) {
		len = strcspn(servers, " ");
		line(p, "%.*s", (int)len, servers);
	}
}

static void print_mtu(struct place *p, const void *field)
{
	const struct network_settings *s = &((const struct network_draft *)field)->settings;

	if (s->is_mtu_auto)
		line(p, "auto");
	else
		line(p, "%u", s->mtu);
}

static void print_queues(struct place *p, const void *field)
{
	const uint32_t queues = *(const uint32_t *)field;

	if (queues)
		line(p, "%u", queues);
	else
		line(p, "auto");
}

/* A public key; private and preshared ones are known by the name of their key alone. */
static void print_key(struct place *p, const void *field)
{
	char text[KEY_BASE64_LEN + 1];

	if (strstr(p->key->name, "public_key")) {
		keys_to_base64(text, field);
		if (!keys_is_zero(field))
			line(p, "%s", text);
	} else if (config_section_has(p->section, p->key->name)) {
		line(p, "%s", KEY_PLACEHOLDER);
	}
}

static void print_key_file(struct place *p, const void *field)
{
	const struct config_entry *e = config_section_find(p->section, p->key->name);

	(void)field;
	if (e)
		line(p, "%s", e->value);
}

/* Lists of a rule, which have no defaults. */
static void print_as_written(struct place *p, const void *field)
{
	const struct config_section *s = p->section;

	(void)field;
	for (size_t i = 0; i < s->n_entries; i++)
		if (!strcmp(s->entries[i].known_as, p->key->name))
			line(p, "%s", s->entries[i].value);
}

/* Where there are no links the key is out of place. */
static void print_rule_switch(struct place *p, const void *field)
{
	if (config_section_has(p->section, p->key->name))
		print_bool(p, field);
}

static const struct {
	value_parse *parse;
	print_value *print;
} printers[] = {
	{value_u32, print_u32},
	{value_power_of_two, print_u32},
	{value_mark, print_mark},
	{value_resolve_interval, print_seconds},
	{value_table, print_table},
	{value_seconds, print_seconds},
	{value_milliseconds, print_milliseconds},
	{value_keepalive, print_keepalive},
	{value_choice, print_choice},
	{value_bool, print_bool},
	{value_rate, print_rate},
	{value_aead, print_aead},
	{value_interface, print_text},
	{value_user, print_text},
	{value_group, print_text},
	{value_cgroup, print_text},
	{value_bytes, print_u64},
	{value_percent, print_percent},
	{value_network, print_text},
	{value_path, print_text},
	{value_socket_path, print_text},
	{value_loopback, print_addr},
	{value_port, print_port},
	{value_bind, print_addr},
	{value_endpoint, print_endpoint},
	{value_ip, print_ip},
	{value_netmask, print_nothing},
	{value_key, print_key},
	{value_key_file, print_key_file},
	{value_rule_dscps, print_as_written},
	{value_rule_protocols, print_as_written},
	{value_rule_sources, print_as_written},
	{value_rule_destinations, print_as_written},
	{value_rule_source_ports, print_as_written},
	{value_rule_destination_ports, print_as_written},
	{value_rule_ports, print_as_written},
	{value_rule_links, print_as_written},
	{value_rule_peer_links, print_as_written},
	{value_rule_switch, print_rule_switch},
	{grammar_dns, print_dns},
	{grammar_addresses, print_addresses},
	{grammar_allowed_ips, print_allowed_ips},
	{grammar_peer_endpoint, print_peer_endpoint},
	{grammar_mtu, print_mtu},
	{grammar_queues, print_queues},
	{grammar_repair_buffer, print_u32},
	{grammar_private_key_file, print_key_file},
};

static print_value *find_printer(const struct config_key *key)
{
	for (size_t i = 0; i < sizeof(printers) / sizeof(*printers); i++)
		if (printers[i].parse == key->parse)
			return printers[i].print;
	return NULL;
}

bool config_show_knows(const struct config_key *key)
{
	return find_printer(key) != NULL;
}

static const struct config_key *keys_of(const char *kind)
{
	const struct section_kind *k = section_kinds;

	while (strcmp(k->kind, kind) != 0)
		k++;
	return k->keys;
}

/* Keys of the one peer: in the other form there is no place for them. */
static bool is_out_of_place(const char *kind, const struct config_key *key,
			    const struct network_draft *n)
{
	const size_t peer = offsetof(struct network_draft, peer);

	return !strcmp(kind, "wireguard") && !network_draft_is_single(n) && key->offset >= peer &&
	       key->offset < peer + sizeof(n->peer);
}

/* `fields`: what the section fills in. */
static void show_section(FILE *out, const char *kind, const char *name,
			 const struct config_section *section, const struct network_draft *n,
			 const void *fields)
{
	fprintf(out, "\n[%s%s%s]\n", kind, *name ? " " : "", name);
	for (const struct config_key *key = keys_of(kind); key->name; key++) {
		struct place p = {.out = out, .key = key, .section = section};

		if (n && is_out_of_place(kind, key, n))
			continue;
		find_printer(key)(&p, (const char *)fields + key->offset);
		if (!p.n_lines)
			fprintf(out, "; %s =\n", key->name);
	}
}

static void show_network(FILE *out, const struct config_draft *d, const struct network_draft *n)
{
	/* [network] of a single network has no name, but what belongs to it may name it. */
	const char *name = n->wireguard->name;

	show_section(out, "network", name, n->network, n, n);
	show_section(out, "wireguard", name, n->wireguard, n, n);
	for (size_t i = 0; i < d->n_links; i++)
		if (d->links[i].network == n)
			show_section(out, "link", d->links[i].settings.name, d->links[i].section,
				     NULL, &d->links[i]);
	for (size_t i = 0; i < d->n_peers; i++)
		if (d->peers[i].network == n)
			show_section(out, "peer", d->peers[i].settings.name, d->peers[i].section,
				     NULL, &d->peers[i]);
	for (size_t i = 0; i < d->n_rules; i++)
		if (d->rules[i].network == n)
			show_section(out, "rule", d->rules[i].settings.name, d->rules[i].section,
				     NULL, &d->rules[i]);
}

void config_show(FILE *out, const struct config_draft *d)
{
	const struct config_section daemon = {0};

	show_section(out, "daemon", "", &daemon, NULL, &d->daemon);
	for (size_t i = 0; i < d->n_networks; i++)
		show_network(out, d, &d->networks[i]);
}
