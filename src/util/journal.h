/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * systemd's journal, spoken to directly: one datagram for each entry, whose fields can be searched
 * (systemd.io/JOURNAL_NATIVE_PROTOCOL). Any thread.
 */
#pragma once

#include <stdbool.h>

#include "util/record.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* Does the journal read descriptor `fd`? Then it has said so in the environment. */
bool journal_reads(int fd);
/* A connected socket, which outlives a change of the root directory; or -errno. */
int journal_open(const char *path);
/* `record` (may be NULL) gives more fields. What the journal does not take is lost. */
void journal_send(int fd, int level, const char *message, const struct record *record);
