/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/config_rule.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/config_check_internal.h"

/* Adds the item to one of the lists of struct rule_settings. */
#define APPEND(v, list, n, item)                                                                   \
	((n) == RULE_ITEMS_MAX ? value_expected(v, "at most %d items", RULE_ITEMS_MAX)             \
			       : ((list)[(n)++] = (item), 0))

struct named_number {
	const char *name;
	uint8_t number;
};

/* RFC 4594, RFC 5865 and RFC 8622. */
static const struct named_number dscp_names[] = {
	{"DF", 0},    {"LE", 1},    {"CS0", 0},	  {"CS1", 8},	{"CS2", 16},
	{"CS3", 24},  {"CS4", 32},  {"CS5", 40},  {"CS6", 48},	{"CS7", 56},
	{"AF11", 10}, {"AF12", 12}, {"AF13", 14}, {"AF21", 18}, {"AF22", 20},
	{"AF23", 22}, {"AF31", 26}, {"AF32", 28}, {"AF33", 30}, {"AF41", 34},
	{"AF42", 36}, {"AF43", 38}, {"VA", 44},	  {"EF", 46},	{NULL, 0},
};

static const struct named_number protocol_names[] = {
	{"icmp", IPPROTO_ICMP},
	{"tcp", IPPROTO_TCP},
	{"udp", IPPROTO_UDP},
	{"dccp", IPPROTO_DCCP},
	{"gre", IPPROTO_GRE},
	{"esp", IPPROTO_ESP},
	{"ah", IPPROTO_AH},
	{"sctp", IPPROTO_SCTP},
	{"icmpv6", IPPROTO_ICMPV6},
	{"udplite", IPPROTO_UDPLITE},
	{NULL, 0},
};

/* Decimal digits and nothing else. */
static bool parse_number(const char *text, size_t len, unsigned long most, unsigned long *ret)
{
	char digits[8];
	unsigned long n;

	if (!len || len >= sizeof(digits) || strspn(text, "0123456789") < len)
		return false;
	memcpy(digits, text, len);
	digits[len] = '\0';
	n = strtoul(digits, NULL, 10);
	if (n > most)
		return false;
	*ret = n;
	return true;
}

static bool parse_named(const char *text, const struct named_number *names, unsigned long most,
			uint8_t *ret)
{
	unsigned long n;

	for (const struct named_number *i = names; i->name; i++) {
		if (!strcasecmp(i->name, text)) {
			*ret = i->number;
			return true;
		}
	}
	if (!parse_number(text, strlen(text), most, &n))
		return false;
	*ret = (uint8_t)n;
	return true;
}

static int parse_dscp(struct value *v, void *field)
{
	if (!parse_named(v->text, dscp_names, 63, field))
		return value_expected(v, "0..63, EF, VA, LE, DF, CS0..CS7, or AF11..AF43");
	return 0;
}

static int parse_protocol(struct value *v, void *field)
{
	if (!parse_named(v->text, protocol_names, 255, field))
		return value_expected(v, "tcp, udp, icmp, icmpv6, sctp, dccp, udplite, gre, esp, "
					 "ah, or a number, 0..255");
	return 0;
}

static int parse_ports(struct value *v, void *field)
{
	size_t len = strcspn(v->text, "-");
	bool is_range = v->text[len] == '-';
	const char *end = is_range ? v->text + len + 1 : v->text;
	unsigned long first, last;

	if (!parse_number(v->text, len, UINT16_MAX, &first) ||
	    !parse_number(end, strlen(end), UINT16_MAX, &last) || last < first)
		return value_expected(v, "a port or a range such as 5060 or 10000-20000, 0..65535");
	*(struct port_range *)field = (struct port_range){(uint16_t)first, (uint16_t)last};
	return 0;
}

static int parse_link_name(struct value *v, void *field)
{
	if (!*v->text || strlen(v->text) > LINK_NAME_MAX)
		return value_expected(v, "names of links, of at most %d bytes", LINK_NAME_MAX);
	strcpy(field, v->text);
	return 0;
}

static int add_dscp(struct value *v, const void *item, void *list)
{
	struct rule_settings *r = list;

	(void)v;
	r->dscps |= 1ULL << *(const uint8_t *)item;
	return 0;
}

static int add_protocol(struct value *v, const void *item, void *list)
{
	struct rule_settings *r = list;

	return APPEND(v, r->protocols, r->n_protocols, *(const uint8_t *)item);
}

static int add_source(struct value *v, const void *item, void *list)
{
	struct rule_settings *r = list;

	return APPEND(v, r->sources, r->n_sources, *(const struct prefix *)item);
}

static int add_destination(struct value *v, const void *item, void *list)
{
	struct rule_settings *r = list;

	return APPEND(v, r->destinations, r->n_destinations, *(const struct prefix *)item);
}

static int add_source_port(struct value *v, const void *item, void *list)
{
	struct rule_settings *r = list;

	return APPEND(v, r->source_ports, r->n_source_ports, *(const struct port_range *)item);
}

static int add_destination_port(struct value *v, const void *item, void *list)
{
	struct rule_settings *r = list;

	return APPEND(v, r->destination_ports, r->n_destination_ports,
		      *(const struct port_range *)item);
}

static int add_port(struct value *v, const void *item, void *list)
{
	struct rule_settings *r = list;

	return APPEND(v, r->ports, r->n_ports, *(const struct port_range *)item);
}

