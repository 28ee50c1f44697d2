/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The PID file against its rivals, and the fork whose parent tells how it went. */
#include "check_main.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/daemonize.h"
#include "core/pidfile.h"

static char directory[64];
static char path[96];

static void make_directory(void)
{
	strcpy(directory, "/tmp/vtrunkd-pidfile-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/pid", directory);
}

static void remove_directory(void)
{
	unlink(path);
	ck_assert_int_eq(rmdir(directory), 0);
}

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static void check_content(const char *want)
{
	char text[64] = "";
	FILE *f = fopen(path, "r");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_lt(fread(text, 1, sizeof(text) - 1, f), sizeof(text) - 1);
	fclose(f);
	ck_assert_str_eq(text, want);
}

static void check_is_ours(void)
{
	char want[16];

	snprintf(want, sizeof(want), "%d\n", getpid());
	check_content(want);
}

START_TEST(taken_file_holds_our_number_until_released)
{
	struct pidfile p;
	struct stat st;
	struct pidfile_owner owner;

	ck_assert_int_eq(pidfile_take(&p, path, NULL, &owner), 0);
	check_is_ours();
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0133, 0);
	pidfile_release(&p);
	ck_assert_int_eq(access(path, F_OK), -1);
	pidfile_release(&p);
}
END_TEST

START_TEST(second_daemon_is_told_who_runs)
{
	struct pidfile first, second = {.fd = -1};
	struct pidfile_owner owner = {0};

	ck_assert_int_eq(pidfile_take(&first, path, NULL, &owner), 0);
	ck_assert_int_eq(pidfile_take(&second, path, NULL, &owner), -EBUSY);
	ck_assert_int_eq(owner.pid, getpid());
	pidfile_release(&second);
	check_is_ours();
	pidfile_release(&first);
	ck_assert_int_eq(pidfile_take(&second, path, NULL, &owner), 0);
	pidfile_release(&second);
}
END_TEST

START_TEST(daemon_that_is_ending_is_waited_for)
{
	struct pidfile first, second = {.fd = -1};
	struct pidfile_owner owner = {0};
	int ready[2];
	char byte;
	pid_t child;

	ck_assert_int_eq(pipe(ready), 0);
	child = fork();
	if (!child) {
		if (pidfile_take(&first, path, NULL, &owner) < 0 || write(ready[1], "", 1) != 1)
			_exit(1);
		usleep(100000); /* its ending */
		pidfile_release(&first);
		_exit(0);
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_int_eq(pidfile_take(&second, path, NULL, &owner), -EBUSY);
	ck_assert_int_eq(pidfile_take_patiently(&second, path, NULL, &owner), 0);
	ck_assert_int_eq(owner.pid, 0);
	check_is_ours();
	pidfile_release(&second);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	close(ready[0]);
	close(ready[1]);
}
END_TEST

START_TEST(lock_without_a_number_yet_is_respected)
{
	struct pidfile p = {.fd = -1};
	int fd = open(path, O_RDWR | O_CREAT, 0644);
	struct pidfile_owner owner = {.pid = 1};

	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	ck_assert_int_eq(pidfile_take(&p, path, NULL, &owner), -EBUSY);
	ck_assert_int_eq(owner.pid, 0);
	close(fd);
}
END_TEST

START_TEST(file_of_a_killed_daemon_is_used_again)
{
	struct pidfile p;
	struct pidfile_owner owner;

	write_file("2147483647\n");
	ck_assert_int_eq(pidfile_take(&p, path, NULL, &owner), 0);
	check_is_ours();
	pidfile_release(&p);
}
END_TEST

START_TEST(instance_of_a_killed_daemon_is_told)
{
	struct pidfile p = {.fd = -1};
	struct pidfile_owner owner;

	write_file("2147483647\n0123456789abcdef\n");
	ck_assert_int_eq(pidfile_take(&p, path, "fedcba9876543210", &owner), 0);
	ck_assert_int_eq(owner.pid, 2147483647);
	ck_assert_str_eq(owner.instance, "0123456789abcdef");
	pidfile_release(&p);
}
END_TEST

START_TEST(second_daemon_is_told_the_instance)
{
	struct pidfile first, second = {.fd = -1};
	struct pidfile_owner owner;

	ck_assert_int_eq(pidfile_take(&first, path, "fedcba9876543210", &owner), 0);
	ck_assert_str_eq(owner.instance, "");
	ck_assert_int_eq(pidfile_take(&second, path, "0123456789abcdef", &owner), -EBUSY);
	ck_assert_str_eq(owner.instance, "fedcba9876543210");
	pidfile_release(&first);
}
END_TEST

START_TEST(other_files_are_left_alone)
{
	static const char *const texts[] = {"root:x:0:0:\n",
					    "12 13\n",
					    "-1\n",
					    "99999999999999999\n",
					    "123456789012345678901234567890\n",
					    "1\n0123456789abcdeX\n",
					    "1\n0123456789abcdef\n2\n"};
	struct pidfile p = {.fd = -1};
	struct pidfile_owner owner;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		write_file(texts[i]);
		ck_assert_int_eq(pidfile_take(&p, path, NULL, &owner), -EEXIST);
		check_content(texts[i]);
	}
	unlink(path);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(pidfile_take(&p, path, NULL, &owner), -EEXIST);
	unlink(path);
	ck_assert_int_eq(symlink("/dev/null", path), 0);
	ck_assert_int_eq(pidfile_take(&p, path, NULL, &owner), -ELOOP);
}
END_TEST

