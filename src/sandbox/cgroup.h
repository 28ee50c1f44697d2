/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A control group (version 2) for one process and its threads, with limits. It is made for one
 * instance of the daemon, whose id is in its name, so that nobody else's is ever touched.
 */
#pragma once

#include <limits.h>
#include <stdint.h>

#include "sandbox/sandbox.h"

#define CGROUP_NAME_MAX 64
/* Where there are limits and no name. */
#define CGROUP_DEFAULT "vtrunkd"

struct cgroup_settings {
	char name[CGROUP_NAME_MAX]; /* below the root of all groups; "": no group */
	uint64_t memory_bytes;	    /* each: 0: no limit */
	uint32_t cpu_percent;	    /* of one processor */
	uint32_t pids;		    /* threads are counted */
};

struct cgroup {
	char path[PATH_MAX]; /* "": none */
};

/* Where the groups are mounted, as /proc/self/mounts says. 0, -ENOENT or another -errno. */
int cgroup_find_root(char ret[PATH_MAX]);

/*
 * Makes `name`-`instance` below `root`, and sets its limits; one that was made before is used
 * again. What cannot be had is a warning; without the directory there is no group.
 */
void cgroup_make(struct cgroup *ret, const char *root, const struct cgroup_settings *s,
		 const char *instance, sandbox_warn_fn warn, void *ctx);
/* The calling process moves into it; its threads and children will be in it, too. 0 or -errno. */
int cgroup_join(const struct cgroup *g);
/* Nobody is in it any more. 0 or -errno. */
int cgroup_remove(struct cgroup *g);
/* The same for that of an instance which was killed; 0 where it has none. */
int cgroup_reclaim(const char *root, const struct cgroup_settings *s, const char *instance);
