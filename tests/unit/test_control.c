/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The control server's conversation: real sockets, and control_dispatch() called by the test. */
#include "check_main.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/buffer.h"
#include "control/server.h"
#include "control/socket.h"

#define PATIENCE_MS 10000
#define BIG_BYTES (600 * 1024)

struct client {
	int fd;
	struct buffer in;
};

static char directory[64];
static char path[96];
static struct control *server;

/* Gives back what it was asked, so that a test sees what the handler has seen. */
static enum control_error handle_echo(void *ctx, const struct control_request *request,
				      struct control_reply *reply)
{
	(void)ctx;
	reply->data = json_object_new_object();
	json_object_object_add(reply->data, "network",
			       request->network ? json_object_new_string(request->network) : NULL);
	json_object_object_add(reply->data, "extra",
			       json_object_get(json_object_object_get(request->whole, "extra")));
	return CONTROL_OK;
}

static enum control_error handle_nothing(void *ctx, const struct control_request *request,
					 struct control_reply *reply)
{
	(void)request;
	(void)reply;
	++*(int *)ctx;
	return CONTROL_OK;
}

static enum control_error handle_fail(void *ctx, const struct control_request *request,
				      struct control_reply *reply)
{
	int error = json_object_get_int(json_object_object_get(request->whole, "error"));

	(void)ctx;
	/* What a handler has begun before it failed does not leak (address sanitizer). */
	reply->data = json_object_new_object();
	return control_fail(reply, (enum control_error)error, "failed by %d", error);
}

static enum control_error handle_big(void *ctx, const struct control_request *request,
				     struct control_reply *reply)
{
	static char text[BIG_BYTES];

	(void)ctx;
	(void)request;
	memset(text, 'x', sizeof(text));
	reply->data = json_object_new_object();
	json_object_object_add(reply->data, "text", json_object_new_string_len(text, sizeof(text)));
	return CONTROL_OK;
}

static int n_nothing;

static const struct control_action actions[] = {
	{"echo", handle_echo, NULL, "other extra"},
	{"nothing", handle_nothing, &n_nothing},
	{"fail", handle_fail, NULL, "error"},
	{"big", handle_big, NULL},
};

static struct control_socket listener;

static void start(void)
{
	strcpy(directory, "/tmp/test_control.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/sock", directory);
	n_nothing = 0;
	ck_assert_int_eq(control_socket_listen(&listener, path), 0);
	ck_assert_int_eq(
		control_new(&server, listener.fd, actions, sizeof(actions) / sizeof(actions[0])),
		0);
}

static void stop(void)
{
	control_free(server);
	control_socket_close(&listener);
	ck_assert_int_eq(rmdir(directory), 0);
}

/* Local sockets deliver at once: when the descriptor is quiet, all has been done. */
static void settle(void)
{
	struct pollfd p = {.fd = control_fd(server), .events = POLLIN};

	for (int rounds = 0; poll(&p, 1, 0) > 0; rounds++) {
		ck_assert_int_lt(rounds, 100000);
		control_dispatch(server);
	}
}

static struct client come(void)
{
	struct client c = {.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	struct sockaddr_un address;

