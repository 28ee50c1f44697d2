/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What the traffic tools of scripts/bench share: they end with an error, or on SIGINT and SIGTERM.
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NSEC 1000000000LL

static volatile sig_atomic_t is_stopped;

static inline void stop(int number)
{
	(void)number;
	is_stopped = 1;
}

static inline void stop_on_signals(void)
{
	const struct sigaction action = {.sa_handler = stop}; /* calls end, none is begun again */

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static inline void need(bool is_fine, const char *what)
{
	if (is_fine)
		return;
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	exit(EXIT_FAILURE);
}

static inline int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC + ts.tv_nsec;
}

static inline struct sockaddr_in parse_address(const char *address, const char *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};

	need(inet_pton(AF_INET, address, &a.sin_addr) == 1, address);
	return a;
}
