/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* https://docs.kernel.org/admin-guide/cgroup-v2.html */
#include "sandbox/cgroup.h"

#include <errno.h>
#include <inttypes.h>
#include <mntent.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/kernel_file.h"

#define MOUNTS "/proc/self/mounts"
/* Of cpu.max, and the kernel's default. */
#define CPU_PERIOD_USECS 100000
/* A group is empty a moment after its last process has ended. */
#define REMOVE_TRIES 50
#define REMOVE_PAUSE_MS 10

int cgroup_find_root(char ret[PATH_MAX])
{
	FILE *mounts = setmntent(MOUNTS, "re");
	const struct mntent *m;
	int r = -ENOENT;

	if (!mounts)
		return -errno;
	while (r < 0 && (m = getmntent(mounts)))
		if (!strcmp(m->mnt_type, "cgroup2") && strlen(m->mnt_dir) < PATH_MAX) {
			strcpy(ret, m->mnt_dir);
			r = 0;
		}
	endmntent(mounts);
	return r;
}

static int join_path(char ret[PATH_MAX], const char *directory, const char *file)
{
	return snprintf(ret, PATH_MAX, "%s/%s", directory, file) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int group_path(char ret[PATH_MAX], const char *root, const char *name, const char *instance)
{
	int n = snprintf(ret, PATH_MAX, "%s/%s-%s", root, name, instance);

	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/*
 * The files of a controller are in a group only if the group above it gives it away. It may do so
 * already, or not be allowed to; whether the limit can be set then tells.
 */
static void enable(const struct cgroup *g, const char *controller)
{
	char above[PATH_MAX];
	char path[PATH_MAX];
	char text[16];

	strcpy(above, g->path);
	*strrchr(above, '/') = '\0';
	snprintf(text, sizeof(text), "+%s", controller);
	if (join_path(path, above, "cgroup.subtree_control") == 0)
		kernel_file_write(path, text);
}

/* `key`: as in the configuration, for messages. */
static void limit(const struct cgroup *g, const char *key, const char *controller,
		  const char *value, sandbox_warn_fn warn, void *ctx)
{
	char path[PATH_MAX];
	char file[16];
	int r;

	snprintf(file, sizeof(file), "%s.max", controller);
	enable(g, controller);
	r = join_path(path, g->path, file);
	if (r == 0)
		r = kernel_file_set(path, value);
	/* No such file: the controller is not there, or not given to this group. */
	if (r < 0)
		warn(ctx, key, r == -ENOENT ? EOPNOTSUPP : -r);
}

static void set_limits(const struct cgroup *g, const struct cgroup_settings *s,
		       sandbox_warn_fn warn, void *ctx)
{
	/* Whole pages, or the kernel would round, and another value would be read. */
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	char text[48];

	if (s->memory_bytes) {
		snprintf(text, sizeof(text), "%" PRIu64, s->memory_bytes / page * page);
		limit(g, "memory_max is not in force", "memory", text, warn, ctx);
	}
	if (s->cpu_percent) {
		snprintf(text, sizeof(text), "%" PRIu64 " %d",
			 (uint64_t)s->cpu_percent * CPU_PERIOD_USECS / 100, CPU_PERIOD_USECS);
		limit(g, "cpu_max is not in force", "cpu", text, warn, ctx);
	}
	if (s->pids) {
		snprintf(text, sizeof(text), "%u", s->pids);
		limit(g, "pids_max is not in force", "pids", text, warn, ctx);
	}
}

void cgroup_make(struct cgroup *ret, const char *root, const struct cgroup_settings *s,
		 const char *instance, sandbox_warn_fn warn, void *ctx)
{
	struct cgroup g;
	int r = group_path(g.path, root, s->name, instance);

	if (r == 0 && mkdir(g.path, 0755) < 0 && errno != EEXIST)
		r = -errno;
	if (r < 0) {
		warn(ctx, "the group cannot be made", -r);
		return;
	}
	set_limits(&g, s, warn, ctx);
	*ret = g;
}

int cgroup_join(const struct cgroup *g)
{
	char path[PATH_MAX];
	int r = join_path(path, g->path, "cgroup.procs");

	/* "0": whoever writes it. */
	return r < 0 ? r : kernel_file_write(path, "0");
}

static int remove_group(const char *path)
{
	int r = rmdir(path) < 0 ? -errno : 0;

	for (int i = 1; r == -EBUSY && i < REMOVE_TRIES; i++) {
		poll(NULL, 0, REMOVE_PAUSE_MS);
		r = rmdir(path) < 0 ? -errno : 0;
	}
	return r;
}

int cgroup_remove(struct cgroup *g)
{
	int r = *g->path ? remove_group(g->path) : 0;

	*g->path = '\0';
	return r;
}

int cgroup_reclaim(const char *root, const struct cgroup_settings *s, const char *instance)
{
	char path[PATH_MAX];
	int r = group_path(path, root, s->name, instance);

	if (r == 0)
		r = remove_group(path);
	return r == -ENOENT ? 0 : r;
}