	ck_assert_int_eq(control_socket_address(&address, path), 0);
	ck_assert_int_eq(connect(c.fd, (struct sockaddr *)&address, sizeof(address)), 0);
	settle();
	return c;
}

static void leave(struct client *c)
{
	close(c->fd);
	buffer_deinit(&c->in);
	settle();
}

static void say_bytes(struct client *c, const char *data, size_t len)
{
	while (len) {
		ssize_t n = send(c->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
		settle();
	}
}

static void say(struct client *c, const char *text)
{
	say_bytes(c, text, strlen(text));
}

/* The next line as the server wrote it, or NULL when it has hung up. The caller puts it. */
static struct json_object *hear(struct client *c)
{
	struct json_object *answer;
	char data[4096];
	char *newline;
	ssize_t n;

	while (!c->in.len || !(newline = memchr(c->in.data, '\n', c->in.len))) {
		struct pollfd p[] = {{control_fd(server), POLLIN, 0}, {c->fd, POLLIN, 0}};

		ck_assert_int_gt(poll(p, 2, PATIENCE_MS), 0);
		if (p[0].revents)
			control_dispatch(server);
		n = recv(c->fd, data, sizeof(data), MSG_DONTWAIT);
		if (!n || (n < 0 && errno == ECONNRESET))
			return NULL;
		if (n > 0)
			ck_assert_int_eq(buffer_append(&c->in, data, (size_t)n), 0);
	}
	*newline = '\0';
	answer = json_tokener_parse(c->in.data);
	ck_assert_msg(answer != NULL, "no JSON: %s", c->in.data);
	buffer_consume(&c->in, (size_t)(newline - c->in.data) + 1);
	return answer;
}

static void expect(struct client *c, const char *text)
{
	struct json_object *answer = hear(c);

	ck_assert_ptr_nonnull(answer);
	ck_assert_str_eq(json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN), text);
	json_object_put(answer);
}

/* An error answer of this type, with a message, whatever it says. */
static void expect_error(struct client *c, const char *type)
{
	struct json_object *answer = hear(c);
	struct json_object *error = json_object_object_get(answer, "error");

	ck_assert_ptr_nonnull(answer);
	ck_assert(!json_object_get_boolean(json_object_object_get(answer, "success")));
	ck_assert_str_eq(json_object_get_string(json_object_object_get(error, "type")), type);
	ck_assert(strlen(json_object_get_string(json_object_object_get(error, "message"))) > 0);
	json_object_put(answer);
}

static void expect_alive(struct client *c)
{
	say(c, "{\"id\":99,\"action\":\"nothing\"}\n");
	expect(c, "{\"id\":99,\"success\":true,\"data\":{}}");
}

START_TEST(request_is_answered_under_its_id)
{
	struct client c = come();

	say(&c, "{\"id\": \"a-1\", \"action\": \"echo\", \"network\": \"home\", \"extra\": [1]}\n");
	expect(&c,
	       "{\"id\":\"a-1\",\"success\":true,\"data\":{\"network\":\"home\",\"extra\":[1]}}");
	say(&c, "{\"id\":-7,\"action\":\"echo\"}\r\n");
	expect(&c, "{\"id\":-7,\"success\":true,\"data\":{\"network\":null,\"extra\":null}}");
	say(&c, "{\"id\":1.5,\"action\":\"nothing\"}\n");
	expect(&c, "{\"id\":1.5,\"success\":true,\"data\":{}}");
	leave(&c);
}
END_TEST

static const char *const unknown_keys[] = {"netwrok", "ext", "extras", "other extra",
					   "extra ",  " ",   ""};

START_TEST(key_that_the_action_does_not_have_is_named)
{
	struct client c = come();
	char text[200];

	snprintf(text, sizeof(text), "{\"id\":1,\"action\":\"echo\",\"other\":1,\"%s\":1}\n",
		 unknown_keys[_i]);
	say(&c, text);
	snprintf(text, sizeof(text),
		 "{\"id\":1,\"success\":false,\"error\":{\"type\":\"parse_error\","
		 "\"message\":\"echo has no key \\\"%s\\\"\"}}",
		 unknown_keys[_i]);
	expect(&c, text);
	expect_alive(&c);
	leave(&c);
}
END_TEST

START_TEST(missing_id_is_generated)
{
	struct client c = come();

	say(&c, "{\"action\":\"nothing\"}\n{\"id\":null,\"action\":\"nothing\"}\n");
	expect(&c, "{\"id\":\"auto-1\",\"success\":true,\"data\":{}}");
	expect(&c, "{\"id\":\"auto-2\",\"success\":true,\"data\":{}}");
	leave(&c);
}
END_TEST

START_TEST(malformed_line_gets_an_error_and_the_connection_lives)
{
	static const char *const lines[] = {
		"x",
		"{",
		"{\"action\":\"nothing\"",
		"{\"action\":\"nothing\"} {}",
		"{\"action\":\"nothing\",}",
		"{'action':'nothing'}",
		"[]",
		"null",
		"17",
		"\"status\"",
		"{}",
		"{\"action\":7}",
		"{\"action\":null}",
		"{\"action\":\"nothing\",\"network\":[]}",
		"{\"action\":\"nothing\\u0000\"}",
		"{\"id\":{},\"action\":\"nothing\"}",
		"{\"id\":true,\"action\":\"nothing\"}",
		"{\"id\":NaN,\"action\":\"nothing\"}",
		"{\"action\":\"nothing\",\"x\":\"\xff\"}",
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
	};
	struct client c = come();

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		say(&c, lines[i]);
		say(&c, "\n");
		expect_error(&c, "parse_error");
	}
	ck_assert_int_eq(n_nothing, 0);
	expect_alive(&c);
	leave(&c);
}
END_TEST

