/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Changes of settings over time, as lines in the order of their times; '#' begins a comment:
 *
 *	4s up.rate=20mbit
 *	8s up.rate=100mbit
 *	repeat 8s		begin again at that time
 *
 * Time comes in as an argument; allocates only while lines are added.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "settings.h"

struct schedule_entry {
	nsec_t at;  /* since the start */
	char *line; /* for settings_assign(), where it has been tried */
};

struct schedule {
	struct schedule_entry *entries;
	size_t used;
	size_t next;   /* not yet due */
	nsec_t repeat; /* 0: once only */
	nsec_t start;
};

/* Zero-initialised. */
void schedule_deinit(struct schedule *s);

/* 0, -ENOMEM, -EINVAL (also for a time before the last), or what settings_assign() says. */
int schedule_add(struct schedule *s, const char *line);
/* Adds all lines; the number of the wrong one is in `ret_line`. */
int schedule_read(struct schedule *s, FILE *file, unsigned *ret_line);

/* From the beginning, at `now`. */
void schedule_start(struct schedule *s, nsec_t now);
/* The line that is due, each once; NULL when none is. */
const char *schedule_due(struct schedule *s, nsec_t now);
/* When the next is; or NSEC_NEVER. */
nsec_t schedule_next(const struct schedule *s);