static int add_name(struct value *v, const char *name, char (*list)[LINK_NAME_MAX + 1], uint8_t *n)
{
	for (unsigned i = 0; i < *n; i++)
		if (!strcmp(list[i], name))
			return value_expected(v, "each link once");
	if (*n == RULE_LINKS_MAX)
		return value_expected(v, "at most %d links", RULE_LINKS_MAX);
	strcpy(list[(*n)++], name);
	return 0;
}

static int add_link(struct value *v, const void *item, void *list)
{
	struct rule_settings *r = list;

	return add_name(v, item, r->links, &r->n_links);
}

static int add_peer_link(struct value *v, const void *item, void *list)
{
	struct rule_settings *r = list;

	return add_name(v, item, r->peer_links, &r->n_peer_links);
}

int value_rule_dscps(struct value *v, void *field)
{
	uint8_t item;

	return value_list(v, parse_dscp, &item, add_dscp, field);
}

int value_rule_protocols(struct value *v, void *field)
{
	uint8_t item;

	return value_list(v, parse_protocol, &item, add_protocol, field);
}

int value_rule_sources(struct value *v, void *field)
{
	struct prefix item;

	return value_list(v, value_prefix, &item, add_source, field);
}

int value_rule_destinations(struct value *v, void *field)
{
	struct prefix item;

	return value_list(v, value_prefix, &item, add_destination, field);
}

int value_rule_source_ports(struct value *v, void *field)
{
	struct port_range item;

	return value_list(v, parse_ports, &item, add_source_port, field);
}

int value_rule_destination_ports(struct value *v, void *field)
{
	struct port_range item;

	return value_list(v, parse_ports, &item, add_destination_port, field);
}

int value_rule_ports(struct value *v, void *field)
{
	struct port_range item;

	return value_list(v, parse_ports, &item, add_port, field);
}

int value_rule_links(struct value *v, void *field)
{
	char item[LINK_NAME_MAX + 1];

	return value_list(v, parse_link_name, item, add_link, field);
}

int value_rule_peer_links(struct value *v, void *field)
{
	char item[LINK_NAME_MAX + 1];

	return value_list(v, parse_link_name, item, add_peer_link, field);
}

int value_rule_switch(struct value *v, void *field)
{
	return value_bool(v, field);
}

static bool has_ports(uint8_t protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP ||
	       protocol == IPPROTO_DCCP || protocol == IPPROTO_UDPLITE;
}

static void check_ports(const struct rule_draft *r, struct config_errors *errors)
{
	static const char *const keys[] = {"port", "source_port", "destination_port"};
	const struct rule_settings *s = &r->settings;

	for (unsigned i = 0; i < s->n_protocols; i++) {
		if (has_ports(s->protocols[i]))
			continue;
		for (size_t k = 0; k < sizeof(keys) / sizeof(*keys); k++)
			if (config_section_has(r->section, keys[k]))
				config_report(errors, r->section, keys[k],
					      "found with protocol %u, allowed: with tcp, udp, "
					      "sctp, dccp "
					      "and udplite, which have ports",
					      s->protocols[i]);
		return;
	}
}

/* The families that a list has, as bits; all, if it is empty. */
static unsigned families(const struct prefix *list, unsigned n)
{
	unsigned bits = n ? 0 : 3;

	for (unsigned i = 0; i < n; i++)
		bits |= list[i].family == AF_INET ? 1 : 2;
	return bits;
}

static void check_link(const struct config_draft *d, const struct rule_draft *r, const char *name,
		       struct config_errors *errors)
{
	char names[256] = "";
	size_t len = 0;

	for (size_t i = 0; i < d->n_links; i++) {
		const char *known = d->links[i].settings.name;

		if (d->links[i].network != r->network)
			continue;
		if (!strcmp(known, name))
			return;
		if (len + strlen(known) + 3 < sizeof(names))
			len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s",
						len ? ", " : "", known);
	}
	config_report(errors, r->section, "links",
		      "found '%s', which is no link of network '%s', allowed: %s", name,
		      r->network->settings.name, names);
}

/* What says how to go, where it says nowhere to go to. */
static void check_ways(const struct rule_draft *r, struct config_errors *errors)
{
	static const char *const keys[] = {"fallback", "redundant"};
	unsigned n = r->settings.n_links + r->settings.n_peer_links;

	for (size_t i = 0; !n && i < sizeof(keys) / sizeof(*keys); i++)
		if (config_section_has(r->section, keys[i]))
			config_report(errors, r->section, keys[i],
				      "found without links, allowed: with links or peer_links");
	if (n == 1 && r->settings.is_redundant)
		config_report(errors, r->section, "redundant",
			      "found with one link, allowed: with two at least");
}

void config_check_rule(const struct config_draft *d, const struct rule_draft *r,
		       struct config_errors *errors)
{
	const struct rule_settings *s = &r->settings;

	check_ports(r, errors);
	if (!(families(s->sources, s->n_sources) & families(s->destinations, s->n_destinations)))
		config_report(
			errors, r->section, "destination",
			"found %s beside a source of the other family, allowed: both of one family",
			config_section_find(r->section, "destination")->value);
	check_ways(r, errors);
	for (unsigned i = 0; i < s->n_links; i++)
		check_link(d, r, s->links[i], errors);
}