START_TEST(what_follows_a_zero_byte_is_not_overlooked)
{
	static const char line[] = "{\"action\":\"nothing\"}\0{}\n";
	struct client c = come();

	say_bytes(&c, line, sizeof(line) - 1);
	expect_error(&c, "parse_error");
	expect_alive(&c);
	leave(&c);
}
END_TEST

START_TEST(parse_error_of_a_readable_request_keeps_its_id)
{
	struct client c = come();

	say(&c, "{\"id\":5}\n");
	expect(&c, "{\"id\":5,\"success\":false,\"error\":{\"type\":\"parse_error\","
		   "\"message\":\"\\\"action\\\" is missing or not a string\"}}");
	leave(&c);
}
END_TEST

START_TEST(unknown_action_is_named)
{
	struct client c = come();

	say(&c, "{\"id\":5,\"action\":\"dance\"}\n");
	expect(&c, "{\"id\":5,\"success\":false,\"error\":{\"type\":\"unknown_action\","
		   "\"message\":\"no action named \\\"dance\\\"\"}}");
	leave(&c);
}
END_TEST

START_TEST(every_error_type_of_a_handler_reaches_the_client)
{
	static const char *const types[] = {
		"parse_error",	     "unknown_action",	  "serialization_error",
		"invalid_state",     "network_not_found", "config_error",
		"platform_error",    "internal_error",	  "authentication_failed",
		"permission_denied", "too_many_clients",
	};
	struct client c = come();
	char text[256];

	for (int i = 1; i <= (int)(sizeof(types) / sizeof(types[0])); i++) {
		snprintf(text, sizeof(text), "{\"id\":0,\"action\":\"fail\",\"error\":%d}\n", i);
		say(&c, text);
		snprintf(text, sizeof(text),
			 "{\"id\":0,\"success\":false,\"error\":{\"type\":\"%s\","
			 "\"message\":\"failed by %d\"}}",
			 types[i - 1], i);
		expect(&c, text);
	}
	leave(&c);
}
END_TEST

START_TEST(blank_lines_are_ignored)
{
	struct client c = come();

	say(&c, "\n\r\n  \t \n\n");
	expect_alive(&c);
	ck_assert_uint_eq(c.in.len, 0);
	leave(&c);
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order)
{
	enum { REQUESTS = 3000 };
	struct buffer all = {0};
	struct client c = come();
	char text[64];

	for (int i = 0; i < REQUESTS; i++) {
		snprintf(text, sizeof(text), "{\"id\":%d,\"action\":\"nothing\"}\n", i);
		ck_assert_int_eq(buffer_append(&all, text, strlen(text)), 0);
	}
	say_bytes(&c, all.data, all.len);
	for (int i = 0; i < REQUESTS; i++) {
		snprintf(text, sizeof(text), "{\"id\":%d,\"success\":true,\"data\":{}}", i);
		expect(&c, text);
	}
	ck_assert_int_eq(n_nothing, REQUESTS);
	buffer_deinit(&all);
	leave(&c);
}
END_TEST

