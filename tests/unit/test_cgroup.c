/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Files of the kernel's, of which only a part may be written, and a tree of files that looks like
 * that of control groups.
 */
#include "check_main.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/cgroup.h"
#include "util/kernel_file.h"

#define INSTANCE "0123456789abcdef"

static char root[64];
static char group[128];
static unsigned n_writes;
/* What is the matter with the next writes: how many fail, and how. */
static unsigned n_failing;
static int failure; /* an errno; 0: only one byte is taken */

/* In place of the library's. */
ssize_t pwrite(int fd, const void *text, size_t len, off_t at);
ssize_t pwrite(int fd, const void *text, size_t len, off_t at)
{
	n_writes++;
	if (n_failing && failure) {
		n_failing--;
		errno = failure;
		return -1;
	}
	if (n_failing) {
		n_failing--;
		len = 1;
	}
	return syscall(SYS_pwrite64, fd, text, len, at);
}

static const char *in(const char *directory, const char *file)
{
	static char path[192];

	snprintf(path, sizeof(path), "%s/%s", directory, file);
	return path;
}

static void make_file(const char *path)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fclose(f);
}

static void check_file(const char *path, const char *want)
{
	char text[64] = "";

	ck_assert_int_eq(kernel_file_read(path, text, sizeof(text)), 0);
	ck_assert_str_eq(text, want);
}

static const char *const files[] = {"memory.max", "cpu.max", "pids.max", "cgroup.procs"};
#define N_FILES (sizeof(files) / sizeof(*files))

