/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Programs of the user's that are run when something happens: one after the other, in the order of
 * the events, by a process of its own, so that nobody waits for them. Each gets an environment of
 * VTRUNKD_... and nothing else, no shell is between, and one that takes too long is killed with all
 * that it has started.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/clock.h"

#define HOOK_PATH_MAX 200
#define HOOK_TIMEOUT (30 * NSEC_PER_SEC)
/* At the end; in all less than the time after which a container is expected to have stopped. */
#define HOOKS_LAST_WORDS NSEC_PER_SEC
#define HOOKS_MERCY (NSEC_PER_SEC / 2)

/* What is to be run, as it goes to that process. Texts end with a zero. */
struct hook {
	char path[HOOK_PATH_MAX];
	char event[32];
	uint16_t len; /* of what follows: KEY=VALUE, each with a zero */
	char environment[1000];
};

struct hooks {
	int fd; /* -1: there is no such process */
	pid_t runner;
};

/* Starts the process, in which `forget_secrets` is called first. 0 or -errno. */
int hooks_start(void (*forget_secrets)(void *ctx), void *ctx, struct hooks *ret);
/* 0; -EAGAIN where so many wait that this one is not run; or -errno. Never blocks. */
int hooks_run(const struct hooks *hooks, const struct hook *h);
/*
 * What waits is still run; that is awaited for a moment. Then the one that runs gets SIGTERM, and
 * what still does not end is left alone.
 */
void hooks_end(struct hooks *hooks);

/* Adds a variable. False where it has no room. */
bool hook_set(struct hook *h, const char *key, const char *value);
