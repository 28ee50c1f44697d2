/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "settings.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPACE " \t\r\n"

struct unit {
	const char *name;
	double factor;
};

static const struct unit time_units[] = {{"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {}};
static const struct unit rate_units[] = {
	{"bit", 1}, {"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}, {}};
static const struct unit size_units[] = {{"", 1}, {"b", 1}, {"kb", 1024}, {"mb", 1024 * 1024}, {}};
static const struct unit share_units[] = {{"%", 0.01}, {}};

/* A number of at least 0 with one of the units; far below the limits of an int64_t. */
static int parse_number(double *ret, const char *text, const struct unit *units)
{
	char *end;
	double number = strtod(text, &end);

	if (end == text || !isfinite(number) || number < 0)
		return -EINVAL;
	for (; units->name; units++) {
		if (strcmp(end, units->name) != 0)
			continue;
		if (number * units->factor > 1e15)
			return -EINVAL;
		*ret = number * units->factor;
		return 0;
	}
	return -EINVAL;
}

int settings_parse_time(nsec_t *ret, const char *text)
{
	double ns;
	int r = parse_number(&ns, text, time_units);

	if (r < 0)
		return r;
	*ret = (nsec_t)llround(ns);
	return 0;
}

static int parse_count(uint64_t *ret, const char *text, const struct unit *units)
{
	double number;
	int r;

	if (strcmp(text, "none") == 0) {
		*ret = 0;
		return 0;
	}
	r = parse_number(&number, text, units);
	if (r < 0)
		return r;
	if (llround(number) == 0)
		return -EINVAL; /* would mean "none", which is said by that word */
	*ret = (uint64_t)llround(number);
	return 0;
}

static int set_rate(void *field, const char *value)
{
	return parse_count(field, value, rate_units);
}

static int set_size(void *field, const char *value)
{
	return parse_count(field, value, size_units);
}

static int set_mtu(void *field, const char *value)
{
	uint64_t mtu;
	int r = parse_count(&mtu, value, size_units);

	if (r < 0)
		return r;
	if (mtu && mtu < SETTINGS_MTU_MIN)
		return -EINVAL;
	*(uint64_t *)field = mtu;
	return 0;
}

static int set_time(void *field, const char *value)
{
	return settings_parse_time(field, value);
}

static int set_share(void *field, const char *value)
{
	double share;
	int r = parse_number(&share, value, share_units);

	if (r < 0)
		return r;
	if (share > 1)
		return -EINVAL;
	*(double *)field = share;
	return 0;
}

static int set_switch(void *field, const char *value)
{
	bool is_on = strcmp(value, "yes") == 0;

	if (!is_on && strcmp(value, "no") != 0)
		return -EINVAL;
	*(bool *)field = is_on;
	return 0;
}

/* A time or a size, of which the other is then forgotten. */
static int set_queue(void *field, const char *value)
{
	struct settings *s = field;

	if (settings_parse_time(&s->queue_ns, value) == 0) {
		s->queue_bytes = 0;
		return s->queue_ns > 0 ? 0 : -EINVAL;
	}
	s->queue_ns = 0;
	return set_size(&s->queue_bytes, value);
}

static const struct key {
	const char *name;
	size_t offset; /* of the field that set() gets */
	int (*set)(void *field, const char *value);
} keys[] = {
	{"rate", offsetof(struct settings, rate_bps), set_rate},
	{"queue", 0, set_queue},
	{"delay", offsetof(struct settings, delay), set_time},
	{"jitter", offsetof(struct settings, jitter), set_time},
	{"jitter_reorders", offsetof(struct settings, jitter_reorders), set_switch},
	{"reorder", offsetof(struct settings, reorder), set_share},
	{"reorder_by", offsetof(struct settings, reorder_by), set_time},
	{"loss", offsetof(struct settings, loss), set_share},
	{"burst_enter", offsetof(struct settings, burst_enter), set_share},
	{"burst_leave", offsetof(struct settings, burst_leave), set_share},
	{"burst_loss", offsetof(struct settings, burst_loss), set_share},
	{"duplicate", offsetof(struct settings, duplicate), set_share},
	{"corrupt", offsetof(struct settings, corrupt), set_share},
	{"mtu", offsetof(struct settings, mtu), set_mtu},
	{"mtu_icmp", offsetof(struct settings, mtu_icmp), set_switch},
	{"blackout", offsetof(struct settings, blackout), set_switch},
};

static int set_key(struct settings *s, const char *name, const char *value)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(keys[i].name, name) == 0)
			return keys[i].set((char *)s + keys[i].offset, value);
	return -ENOENT;
}

static int assign_word(struct settings ways[WAYS], char *word)
{
	char *value = strchr(word, '=');
	char *dot = strchr(word, '.');
	int r = 0;

	if (!value)
		return -EINVAL;
	*value++ = '\0';
	if (!dot || dot > value) {
		for (int way = 0; way < WAYS && r == 0; way++)
			r = set_key(&ways[way], word, value);
		return r;
	}
	*dot++ = '\0';
	if (strcmp(word, "up") == 0)
		return set_key(&ways[UP], dot, value);
	if (strcmp(word, "down") == 0)
		return set_key(&ways[DOWN], dot, value);
	return -ENOENT;
}

int settings_assign(struct settings ways[WAYS], const char *line, char ret_wrong[SETTINGS_WORD_MAX])
{
	struct settings changed[WAYS];
	char word[SETTINGS_WORD_MAX];
	int r;

	memcpy(changed, ways, sizeof(changed));
	for (line += strspn(line, SPACE); *line; line += strspn(line, SPACE)) {
		int len = (int)strcspn(line, SPACE);

		/* One that is cut short here is too long to be right. */
		snprintf(word, sizeof(word), "%.*s", len, line);
		memcpy(ret_wrong, word, sizeof(word));
		r = (size_t)len < sizeof(word) ? assign_word(changed, word) : -EINVAL;
		if (r < 0)
			return r;
		line += len;
	}
	memcpy(ways, changed, sizeof(changed));
	return 0;
}
