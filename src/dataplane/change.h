/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * What is to change of a network that runs, for network_change(). Two make it: the UAPI, from
 * what wg(8) asks for, and a reload, from the difference of two configurations. Plain values; only
 * what is marked as given changes.
 */
#pragma once

#include "dataplane/settings.h"

struct prefix_change {
	struct prefix prefix;
	bool is_removed; /* else it is the peer's from now on, and no other's */
};

/* One peer, by its public key: it is added if it isn't there. */
struct peer_change {
	uint8_t public_key[32];
	bool is_removed;     /* nothing else counts then; it need not be there */
	bool is_update_only; /* passed over if it isn't there */
	/* another than it has is another peer; "": any, and of one that is added its public key */
	char name[PEER_NAME_MAX + 1];
	bool is_on_demand;
	/* each if it is given */
	bool has_preshared_key, has_endpoint, has_persistent_keepalive, has_multilink;
	uint8_t preshared_key[32];
	/* also if it is the same: then back to where it leads; one that is added gets it anyway */
	struct endpoint_name endpoint;
	uint16_t persistent_keepalive;
	enum multilink multilink;
	/* in their order, after all have been taken away if so */
	bool replaces_allowed_ips;
	struct prefix_change *allowed_ips;
	size_t n_allowed_ips;
};

/* One link, by its name: as it is to be; it is added if it isn't there. */
struct link_change {
	struct link_settings settings;
	bool is_removed; /* only the name counts then; it need not be there */
};

struct network_change {
	/* Before all else, each once: those that go, then the others; all or none. */
	const struct link_change *links;
	size_t n_links;
	/* NULL: it stays. Zero: none. Another one ends all sessions; a peer of its public key goes.
	 */
	const uint8_t *private_key;
	bool replaces_peers;	   /* all peers go first, with their sessions */
	struct peer_change *peers; /* in their order; one may come several times */
	size_t n_peers;
};
