/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "vtrunkctl/complete.h"

#include <stdio.h>
#include <string.h>

#include "vtrunkctl/ask.h"
#include "vtrunkctl/options.h"
#include "vtrunkctl/text.h"

/* Those of vtrunkd.conf(5): a test compares. */
const char *const complete_link_keys[] = {
	"bind=",    "device=", "enabled=", "endpoint=", "fwmark=", "gro=",     "gso=",
	"network=", "port=",   "rate=",	   "role=",	"weight=", "workers=", NULL};
const char *const complete_peer_keys[] = {
	"allowed_ips=",	  "endpoint=",		 "multilink=",	"network=", "persistent_keepalive=",
	"preshared_key=", "preshared_key_file=", "public_key=", NULL};
static const char *const modes[] = {"aggregate", "redundant", "failover", "auto", NULL};
static const char *const levels[] = {"error", "warning", "info", "debug", NULL};

/* What begins as the unfinished word does. */
static void offer(const char *candidate, const char *begun)
{
	if (!strncmp(candidate, begun, strlen(begun)))
		puts(candidate);
}

static void offer_list(const char *const *list, const char *begun)
{
	for (; *list; list++)
		offer(*list, begun);
}

/* The next word of each command that begins with the words so far. */
static void offer_words(char **words, unsigned n, const char *begun)
{
	const char *last = "";

	for (const struct command *c = commands; c->words; c++) {
		const char *rest = c->words;
		char word[32];
		unsigned i;

		for (i = 0; i < n; i++) {
			size_t len = strlen(words[i]);

			if (strncmp(rest, words[i], len) != 0 || rest[len] != ' ')
				break;
			rest += len + 1;
		}
		if (i < n || c->is_hidden)
			continue;
		snprintf(word, sizeof(word), "%.*s", (int)strcspn(rest, " "), rest);
		/* The commands of a first word stand together. */
		if (strncmp(word, last, strcspn(rest, " ")) != 0 || !*last)
			offer(word, begun);
		last = rest;
	}
}

/* Names of the networks, or of their links or peers. Without a daemon there are none. */
static void offer_names(const struct options *o, const char *kind, const char *begun)
{
	struct problem problem;
	struct json_object *status = ask_status(o, &problem);
	struct json_object *network, *item;

	for (size_t i = 0; (network = field_entry(status, "networks", i)); i++) {
		if (!strcmp(kind, "networks"))
			offer(field_text(network, "name", "").s, begun);
		for (size_t k = 0; (item = field_entry(network, kind, k)); k++)
			offer(field_text(item, "name", "").s, begun);
	}
	json_object_put(status);
}

static void offer_operands(const struct options *o, const struct command *c, unsigned n,
			   const char *begun)
{
	bool is_link = !strncmp(c->words, "link", 4);

	if (!strcmp(c->words, "mode set"))
		offer_list(modes, begun);
	else if (!strcmp(c->words, "log level"))
		offer_list(levels, begun);
	else if (n > 0 && c->has_settings)
		offer_list(is_link ? complete_link_keys : complete_peer_keys, begun);
	else if (n == 0 && c->operand && strcmp(c->operand, "network") == 0)
		offer_names(o, "networks", begun);
	else if (n == 0 && c->operand && !strstr(c->words, "add"))
		offer_names(o, is_link ? "links" : "peers", begun);
}

/* Takes options, and their values, from the front; that of the socket is obeyed. */
static void skip_options(struct options *o)
{
	while (o->n_operands > 1 && *o->operands[0] == '-') {
		bool has_value = strchr("sni", o->operands[0][1]) && o->operands[0][1] &&
				 !o->operands[0][2] && o->n_operands > 2;

		if (has_value && o->operands[0][1] == 's')
			o->socket_path = o->operands[1];
		o->operands += 1 + has_value;
		o->n_operands -= 1 + has_value;
	}
}

int complete_print(const struct options *given)
{
	struct options o = *given;
	const struct command *c;
	const char *begun;
	unsigned taken, n;

	skip_options(&o);
	n = o.n_operands ? o.n_operands - 1 : 0;
	begun = o.n_operands ? o.operands[n] : "";
	c = command_find(o.operands, n, &taken);
	if (c)
		offer_operands(&o, c, n - taken, begun);
	else
		offer_words(o.operands, n, begun);
	return finish_output();
}
