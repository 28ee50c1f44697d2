/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The two rules that lead everything into a tunnel, by rtnetlink, as wg-quick(8) makes them: first
 * those routes of the main table that are more specific than a default route, then the tunnel's own
 * table for all packets except the tunnel's own, which have a mark. They do not vanish with an
 * interface; those that a killed process has left are recognised by their protocol number.
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
	uint32_t mark;	     /* 0: of no interest */
	bool is_inverted;    /* for packets without the mark */
	bool skips_defaults; /* passes over default routes */
};

/*
 * Makes both rules of a family, where they are not there already, and removes others of ours. 0 or
 * the kernel's -errno.
 */
int netif_set_rules(uint8_t family, uint32_t table, uint32_t mark);
/* Removes those of a family. */
int netif_remove_rules(uint8_t family);
/* Of each family for which the table is empty: whoever made the rules is gone. */
int netif_remove_stale_rules(uint32_t table);
