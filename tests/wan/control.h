/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Commands while the wire runs: a Unix datagram socket. Each datagram is a line; whoever sent
 * it from a bound socket gets an answer.
 */
#pragma once

#include <stdio.h>
#include <sys/un.h>

struct control {
	int fd; /* -1: there is none */
	struct sockaddr_un address;
};

/* Writes the answer to a line. */
typedef void (*control_handler)(void *context, const char *line, FILE *answer);

/* 0 or -errno. A socket left over at the path is replaced. */
int control_open(struct control *ret, const char *path);
void control_close(struct control *c);
/* Answers all that is there; never blocks. */
void control_serve(struct control *c, control_handler handle, void *context);
