/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Real sockets on the loopback device, so that it is the kernel that runs the filter. */
#include "check_main.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "links/sieve.h"
#include "links/socket.h"
#include "wire/wg.h"

#define CELLS (UDP_BATCH + 1)
#define CAPACITY 2048
#define SENDERS 20 /* so many that they are not all of one class */
#define SHAM 77	   /* no type of WireGuard's */
#define MARK_LEN 100

static struct pool *pool;
static struct burst *one;
static struct burst *in[UDP_BATCH];
static struct udp_socket here;
static struct udp_socket senders[SENDERS];
static struct addr sources[SENDERS]; /* as `here` sees them */
static struct endpoint target;
static struct sieve sieve;
static nsec_t now;

static struct udp_socket opened(const char *bind)
{
	struct link_settings s = {.name = "test"};
	struct udp_socket u;

	if (bind)
		ck_assert_int_eq(addr_parse(&s.bind, bind, 0), 0);
	ck_assert_int_eq(udp_open(&u, &s, AF_UNSPEC, CAPACITY), 0);
	return u;
}

/* `here` takes from `ip`, where the senders are too. */
static void open_all(const char *bind, const char *ip)
{
	struct addr bound;

	here = opened(bind);
	udp_local_addr(&here, &bound);
	ck_assert_int_eq(addr_parse(&target.remote, ip, 0), 0);
	addr_set_port(&target.remote, addr_port(&bound));
	for (int i = 0; i < SENDERS; i++) {
		senders[i] = opened(ip);
		udp_local_addr(&senders[i], &sources[i]);
	}
}

static void close_all(void)
{
	close(here.fd);
	for (int i = 0; i < SENDERS; i++)
		close(senders[i].fd);
}

static void setup(void)
{
	ck_assert_int_eq(pool_new(&pool, CELLS, sizeof(struct burst) + CAPACITY), 0);
	one = burst_take(pool);
	for (int i = 0; i < UDP_BATCH; i++)
		in[i] = burst_take(pool);
	memset(&sieve, 0, sizeof(sieve));
	now = NSEC_PER_SEC;
	memset(&target, 0, sizeof(target));
	open_all("127.0.0.1", "127.0.0.1");
}

static void teardown(void)
{
	close_all();
	burst_put(one);
	for (int i = 0; i < UDP_BATCH; i++)
		burst_put(in[i]);
	pool_free(pool);
}

static void make(struct burst *b, uint32_t type, uint32_t len)
{
	const struct le32 wire = le32_make(type);

	memset(b->data, 0, len);
	memcpy(b->data, &wire, sizeof(wire));
	b->len = b->stride = len;
	burst_count(b);
}

/* `n` messages of `source` are told to have come. */
static void come(const struct addr *source, uint32_t type, uint32_t n)
{
	make(one, type, sizeof(struct wg_initiation));
	one->from.remote = *source;
	while (n--)
		sieve_look(&sieve, here.fd, &one, 1, now);
}

static void begin_sample(void)
{
	come(&sources[0], MESSAGE_HANDSHAKE_INITIATION, 1);
}

static void send_one(int sender, uint32_t type, uint32_t len)
{
	make(one, type, len);
	ck_assert_int_eq(udp_send(&senders[sender], one, 0, &target), 1);
}

/* Sends a message; does it arrive before data that is sent after it? */
static bool passes(int sender, uint32_t type, uint32_t len)
{
	struct pollfd fd = {.fd = here.fd, .events = POLLIN};
	bool has_come = false;

	send_one(sender, type, len);
	send_one(sender, MESSAGE_DATA, MARK_LEN);
	for (;;) {
		ck_assert_int_eq(poll(&fd, 1, 5000), 1);
		ck_assert_int_eq(udp_receive(&here, in, 1, CAPACITY), 1);
		if (in[0]->len == MARK_LEN)
			return has_come;
		has_come = true;
	}
}

static bool initiation_passes(int sender)
{
	return passes(sender, MESSAGE_HANDSHAKE_INITIATION, sizeof(struct wg_initiation));
}

static int count_passing(void)
{
	int n = 0;

	for (int i = 0; i < SENDERS; i++)
		n += initiation_passes(i);
	return n;
}

START_TEST(what_comes_slowly_is_no_flood)
{
	for (int i = 0; i < 3 * SIEVE_SAMPLE; i++, now += SIEVE_SPAN / (SIEVE_SAMPLE - 50))
		come(&sources[0], MESSAGE_HANDSHAKE_INITIATION, 1);
	ck_assert_int_eq(sieve_lift(&sieve, here.fd, now), NSEC_NEVER);
	ck_assert_int_eq(count_passing(), SENDERS);
}
END_TEST

START_TEST(data_is_no_flood)
{
	begin_sample();
	come(&sources[0], MESSAGE_DATA, 2 * SIEVE_SAMPLE);
	ck_assert_int_eq(sieve_lift(&sieve, here.fd, now), NSEC_NEVER);
}
END_TEST

static void pass_hold(void)
{
	now += SIEVE_HOLD;
	ck_assert_int_eq(sieve_lift(&sieve, here.fd, now), NSEC_NEVER);
}

/* As in no time: nothing of who floods is let through. */
static void flood_from(int sender)
{
	begin_sample();
	come(&sources[sender], MESSAGE_HANDSHAKE_INITIATION, SIEVE_SAMPLE);
	ck_assert_int_eq(sieve_lift(&sieve, here.fd, now), now + SIEVE_HOLD);
}

/* A sample takes 10 ms. */
static void flood_slowly_from(int sender)
{
	begin_sample();
	now += 10 * NSEC_PER_MSEC;
	come(&sources[sender], MESSAGE_HANDSHAKE_INITIATION, SIEVE_SAMPLE);
}

