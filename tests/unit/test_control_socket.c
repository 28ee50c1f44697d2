/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The control socket as a file, and vtrunkctl's end of it. */
#include "check_main.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/client.h"
#include "control/server.h"
#include "control/socket.h"

#define PATIENCE (10 * NSEC_PER_SEC)

static char directory[64];
static char path[96];

static void make_directory(void)
{
	strcpy(directory, "/tmp/test_socket.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/sock", directory);
}

/* Fails when a test has left a file behind. */
static void remove_directory(void)
{
	ck_assert_int_eq(rmdir(directory), 0);
}

static unsigned mode_of(const char *file)
{
	struct stat st;

	ck_assert_int_eq(lstat(file, &st), 0);
	return st.st_mode & 07777;
}

static bool exists(const char *file)
{
	return access(file, F_OK) == 0;
}

/* A bound socket at `path`; it listens if `backlog` is not 0. */
static int bind_by_hand(int type, int backlog)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	struct sockaddr_un address;

	ck_assert_int_eq(control_socket_address(&address, path), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (backlog)
		ck_assert_int_eq(listen(fd, backlog), 0);
	return fd;
}

START_TEST(socket_is_for_its_owner_whatever_the_umask)
{
	struct control_socket s;
	mode_t before = umask(0);

	ck_assert_int_eq(control_socket_listen(&s, path), 0);
	ck_assert_uint_eq(mode_of(path), 0600);
	ck_assert_uint_eq(umask(before), 0);
	ck_assert(fcntl(s.fd, F_GETFD) & FD_CLOEXEC);
	control_socket_close(&s);
	ck_assert(!exists(path));
}
END_TEST

START_TEST(missing_directory_is_made)
{
	struct control_socket s;
	mode_t before = umask(077);
	char nested[128];

	snprintf(nested, sizeof(nested), "%s/run/sock", directory);
	ck_assert_int_eq(control_socket_listen(&s, nested), 0);
	umask(before);
	control_socket_close(&s);
	*strrchr(nested, '/') = '\0';
	ck_assert_uint_eq(mode_of(nested), 0755);
	ck_assert_int_eq(rmdir(nested), 0);
}
END_TEST

START_TEST(parents_of_a_missing_directory_are_not_made)
{
	struct control_socket s;
	char nested[128];

	snprintf(nested, sizeof(nested), "%s/a/b/sock", directory);
	ck_assert_int_eq(control_socket_listen(&s, nested), -ENOENT);
}
END_TEST

START_TEST(mode_of_an_existing_directory_stays)
{
	struct control_socket s;

	ck_assert_int_eq(chmod(directory, 0710), 0);
	ck_assert_int_eq(control_socket_listen(&s, path), 0);
	ck_assert_uint_eq(mode_of(directory), 0710);
	control_socket_close(&s);
}
END_TEST

START_TEST(path_is_bounded)
{
	struct sockaddr_un address;
	struct control_socket s;
	char longest[CONTROL_PATH_MAX + 2];

	memset(longest, 'x', sizeof(longest));
	longest[CONTROL_PATH_MAX] = '\0';
	ck_assert_int_eq(control_socket_address(&address, longest), 0);
	ck_assert_str_eq(address.sun_path, longest);
	longest[CONTROL_PATH_MAX] = 'x';
	longest[CONTROL_PATH_MAX + 1] = '\0';
	ck_assert_int_eq(control_socket_address(&address, longest), -ENAMETOOLONG);
	ck_assert_int_eq(control_socket_listen(&s, longest), -ENAMETOOLONG);
	ck_assert_int_eq(control_socket_listen(&s, ""), -EINVAL);
}
END_TEST

START_TEST(socket_of_a_dead_daemon_is_replaced)
{
	struct control_socket s;

	close(bind_by_hand(SOCK_STREAM, 1));
	ck_assert(exists(path));
	ck_assert_int_eq(control_socket_listen(&s, path), 0);
	control_socket_close(&s);
	ck_assert(!exists(path));
}
END_TEST

