/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A configuration half read: each section's values where they belong, together with the
 * section they come from, so that what follows can name lines. core/config_check.c looks
 * for contradictions between the values; core/config.c makes the final structs.
 */
#pragma once

#include "core/config.h"
#include "core/config_ini.h"

struct network_draft {
	const struct config_section *network;	/* NULL: not in the file, all by default */
	const struct config_section *wireguard; /* NULL: missing */
	struct network_settings settings;	/* without links and peers */
	struct network_hooks hooks;
	size_t n_plain_ipv4;	   /* IPv4 addresses without a length, which netmask may give */
	size_t plain_ipv4;	   /* the place of the last of them */
	uint8_t netmask_len;	   /* 0: not given */
	struct prefix destination; /* family 0: not given */
	struct peer_settings peer; /* of [wireguard] in the single-peer form */
	size_t n_links, n_peers, n_rules; /* how many say that they belong to it */
};

struct link_draft {
	const struct config_section *section;
	char network_name[NETWORK_NAME_MAX + 1];
	struct network_draft *network; /* NULL: unknown */
	bool is_enabled;
	struct link_settings settings;
};

struct peer_draft {
	const struct config_section *section;
	char network_name[NETWORK_NAME_MAX + 1];
	struct network_draft *network; /* NULL: unknown */
	struct peer_settings settings;
};

struct rule_draft {
	const struct config_section *section;
	char network_name[NETWORK_NAME_MAX + 1];
	struct network_draft *network; /* NULL: unknown */
	struct rule_settings settings;
};

/* The arrays have room for one element per section that fills in one, so that none ever moves. */
struct config_draft {
	struct network_draft *networks;
	size_t n_networks;
	struct link_draft *links;
	size_t n_links;
	struct peer_draft *peers;
	size_t n_peers;
	struct rule_draft *rules;
	size_t n_rules;
	struct daemon_settings daemon;
};

/* Reads the sections, marking their entries. 0, whatever `errors` got, or -ENOMEM. */
int config_draft_init(struct config_draft *ret, struct config_ini *ini,
		      struct config_errors *errors);
void config_draft_deinit(struct config_draft *d);

/* Is it in the single-peer form? */
bool network_draft_is_single(const struct network_draft *n);
