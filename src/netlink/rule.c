/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "netlink/rule.h"

#include <errno.h>
#include <linux/rtnetlink.h>

#include "netlink/exchange.h"

#define PAIR 2
/* We make two; more are left over from other marks. */
#define OURS_MAX 16

struct list {
	struct rule rules[OURS_MAX];
	size_t n;
};

static void forget(void *ctx)
{
	struct list *l = ctx;

	l->n = 0;
}

static int collect(void *ctx, const struct nlmsghdr *message)
{
	struct list *l = ctx;
	int r = l->n < OURS_MAX ? message_parse_rule(message, &l->rules[l->n]) : 0;

	if (r == 1)
		l->n++;
	return r < 0 ? r : 0;
}

static int list_ours(struct exchange *x, uint8_t family, struct list *ret)
{
	const struct exchange_dump dump = {
		.type = RTM_NEWRULE, .restart = forget, .each = collect, .ctx = ret};
	union message_buffer request;

	ret->n = 0;
	message_dump_rules(&request, family);
	return exchange_dump(x, &request, &dump);
}

static bool is_in(const struct rule *rule, const struct rule *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].priority == rule->priority && list[i].table == rule->table &&
		    list[i].mark == rule->mark && list[i].is_inverted == rule->is_inverted &&
		    list[i].skips_defaults == rule->skips_defaults)
			return true;
	return false;
}

static int remove_others(struct exchange *x, uint8_t family, const struct rule *kept, size_t n)
{
	union message_buffer request;
	struct list ours;
	int r = list_ours(x, family, &ours);

	for (size_t i = 0; r == 0 && i < ours.n; i++) {
		if (is_in(&ours.rules[i], kept, n))
			continue;
		message_change_rule(&request, &ours.rules[i], false);
		r = exchange_change(x, &request);
		if (r == -ENOENT)
			r = 0; /* somebody else was first */
	}
	return r;
}

static int add(struct exchange *x, const struct rule *rule)
{
	union message_buffer request;
	int r;

	message_change_rule(&request, rule, true);
	r = exchange_change(x, &request);
	return r == -EEXIST ? 0 : r;
}

int netif_set_rules(uint8_t family, uint32_t table, uint32_t mark)
{
	const struct rule pair[PAIR] = {
		{.family = family,
		 .priority = RULE_PRIORITY_EXACT,
		 .table = ROUTE_TABLE_MAIN,
		 .skips_defaults = true},
		{.family = family,
		 .priority = RULE_PRIORITY_TUNNEL,
		 .table = table,
		 .mark = mark,
		 .is_inverted = true},
	};
	struct exchange x;
	int r = exchange_open(&x);

	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < PAIR; i++)
		r = add(&x, &pair[i]);
	if (r == 0)
		r = remove_others(&x, family, pair, PAIR);
	exchange_close(&x);
	return r;
}

int netif_remove_rules(uint8_t family)
{
	struct exchange x;
	int r = exchange_open(&x);

	if (r < 0)
		return r;
	r = remove_others(&x, family, NULL, 0);
	exchange_close(&x);
	return r;
}

struct search {
	uint32_t table;
	bool has_found;
};

static void search_again(void *ctx)
{
	struct search *s = ctx;

	s->has_found = false;
}

static int look(void *ctx, const struct nlmsghdr *message)
{
	struct search *s = ctx;
	uint32_t table = 0;
	int r = message_parse_route_table(message, &table);

	s->has_found |= r == 0 && table == s->table;
	return r;
}

static int is_empty(struct exchange *x, uint8_t family, uint32_t table)
{
	struct search s = {.table = table};
	const struct exchange_dump dump = {
		.type = RTM_NEWROUTE, .restart = search_again, .each = look, .ctx = &s};
	union message_buffer request;
	int r;

	message_dump_routes(&request, family);
	r = exchange_dump(x, &request, &dump);
	return r < 0 ? r : !s.has_found;
}

static int remove_stale(struct exchange *x, uint8_t family, uint32_t table)
{
	struct list ours;
	int r = list_ours(x, family, &ours);

	/* Routes may be many, and rules of ours are hardly ever there at this time. */
	if (r == 0 && ours.n)
		r = is_empty(x, family, table);
	return r == 1 ? remove_others(x, family, NULL, 0) : r;
}

int netif_remove_stale_rules(uint32_t table)
{
	struct exchange x;
	int r = exchange_open(&x);

	if (r < 0)
		return r;
	r = remove_stale(&x, AF_INET, table);
	if (r == 0)
		r = remove_stale(&x, AF_INET6, table);
	exchange_close(&x);
	return r;
}