START_TEST(socket_of_a_living_daemon_is_not_touched)
{
	struct control_socket first;
	struct control_socket second = {.fd = -1};
	struct stat before, after;

	ck_assert_int_eq(control_socket_listen(&first, path), 0);
	ck_assert_int_eq(lstat(path, &before), 0);
	ck_assert_int_eq(control_socket_listen(&second, path), -EADDRINUSE);
	ck_assert_int_eq(second.fd, -1);
	ck_assert_int_eq(lstat(path, &after), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
	control_socket_close(&first);
	ck_assert(!exists(path));
}
END_TEST

START_TEST(socket_with_a_full_backlog_or_of_another_type_is_somebodys)
{
	int full = bind_by_hand(SOCK_STREAM, 1);
	struct control_socket s;
	int clients[8];
	int datagrams;

	for (size_t i = 0; i < 8; i++) {
		struct sockaddr_un address;

		ck_assert_int_eq(control_socket_address(&address, path), 0);
		clients[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(clients[i], (struct sockaddr *)&address, sizeof(address)) < 0)
			ck_assert_int_eq(errno, EAGAIN);
	}
	ck_assert_int_eq(control_socket_listen(&s, path), -EADDRINUSE);
	for (size_t i = 0; i < 8; i++)
		close(clients[i]);
	close(full);
	ck_assert_int_eq(unlink(path), 0);

	datagrams = bind_by_hand(SOCK_DGRAM, 0);
	ck_assert_int_eq(control_socket_listen(&s, path), -EADDRINUSE);
	close(datagrams);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(file_of_another_kind_is_not_removed)
{
	struct control_socket s;
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(control_socket_listen(&s, path), -EEXIST);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(symlink("/nonexistent/target", path), 0);
	ck_assert_int_eq(control_socket_listen(&s, path), -EEXIST);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(socket_that_is_no_longer_ours_is_left)
{
	struct control_socket s;
	char aside[128];
	int other;

	ck_assert_int_eq(control_socket_listen(&s, path), 0);
	/* Renamed, not removed: a new file could get the inode of a removed one. */
	snprintf(aside, sizeof(aside), "%s/aside", directory);
	ck_assert_int_eq(rename(path, aside), 0);
	other = bind_by_hand(SOCK_STREAM, 1);
	control_socket_close(&s);
	ck_assert(exists(path));
	close(other);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(unlink(aside), 0);
}
END_TEST

static struct json_object *new_request(void)
{
	struct json_object *request = json_object_new_object();

	json_object_object_add(request, "id", json_object_new_int(7));
	json_object_object_add(request, "action", json_object_new_string("hello"));
	return request;
}

static int call(struct json_object **ret, nsec_t timeout)
{
	struct json_object *request = new_request();
	int r = control_call(ret, path, request, timeout);

	json_object_put(request);
	return r;
}

struct caller {
	pthread_t thread;
	int done_fd; /* closed by the thread at its end */
	int result;
	struct json_object *answer;
};

static void *run_caller(void *arg)
{
	struct caller *caller = arg;

	caller->result = call(&caller->answer, PATIENCE);
	close(caller->done_fd);
	return NULL;
}

/* Calls from another thread; returns a descriptor that becomes readable when that is done. */
static int start_caller(struct caller *caller)
{
	int fds[2];

	ck_assert_int_eq(pipe(fds), 0);
	*caller = (struct caller){.done_fd = fds[1]};
	ck_assert_int_eq(pthread_create(&caller->thread, NULL, run_caller, caller), 0);
	return fds[0];
}

static enum control_error handle_hello(void *ctx, const struct control_request *request,
				       struct control_reply *reply)
{
	char *text = ctx;

	(void)request;
	memset(text, 'y', 100000);
	reply->data = json_object_new_object();
	json_object_object_add(reply->data, "text", json_object_new_string_len(text, 100000));
	return CONTROL_OK;
}

START_TEST(client_gets_its_answer)
{
	static char text[100000];
	const struct control_action actions[] = {{"hello", handle_hello, text}};
	struct control_socket listener;
	struct control *server;
	struct caller caller;
	struct json_object *data;
	struct pollfd p[2];

	ck_assert_int_eq(control_socket_listen(&listener, path), 0);
	ck_assert_int_eq(control_new(&server, listener.fd, actions, 1), 0);
	p[0] = (struct pollfd){control_fd(server), POLLIN, 0};
	p[1] = (struct pollfd){start_caller(&caller), POLLIN, 0};
	do {
		ck_assert_int_gt(poll(p, 2, 10000), 0);
		control_dispatch(server);
	} while (!p[1].revents);
	pthread_join(caller.thread, NULL);
	close(p[1].fd);

	ck_assert_int_eq(caller.result, 0);
	ck_assert_int_eq(json_object_get_int(json_object_object_get(caller.answer, "id")), 7);
	data = json_object_object_get(caller.answer, "data");
	ck_assert_int_eq(json_object_get_string_len(json_object_object_get(data, "text")), 100000);
	json_object_put(caller.answer);
	control_free(server);
	control_socket_close(&listener);
}
END_TEST

START_TEST(client_says_that_nobody_listens)
{
	struct json_object *answer = NULL;

	ck_assert_int_eq(call(&answer, PATIENCE), -ENOENT);
	close(bind_by_hand(SOCK_STREAM, 1));
	ck_assert_int_eq(call(&answer, PATIENCE), -ECONNREFUSED);
	ck_assert_ptr_null(answer);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(client_does_not_wait_for_ever)
{
	int fd = bind_by_hand(SOCK_STREAM, 8);
	struct json_object *answer = NULL;

	ck_assert_int_eq(call(&answer, NSEC_PER_MSEC), -ETIMEDOUT);
	ck_assert_ptr_null(answer);
	close(fd);
	ck_assert_int_eq(unlink(path), 0);
}
END_TEST

/* What the client makes of a peer that answers `text` and hangs up. */
static int outcome_of(const char *text)
{
	int fd = bind_by_hand(SOCK_STREAM, 8);
	struct caller caller;
	int done = start_caller(&caller);
	int connection = accept(fd, NULL, NULL);
	char request[512];

	ck_assert_int_gt(recv(connection, request, sizeof(request), 0), 0);
	ck_assert_int_eq(send(connection, text, strlen(text), 0), (ssize_t)strlen(text));
	close(connection);
	pthread_join(caller.thread, NULL);
	json_object_put(caller.answer);
	close(done);
	close(fd);
	ck_assert_int_eq(unlink(path), 0);
	return caller.result;
}

START_TEST(client_recognises_what_is_no_answer)
{
	ck_assert_int_eq(outcome_of(""), -ECONNRESET);
	ck_assert_int_eq(outcome_of("{\"id\":7"), -ECONNRESET);
	ck_assert_int_eq(outcome_of("SSH-2.0\n"), -EBADMSG);
	ck_assert_int_eq(outcome_of("[]\n"), -EBADMSG);
	ck_assert_int_eq(outcome_of("\n"), -EBADMSG);
	ck_assert_int_eq(outcome_of("{}\n"), 0);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("control_socket");
	TCase *file = tcase_create("file");
	TCase *client = tcase_create("client");

	tcase_add_checked_fixture(file, make_directory, remove_directory);
	tcase_add_test(file, socket_is_for_its_owner_whatever_the_umask);
	tcase_add_test(file, missing_directory_is_made);
	tcase_add_test(file, parents_of_a_missing_directory_are_not_made);
	tcase_add_test(file, mode_of_an_existing_directory_stays);
	tcase_add_test(file, path_is_bounded);
	tcase_add_test(file, socket_of_a_dead_daemon_is_replaced);
	tcase_add_test(file, socket_of_a_living_daemon_is_not_touched);
	tcase_add_test(file, socket_with_a_full_backlog_or_of_another_type_is_somebodys);
	tcase_add_test(file, file_of_another_kind_is_not_removed);
	tcase_add_test(file, socket_that_is_no_longer_ours_is_left);
	suite_add_tcase(suite, file);

	tcase_add_checked_fixture(client, make_directory, remove_directory);
	tcase_add_test(client, client_gets_its_answer);
	tcase_add_test(client, client_says_that_nobody_listens);
	tcase_add_test(client, client_does_not_wait_for_ever);
	tcase_add_test(client, client_recognises_what_is_no_answer);
	suite_add_tcase(suite, client);
	return suite;
}
