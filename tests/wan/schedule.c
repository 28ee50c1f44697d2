/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "schedule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SPACE " \t\r\n"
#define LINE_MAX_BYTES 1024

void schedule_deinit(struct schedule *s)
{
	for (size_t i = 0; i < s->used; i++)
		free(s->entries[i].line);
	free(s->entries);
	*s = (struct schedule){};
}

static nsec_t last_time(const struct schedule *s)
{
	return s->used ? s->entries[s->used - 1].at : 0;
}

static int set_repeat(struct schedule *s, const char *text)
{
	nsec_t repeat;
	int r = settings_parse_time(&repeat, text);

	if (r < 0)
		return r;
	if (repeat <= 0 || repeat < last_time(s))
		return -EINVAL;
	s->repeat = repeat;
	return 0;
}

static int append(struct schedule *s, nsec_t at, const char *line)
{
	struct schedule_entry *more;
	char *copy;

	if (at < last_time(s) || (s->repeat && at > s->repeat))
		return -EINVAL;
	more = reallocarray(s->entries, s->used + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	s->entries = more;
	copy = strdup(line);
	if (!copy)
		return -ENOMEM;
	s->entries[s->used++] = (struct schedule_entry){at, copy};
	return 0;
}

static int try_settings(const char *line)
{
	struct settings scratch[WAYS] = {SETTINGS_DEFAULT, SETTINGS_DEFAULT};
	char wrong[SETTINGS_WORD_MAX];

	return settings_assign(scratch, line, wrong);
}

int schedule_add(struct schedule *s, const char *line)
{
	char buffer[LINE_MAX_BYTES], *first, *rest;
	nsec_t at;
	int r;

	if (strlen(line) >= sizeof(buffer))
		return -EINVAL;
	strcpy(buffer, line);
	buffer[strcspn(buffer, "#")] = '\0';
	first = strtok_r(buffer, SPACE, &rest);
	if (!first)
		return 0;
	if (strcmp(first, "repeat") == 0) {
		first = strtok_r(NULL, SPACE, &rest);
		return first && !strtok_r(NULL, SPACE, &rest) ? set_repeat(s, first) : -EINVAL;
	}
	r = settings_parse_time(&at, first);
	if (r == 0)
		r = try_settings(rest);
	return r == 0 ? append(s, at, rest) : r;
}

int schedule_read(struct schedule *s, FILE *file, unsigned *ret_line)
{
	char line[LINE_MAX_BYTES];
	int r = 0;

	*ret_line = 0;
	while (r == 0 && fgets(line, sizeof(line), file)) {
		(*ret_line)++;
		if (!strchr(line, '\n') && !feof(file))
			return -EINVAL; /* too long */
		r = schedule_add(s, line);
	}
	return r;
}

void schedule_start(struct schedule *s, nsec_t now)
{
	s->start = now;
	s->next = 0;
}

nsec_t schedule_next(const struct schedule *s)
{
	if (s->next < s->used)
		return s->start + s->entries[s->next].at;
	return NSEC_NEVER;
}

const char *schedule_due(struct schedule *s, nsec_t now)
{
	const char *line;

	if (schedule_next(s) > now)
		return NULL;
	line = s->entries[s->next++].line;
	if (s->next == s->used && s->repeat) {
		s->start += s->repeat;
		s->next = 0;
	}
	return line;
}
