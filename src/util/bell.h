/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Wakes one thread that sleeps in poll when there is something to read in a file; but not while it
 * is muted, so that another thread can read in the sleeper's place. What is left in the file then
 * wakes the sleeper as soon as the bell is unmuted.
 */
#pragma once

struct bell {
	int fd; /* readable while the file is and the bell is not muted */
	int file;
};

/* 0 or -errno. The file outlives the bell. */
int bell_init(struct bell *b, int file);
void bell_deinit(struct bell *b);

/* Any thread, one at a time; each mute is followed by an unmute. */
void bell_mute(struct bell *b);
void bell_unmute(struct bell *b);