/* The kernel finds the classes that we do, whatever addresses the socket is for. */
static void assert_found(void)
{
	int n_passing = 0;

	for (int flooder = 0; flooder < SENDERS; flooder += 7) {
		flood_from(flooder);
		ck_assert(!initiation_passes(flooder));
		n_passing += count_passing();
		pass_hold();
		ck_assert_int_eq(count_passing(), SENDERS);
	}
	/* Each is alone with some of the others at most. */
	ck_assert_int_gt(n_passing, 2 * SENDERS);
}

START_TEST(who_floods_is_kept_back_and_others_are_not)
{
	assert_found();
	close_all();
	open_all(NULL, "127.0.0.1"); /* in mapped form */
	assert_found();
	close_all();
	open_all("::1", "::1");
	assert_found();
}
END_TEST

START_TEST(data_of_who_floods_passes_and_what_is_no_message_of_anybody)
{
	flood_from(0);
	ck_assert(passes(0, MESSAGE_DATA, 32));
	ck_assert(passes(0, MESSAGE_DATA, 1400));
	for (int i = 0; i < SENDERS; i++) {
		ck_assert(!passes(i, SHAM, sizeof(struct wg_initiation)));
		ck_assert(!passes(i, MESSAGE_DATA | 1 << 8, 32));
	}
	ck_assert(!passes(1, MESSAGE_DATA, 3));
	pass_hold();
	ck_assert(passes(0, SHAM, 4));
}
END_TEST

START_TEST(all_types_of_handshake_messages_are_kept_back)
{
	flood_from(3);
	ck_assert(!passes(3, MESSAGE_HANDSHAKE_RESPONSE, sizeof(struct wg_response)));
	ck_assert(!passes(3, MESSAGE_HANDSHAKE_COOKIE, sizeof(struct wg_cookie_reply)));
}
END_TEST

START_TEST(kernel_counts_what_is_kept_back)
{
	flood_from(0);
	for (int i = 0; i < 5; i++)
		ck_assert(!initiation_passes(0));
	ck_assert(passes(0, MESSAGE_DATA, 32));
	ck_assert_uint_eq(here.overflow, 5);
	sieve_look(&sieve, here.fd, in, 1, now);
	ck_assert(sieve.may_have_dropped);

	/* It tells with the next message only. */
	pass_hold();
	ck_assert(sieve.may_have_dropped);
	sieve_look(&sieve, here.fd, in, 1, now);
	ck_assert(!sieve.may_have_dropped);
}
END_TEST

/* A sample of all sources takes 10 ms: 320,000 in a second, of which 64,000 are to pass. */
START_TEST(flood_from_everywhere_passes_as_far_as_its_rate_allows)
{
	struct addr source = sources[0];
	int n = 0;

	begin_sample();
	now += 10 * NSEC_PER_MSEC;
	for (uint32_t i = 0; i < SIEVE_SAMPLE; i++) {
		addr_set_port(&source, (uint16_t)(i + 1));
		come(&source, MESSAGE_HANDSHAKE_INITIATION, 1);
	}
	ck_assert_uint_eq(sieve.hot, UINT32_MAX);
	ck_assert_uint_eq(sieve.chance, (1ULL << 32) / 5);
	for (int i = 0; i < 100; i++)
		n += count_passing();
	ck_assert_int_gt(n, 250);
	ck_assert_int_lt(n, 550);
}
END_TEST

/* Not even what looks small to a filter: it begins with zeroes. */
START_TEST(what_is_no_message_of_anybody_is_not_let_through_by_chance)
{
	flood_slowly_from(0);
	for (int i = 0; i < SENDERS; i++) {
		ck_assert(!passes(i, 0, sizeof(struct wg_initiation)));
		ck_assert(!passes(i, SHAM, sizeof(struct wg_initiation)));
	}
}
END_TEST

/* In the same time, and 2,000 are to pass. */
START_TEST(flood_from_one_passes_as_one_source_may)
{
	flood_slowly_from(0);
	ck_assert_uint_eq(sieve.chance, (1ULL << 32) / 160);
}
END_TEST

START_TEST(another_flood_meanwhile_is_kept_back_too)
{
	nsec_t until = now + SIEVE_HOLD;
	int other = 0;

	flood_from(0);
	while (!initiation_passes(other))
		other++;
	now += NSEC_PER_MSEC;
	come(&sources[other], MESSAGE_HANDSHAKE_INITIATION, SIEVE_SAMPLE);
	ck_assert(!initiation_passes(0));
	ck_assert(!initiation_passes(other));
	/* That does not make it longer. */
	ck_assert_int_eq(sieve_lift(&sieve, here.fd, now), until);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("sieve");
	TCase *c = tcase_create("sieve");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, what_comes_slowly_is_no_flood);
	tcase_add_test(c, data_is_no_flood);
	tcase_add_test(c, who_floods_is_kept_back_and_others_are_not);
	tcase_add_test(c, data_of_who_floods_passes_and_what_is_no_message_of_anybody);
	tcase_add_test(c, all_types_of_handshake_messages_are_kept_back);
	tcase_add_test(c, kernel_counts_what_is_kept_back);
	tcase_add_test(c, flood_from_everywhere_passes_as_far_as_its_rate_allows);
	tcase_add_test(c, flood_from_one_passes_as_one_source_may);
	tcase_add_test(c, what_is_no_message_of_anybody_is_not_let_through_by_chance);
	tcase_add_test(c, another_flood_meanwhile_is_kept_back_too);
	suite_add_tcase(s, c);
	return s;
}