START_TEST(line_may_come_byte_by_byte)
{
	static const char line[] = "{\"id\":1,\"action\":\"nothing\"}\n";
	struct client c = come();

	for (size_t i = 0; i < sizeof(line) - 1; i++) {
		ck_assert_int_eq(n_nothing, 0);
		say_bytes(&c, &line[i], 1);
	}
	expect(&c, "{\"id\":1,\"success\":true,\"data\":{}}");
	leave(&c);
}
END_TEST

/* A request filled up with blanks to `len` bytes and a newline. */
static void say_padded(struct client *c, size_t len)
{
	static char line[CONTROL_LINE_MAX + 2];

	memset(line, ' ', len);
	memcpy(line, "{\"id\":1,\"action\":\"nothing\"}", 27);
	line[len] = '\n';
	say_bytes(c, line, len + 1);
}

START_TEST(line_of_the_greatest_length_is_taken_and_a_longer_one_skipped)
{
	struct client c = come();

	say_padded(&c, CONTROL_LINE_MAX);
	expect(&c, "{\"id\":1,\"success\":true,\"data\":{}}");
	say_padded(&c, CONTROL_LINE_MAX + 1);
	expect_error(&c, "parse_error");
	expect_alive(&c);
	leave(&c);
}
END_TEST

START_TEST(endless_line_is_refused_once)
{
	static char piece[CONTROL_LINE_MAX];
	struct client c = come();

	memset(piece, '{', sizeof(piece));
	for (int i = 0; i < 100; i++)
		say_bytes(&c, piece, sizeof(piece));
	say(&c, "\n");
	expect_error(&c, "parse_error");
	expect_alive(&c);
	ck_assert_uint_eq(c.in.len, 0);
	leave(&c);
}
END_TEST

START_TEST(last_line_without_newline_is_answered_before_the_connection_ends)
{
	struct client c = come();

	say(&c, "{\"id\":1,\"action\":\"big\"}\n{\"id\":2,\"action\":\"nothing\"}");
	ck_assert_int_eq(shutdown(c.fd, SHUT_WR), 0);
	json_object_put(hear(&c));
	expect(&c, "{\"id\":2,\"success\":true,\"data\":{}}");
	ck_assert_ptr_null(hear(&c));
	leave(&c);
}
END_TEST

START_TEST(long_answer_arrives_whole)
{
	struct client c = come();
	struct json_object *answer;
	struct json_object *data;

	say(&c, "{\"id\":1,\"action\":\"big\"}\n");
	answer = hear(&c);
	data = json_object_object_get(answer, "data");
	ck_assert_int_eq(json_object_get_string_len(json_object_object_get(data, "text")),
			 BIG_BYTES);
	json_object_put(answer);
	expect_alive(&c);
	leave(&c);
}
END_TEST

START_TEST(client_that_does_not_read_is_dropped_and_the_others_are_served)
{
	struct client deaf = come();
	struct client other = come();
	struct json_object *answer;
	int n = 0;

	say(&deaf, "{\"action\":\"big\"}\n{\"action\":\"big\"}\n{\"action\":\"big\"}\n"
		   "{\"action\":\"big\"}\n");
	expect_alive(&other);
	while ((answer = hear(&deaf))) {
		json_object_put(answer);
		n++;
	}
	ck_assert_int_lt(n, 4);
	expect_alive(&other);
	leave(&deaf);
	leave(&other);
}
END_TEST

START_TEST(client_that_leaves_too_early_harms_nobody)
{
	struct client c;

	c = come();
	ck_assert_int_eq(send(c.fd, "{\"action\":\"big\"}\n{\"act", 22, 0), 22);
	leave(&c);
	c = come();
	say(&c, "{\"action\":\"big\"}\n");
	leave(&c);
	c = come();
	expect_alive(&c);
	leave(&c);
}
END_TEST

