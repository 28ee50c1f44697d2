/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Which sections there are, and for each of their keys the parser and the field it goes to.
 * docs/man/vtrunkd.conf.5 tells users the same: keep them in step.
 */
#pragma once

#include "core/config_draft.h"

struct config_key {
	const char *name;
	const char *alias; /* NULL: none */
	value_parse *parse;
	size_t offset;		      /* of the field in what the section fills in */
	uint64_t min, max;	      /* of numbers */
	const struct choice *choices; /* the words for it */
	bool is_list;		      /* may be given again, to go on */
};

enum section_naming {
	NAME_REFUSED,
	NAME_NETWORK, /* may be left out for the default network */
	NAME_REQUIRED,
};

struct section_kind {
	const char *kind;
	enum section_naming naming;
	size_t name_len_max;
	const struct config_key *keys;
	/* What the section's keys fill in; never NULL. */
	void *(*open)(struct config_draft *d, const struct config_section *s);
};

/* Parsers of single keys, each into what its comment in config_grammar.c says. */
value_parse grammar_dns, grammar_addresses, grammar_allowed_ips, grammar_peer_endpoint, grammar_mtu,
	grammar_queues, grammar_repair_buffer, grammar_private_key_file;

/* Ends with a NULL kind. */
extern const struct section_kind section_kinds[];

/* The network that a [network] or [wireguard] section is about. */
const char *section_network_name(const struct config_section *s);
bool section_is_of_network(const struct config_section *s);
/*
 * The order of kinds and names; 0: they are the same section, as [network] and [network default].
 */
int section_compare(const struct config_section *a, const struct config_section *b);
/* All of them in that order, the same ones in that of the file. NULL: no memory. */
struct config_section **sections_sort(const struct config_ini *ini);
/* In what sections_sort() has given. */
struct config_section *sections_find(struct config_section **sorted, size_t n,
				     const struct config_section *like);
