/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Rules: which of the packets that come from the interface are bound to certain links, and go over
 * the first of them that works. The first rule that a packet meets counts. What none is about, but
 * is marked as lower effort (RFC 8622), is bound to what stands by for being too long.
 *
 * The network's rules are a snapshot that the monitor writes; a rule has a number for as long as
 * its name is there, by which paths (struct path_set), queues and counters know it.
 */
#pragma once

#include "links/path.h"
#include "links/settings.h"
#include "util/addr.h"
#include "util/rcu.h"
#include "wire/inner.h"

#define RULES_MAX 32
#define RULE_NAME_MAX 63
#define RULE_ITEMS_MAX 16 /* of each list */
#define RULE_LINKS_MAX 8

_Static_assert(RULES_MAX < PATH_BINDINGS, "one is for lower effort");
#define BINDING_LOWER_EFFORT RULES_MAX

struct port_range {
	uint16_t first, last;
};

struct rule_settings {
	char name[RULE_NAME_MAX + 1];
	/*
	 * What it is about. Of each list one item must be met, if there is one; of `ports` by
	 * either end.
	 */
	uint64_t dscps; /* a bit for each; 0: all */
	uint8_t protocols[RULE_ITEMS_MAX];
	uint8_t n_protocols;
	struct prefix sources[RULE_ITEMS_MAX], destinations[RULE_ITEMS_MAX];
	uint8_t n_sources, n_destinations;
	struct port_range source_ports[RULE_ITEMS_MAX], destination_ports[RULE_ITEMS_MAX];
	struct port_range ports[RULE_ITEMS_MAX];
	uint8_t n_source_ports, n_destination_ports, n_ports;
	/*
	 * Where it leads: the links in this order, by our names of them and then by the peer's.
	 * None: the packet is like any other.
	 */
	char links[RULE_LINKS_MAX][LINK_NAME_MAX + 1];
	char peer_links[RULE_LINKS_MAX][LINK_NAME_MAX + 1];
	uint8_t n_links, n_peer_links;
	bool is_redundant; /* over the first two */
	bool is_strict;	   /* none of them works: dropped, else like any other */
};

struct rules {
	struct rule_settings list[RULES_MAX]; /* in the order in which they are met */
	uint8_t numbers[RULES_MAX];
	unsigned n;
	struct rcu_link rcu;
};

/* What has met a rule. */
struct rule_count {
	_Atomic uint64_t packets, bytes;
	_Atomic uint64_t elsewhere_bytes; /* of these: when none of its links worked */
};

/* Any thread. */
static inline void rule_count_add(struct rule_count *c, uint64_t packets, uint64_t bytes,
				  bool is_elsewhere)
{
	atomic_fetch_add_explicit(&c->packets, packets, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->bytes, bytes, memory_order_relaxed);
	if (is_elsewhere)
		atomic_fetch_add_explicit(&c->elsewhere_bytes, bytes, memory_order_relaxed);
}

static inline void rule_count_reset(struct rule_count *c)
{
	atomic_store_explicit(&c->packets, 0, memory_order_relaxed);
	atomic_store_explicit(&c->bytes, 0, memory_order_relaxed);
	atomic_store_explicit(&c->elsewhere_bytes, 0, memory_order_relaxed);
}

/*
 * A snapshot of the rules, each with the number that its name has in `before` (NULL: none has one).
 * `n` is RULES_MAX at the most. 0 or -ENOMEM.
 */
int rules_new(struct rules **ret, const struct rule_settings *list, size_t n,
	      const struct rules *before);
void rules_retire(struct rules *r); /* NULL is fine */
/* Is there one of that name? NULL has none. */
bool rules_is_known(const struct rules *r, const char *name);

bool rule_is_met(const struct rule_settings *r, const struct inner_key *key);
/* The number of what binds a well-formed packet; BINDING_NONE. */
uint8_t rules_find(const struct rules *r, const uint8_t *packet, size_t len);

/*
 * Fills in where each rule leads in that set; `remote_links[i]` is what the peer calls the link of
 * entries[i]. `is_probed` as of path_set_choose().
 */
void rules_bind(const struct rules *r, struct path_set *set, const char *const *remote_links,
		bool is_probed);