START_TEST(missing_directory_is_an_error)
{
	struct pidfile p = {.fd = -1};
	char lost[128];
	struct pidfile_owner owner;

	snprintf(lost, sizeof(lost), "%s/none/pid", directory);
	ck_assert_int_eq(pidfile_take(&p, lost, NULL, &owner), -ENOENT);
}
END_TEST

START_TEST(file_of_somebody_else_is_not_removed)
{
	struct pidfile p;
	struct pidfile_owner owner;

	ck_assert_int_eq(pidfile_take(&p, path, NULL, &owner), 0);
	unlink(path);
	write_file("1\n");
	pidfile_release(&p);
	check_content("1\n");
}
END_TEST

/* What the child of a fork does, and with what status its parent would end. */
static int launch(void (*child)(struct daemonize *d))
{
	struct daemonize d;

	ck_assert_int_eq(daemonize_fork(&d), 0);
	if (d.child == 0) {
		child(&d);
		_exit(0);
	}
	return daemonize_wait(&d);
}

static void get_ready(struct daemonize *d)
{
	char cwd[8] = "";
	struct stat terminal, null;

	if (getsid(0) != getpid() || !getcwd(cwd, sizeof(cwd)) || strcmp(cwd, "/") != 0)
		_exit(1);
	if (daemonize_leave_terminal(open("/dev/null", O_RDWR)) < 0 || stat("/dev/null", &null) < 0)
		_exit(1);
	for (int fd = 0; fd <= 2; fd++)
		if (fstat(fd, &terminal) < 0 || terminal.st_rdev != null.st_rdev ||
		    (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR)
			_exit(1);
	if (daemonize_tell_ready(d) < 0)
		_exit(1);
}

static void end_with_three(struct daemonize *d)
{
	(void)d;
	_exit(3);
}

static void end_early(struct daemonize *d)
{
	(void)d;
	_exit(0);
}

static void say_something_else(struct daemonize *d)
{
	_exit(write(d->ready_fd, "", 1) == 1 ? 4 : 5);
}

static void crash(struct daemonize *d)
{
	(void)d;
	raise(SIGKILL);
}

START_TEST(parent_succeeds_when_the_child_is_ready)
{
	ck_assert_int_eq(launch(get_ready), 0);
	wait(NULL);
}
END_TEST

START_TEST(parent_fails_with_the_child)
{
	ck_assert_int_eq(launch(end_with_three), 3);
	ck_assert_int_eq(launch(end_early), 1);
	ck_assert_int_eq(launch(say_something_else), 4);
	ck_assert_int_eq(launch(crash), 1);
}
END_TEST

START_TEST(child_learns_that_its_parent_is_gone)
{
	struct daemonize d;
	int fds[2];

	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(pipe(fds), 0);
	close(fds[0]);
	d = (struct daemonize){.ready_fd = fds[1]};
	ck_assert_int_eq(daemonize_tell_ready(&d), -EPIPE);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("pidfile");
	TCase *tc = tcase_create("pidfile");

	tcase_add_checked_fixture(tc, make_directory, remove_directory);
	tcase_add_test(tc, taken_file_holds_our_number_until_released);
	tcase_add_test(tc, second_daemon_is_told_who_runs);
	tcase_add_test(tc, daemon_that_is_ending_is_waited_for);
	tcase_add_test(tc, lock_without_a_number_yet_is_respected);
	tcase_add_test(tc, file_of_a_killed_daemon_is_used_again);
	tcase_add_test(tc, instance_of_a_killed_daemon_is_told);
	tcase_add_test(tc, second_daemon_is_told_the_instance);
	tcase_add_test(tc, other_files_are_left_alone);
	tcase_add_test(tc, missing_directory_is_an_error);
	tcase_add_test(tc, file_of_somebody_else_is_not_removed);
	suite_add_tcase(suite, tc);

	tc = tcase_create("daemonize");
	tcase_add_test(tc, parent_succeeds_when_the_child_is_ready);
	tcase_add_test(tc, parent_fails_with_the_child);
	tcase_add_test(tc, child_learns_that_its_parent_is_gone);
	suite_add_tcase(suite, tc);
	return suite;
}
