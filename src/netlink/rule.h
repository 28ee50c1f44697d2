/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The two rules that lead everything into a tunnel, by rtnetlink, as wg-quick(8) makes them: first
 * what the main table has that is more exact than a default route, then a table of the tunnel's own
 * for all packets but those with the mark of the tunnel's own. They do not go with an interface;
 * what a killed process has left is known by the protocol number.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Just before that of the main table (32766), so that other rules come first. */
#define RULE_PRIORITY_EXACT 32764
#define RULE_PRIORITY_TUNNEL 32765

struct rule {
	uint8_t family;
	uint32_t priority;
	uint32_t table;
	uint32_t mark;	 /* 0: of no interest */
	bool is_but;	 /* for packets without the mark */
	bool is_exacter; /* passes over default routes */
};

/*
 * Both rules of a family; others of ours go. Those that are there already stay. 0 or the kernel's
 * -errno.
 */
int netif_set_rules(uint8_t family, uint32_t table, uint32_t mark);
/* Those of a family go. */
int netif_remove_rules(uint8_t family);
/* Also of both families, where nothing is in the table any more: whoever made them has gone. */
int netif_remove_stale_rules(uint32_t table);