START_TEST(client_beyond_the_limit_is_turned_away_until_one_leaves)
{
	struct client clients[CONTROL_CLIENTS_MAX];
	struct client late;

	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		clients[i] = come();
	late = come();
	expect_error(&late, "too_many_clients");
	ck_assert_ptr_null(hear(&late));
	leave(&late);
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		expect_alive(&clients[i]);

	leave(&clients[7]);
	clients[7] = come();
	expect_alive(&clients[7]);
	for (size_t i = 0; i < CONTROL_CLIENTS_MAX; i++)
		leave(&clients[i]);
}
END_TEST

START_TEST(connection_is_closed_and_not_left_when_descriptors_run_out)
{
	struct sockaddr_un address;
	struct rlimit limit, none;
	struct client c = {.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};

	ck_assert_int_eq(control_socket_address(&address, path), 0);
	ck_assert_int_eq(connect(c.fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){.rlim_cur = (rlim_t)c.fd + 1, .rlim_max = limit.rlim_max};
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	settle();
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_ptr_null(hear(&c));
	leave(&c);

	c = come();
	expect_alive(&c);
	leave(&c);
}
END_TEST

START_TEST(garbage_never_ends_the_conversation)
{
	static const char alphabet[] = "{}[]\",:\\u0017.eE+-ntrufalsid \t\xc3\xa9\xff\x01";
	unsigned seed = 20240229;
	struct client c = come();
	struct json_object *answer;
	char line[200];

	for (int i = 0; i < 3000; i++) {
		size_t len = 1 + rand_r(&seed) % (sizeof(line) - 2);

		line[0] = '!';
		for (size_t j = 1; j < len; j++)
			line[j] = i % 2 ? alphabet[rand_r(&seed) % (sizeof(alphabet) - 1)]
					: (char)rand_r(&seed);
		for (size_t j = 1; j < len; j++)
			line[j] = line[j] == '\n' ? ' ' : line[j];
		line[0] = i % 4 < 2 ? '{' : line[0];
		line[len] = '\n';
		say_bytes(&c, line, len + 1);
		answer = hear(&c);
		ck_assert_ptr_nonnull(answer);
		ck_assert(!json_object_get_boolean(json_object_object_get(answer, "success")));
		json_object_put(answer);
	}
	expect_alive(&c);
	leave(&c);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("control");
	TCase *tc = tcase_create("conversation");

	tcase_add_checked_fixture(tc, start, stop);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, request_is_answered_under_its_id);
	tcase_add_test(tc, missing_id_is_generated);
	tcase_add_test(tc, malformed_line_gets_an_error_and_the_connection_lives);
	tcase_add_test(tc, what_follows_a_zero_byte_is_not_overlooked);
	tcase_add_test(tc, parse_error_of_a_readable_request_keeps_its_id);
	tcase_add_test(tc, unknown_action_is_named);
	tcase_add_loop_test(tc, key_that_the_action_does_not_have_is_named, 0,
			    sizeof(unknown_keys) / sizeof(*unknown_keys));
	tcase_add_test(tc, every_error_type_of_a_handler_reaches_the_client);
	tcase_add_test(tc, blank_lines_are_ignored);
	tcase_add_test(tc, pipelined_requests_are_answered_in_order);
	tcase_add_test(tc, line_may_come_byte_by_byte);
	tcase_add_test(tc, line_of_the_greatest_length_is_taken_and_a_longer_one_skipped);
	tcase_add_test(tc, endless_line_is_refused_once);
	tcase_add_test(tc, last_line_without_newline_is_answered_before_the_connection_ends);
	tcase_add_test(tc, long_answer_arrives_whole);
	tcase_add_test(tc, client_that_does_not_read_is_dropped_and_the_others_are_served);
	tcase_add_test(tc, client_that_leaves_too_early_harms_nobody);
	tcase_add_test(tc, client_beyond_the_limit_is_turned_away_until_one_leaves);
	tcase_add_test(tc, connection_is_closed_and_not_left_when_descriptors_run_out);
	tcase_add_test(tc, garbage_never_ends_the_conversation);
	suite_add_tcase(suite, tc);
	return suite;
}
