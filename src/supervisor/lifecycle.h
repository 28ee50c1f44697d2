/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Reports the engine's life cycle, and the events in it, to whoever started the daemon: a line per
 * event on a descriptor of theirs, and the same to a service manager (the protocol of
 * sd_notify(3)). Nothing here blocks, and a listener that is gone is not an error.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/record.h"

/* 64 random bits as text: two instances never have the same. */
#define INSTANCE_ID_LEN 16

enum lifecycle_format {
	LIFECYCLE_JSON, /* {"event":"spawned","instance":"...","time":1.5,"pid":7} */
	LIFECYCLE_TEXT, /* event=spawned instance=... time=1.5 pid=7 */
};

struct lifecycle {
	int status_fd; /* -1: none */
	enum lifecycle_format format;
	char instance[INSTANCE_ID_LEN + 1];
	int notify_fd;		 /* -1: no service manager */
	uint64_t watchdog_usecs; /* how often it wants to hear from us; 0: not */
};

/* Takes the service manager's address from the environment, and out of it. 0 or -errno. */
int lifecycle_init(struct lifecycle *ret, int status_fd, enum lifecycle_format format);
void lifecycle_deinit(struct lifecycle *l);

/* How an engine has ended, and what becomes of it. */
struct lifecycle_exit {
	pid_t engine; /* 0: there was none */
	int status;   /* as of waitpid() */
	char cause[48];
	unsigned crashes;  /* in a row; 0: this was none */
	unsigned limit;	   /* after so many it is given up */
	nsec_t restart_in; /* NSEC_NEVER: no more */
};

/* In this order, for each engine: */
void lifecycle_spawned(const struct lifecycle *l, pid_t engine);
void lifecycle_setup_finished(const struct lifecycle *l, pid_t engine);
void lifecycle_exited(const struct lifecycle *l, const struct lifecycle_exit *e);

/* What else has happened meanwhile. */
void lifecycle_tell(const struct lifecycle *l, const struct record *r);

/* The event "exited" with its fields, for other listeners. */
void lifecycle_exit_record(const struct lifecycle_exit *e, struct record *ret);
/* Is that one of these three events? */
bool lifecycle_is_own(const char *event);

/* To the service manager alone: a reload has begun, and is over, whether anything came of it. */
void lifecycle_reloading(const struct lifecycle *l);
void lifecycle_reloaded(const struct lifecycle *l);
/* To it alone too; lines of sd_notify(3). */
void lifecycle_notify(const struct lifecycle *l, const char *lines);