/* A kernel would fill the group when it is made; here it is there before. */
static void make_tree(void)
{
	strcpy(root, "/tmp/vtrunkd-cgroup-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
	snprintf(group, sizeof(group), "%s/vpn-" INSTANCE, root);
	ck_assert_int_eq(mkdir(group, 0755), 0);
	make_file(in(root, "cgroup.subtree_control"));
	for (size_t i = 0; i < N_FILES; i++)
		make_file(in(group, files[i]));
	n_writes = n_failing = 0;
	failure = 0;
}

static void empty_group(void)
{
	for (size_t i = 0; i < N_FILES; i++)
		unlink(in(group, files[i]));
}

static void remove_tree(void)
{
	empty_group();
	rmdir(group);
	unlink(in(root, "cgroup.subtree_control"));
	ck_assert_int_eq(rmdir(root), 0);
}

static char warnings[256];

static void note(void *ctx, const char *what, int error)
{
	size_t len = strlen(warnings);

	(void)ctx;
	snprintf(warnings + len, sizeof(warnings) - len, "%s: %s; ", what, strerrorname_np(error));
}

static const struct cgroup_settings limits = {
	.name = "vpn", .memory_bytes = (64 << 20) + 5, .cpu_percent = 150, .pids = 40};

START_TEST(value_that_is_cut_is_written_again_as_a_whole)
{
	const char *path = in(root, "cgroup.subtree_control");

	n_failing = 2;
	ck_assert_int_eq(kernel_file_write(path, "+memory"), 0);
	ck_assert_uint_eq(n_writes, 3);
	check_file(path, "+memory");
}
END_TEST

START_TEST(value_that_is_always_cut_is_an_error)
{
	n_failing = 1000;
	ck_assert_int_eq(kernel_file_write(in(root, "cgroup.subtree_control"), "+memory"), -EIO);
}
END_TEST

START_TEST(interruptions_are_passed_over)
{
	static const int errors[] = {EINTR, EAGAIN};

	for (size_t i = 0; i < 2; i++) {
		failure = errors[i];
		n_failing = 3;
		ck_assert_int_eq(kernel_file_write(in(root, "cgroup.subtree_control"), "+cpu"), 0);
	}
	failure = EBUSY;
	n_failing = 1;
	ck_assert_int_eq(kernel_file_write(in(root, "cgroup.subtree_control"), "+cpu"), -EBUSY);
}
END_TEST

START_TEST(value_that_is_not_in_force_is_an_error)
{
	/* The kernel takes it, and says something else. */
	ck_assert_int_eq(kernel_file_set("/dev/null", "1"), -EBADMSG);
	ck_assert_int_eq(kernel_file_set(in(root, "none"), "1"), -ENOENT);
}
END_TEST

START_TEST(first_line_is_read)
{
	char text[8];

	ck_assert_int_eq(kernel_file_write(in(group, "cpu.max"), "12345\n678"), 0);
	check_file(in(group, "cpu.max"), "12345");
	ck_assert_int_eq(kernel_file_write(in(group, "cpu.max"), "1234567890"), 0);
	ck_assert_int_eq(kernel_file_read(in(group, "cpu.max"), text, sizeof(text)), -EMSGSIZE);
}
END_TEST

START_TEST(group_has_the_instance_in_its_name_and_the_limits)
{
	struct cgroup g = {0};

	*warnings = '\0';
	n_failing = 1; /* also where a write is cut */
	cgroup_make(&g, root, &limits, INSTANCE, note, NULL);
	ck_assert_str_eq(warnings, "");
	ck_assert_str_eq(g.path, group);
	check_file(in(group, "memory.max"), "67108864");
	check_file(in(group, "cpu.max"), "150000 100000");
	check_file(in(group, "pids.max"), "40");
	ck_assert_int_eq(cgroup_join(&g), 0);
	check_file(in(group, "cgroup.procs"), "0");
}
END_TEST

START_TEST(limit_that_is_not_to_be_had_is_named)
{
	struct cgroup g = {0};

	*warnings = '\0';
	unlink(in(group, "memory.max"));
	cgroup_make(&g, root, &limits, INSTANCE, note, NULL);
	ck_assert_str_eq(warnings, "memory_max is not in force: EOPNOTSUPP; ");
	check_file(in(group, "pids.max"), "40");
}
END_TEST

START_TEST(group_that_cannot_be_made_is_none)
{
	struct cgroup g = {0};

	*warnings = '\0';
	cgroup_make(&g, "/nonexistent", &limits, INSTANCE, note, NULL);
	ck_assert_str_eq(warnings, "the group cannot be made: ENOENT; ");
	ck_assert_str_eq(g.path, "");
	ck_assert_int_eq(cgroup_remove(&g), 0);
}
END_TEST

START_TEST(group_is_removed_and_nobody_elses)
{
	struct cgroup g = {0};
	char other[128];

	snprintf(other, sizeof(other), "%s/vpn-fedcba9876543210", root);
	ck_assert_int_eq(mkdir(other, 0755), 0);
	*warnings = '\0';
	cgroup_make(&g, root, &limits, INSTANCE, note, NULL);
	empty_group();
	ck_assert_int_eq(cgroup_remove(&g), 0);
	ck_assert_int_eq(access(group, F_OK), -1);
	ck_assert_int_eq(cgroup_remove(&g), 0);
	ck_assert_int_eq(access(other, F_OK), 0);
	ck_assert_int_eq(cgroup_reclaim(root, &limits, INSTANCE), 0);
	ck_assert_int_eq(cgroup_reclaim(root, &limits, "fedcba9876543210"), 0);
	ck_assert_int_eq(access(other, F_OK), -1);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("cgroup");
	TCase *tc = tcase_create("all");

	tcase_add_checked_fixture(tc, make_tree, remove_tree);
	tcase_add_test(tc, value_that_is_cut_is_written_again_as_a_whole);
	tcase_add_test(tc, value_that_is_always_cut_is_an_error);
	tcase_add_test(tc, interruptions_are_passed_over);
	tcase_add_test(tc, value_that_is_not_in_force_is_an_error);
	tcase_add_test(tc, first_line_is_read);
	tcase_add_test(tc, group_has_the_instance_in_its_name_and_the_limits);
	tcase_add_test(tc, limit_that_is_not_to_be_had_is_named);
	tcase_add_test(tc, group_that_cannot_be_made_is_none);
	tcase_add_test(tc, group_is_removed_and_nobody_elses);
	suite_add_tcase(s, tc);
	return s;
}
