/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "wire/frame.h"

#include <errno.h>
#include <string.h>

#include "check_main.h"

static const struct frame hello = {
	.type = FRAME_HELLO,
	.hello = {.wants_answer = true, .path_id = 7, .weight = 300, .link_name = "lte/5g"},
};
static const struct frame ping = {
	.type = FRAME_PING,
	.ping = {.number = 0x01020304, .path_id = 9, .tx_packets = 1ULL << 40, .tx_bytes = 77},
};
static const struct frame pong = {
	.type = FRAME_PONG,
	.pong = {.number = 5, .path_id = 6, .rx_packets = 7, .rx_bytes = 1ULL << 50},
};

static const struct frame down = {.type = FRAME_DOWN, .down = {.path_id = 0xa0b0c0d0}};

static const struct frame report = {
	.type = FRAME_REPORT,
	.report = {1, 0xfffefdfc, 1ULL << 59, 3, 1ULL << 62},
};

static const struct frame repair = {
	.type = FRAME_REPAIR,
	.repair = {0xfffefdfc, 2, {{1ULL << 59, 3}, {7, 1}}},
};

static const struct frame apart = {.type = FRAME_APART, .apart = {1ULL << 40, 64}};

/* docs/protocol.md, "Ping" */
static const uint8_t ping_bytes[] = {
	1, 2, 0, 24, 1, 2, 3, 4, 0, 0, 0, 9, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 77,
};

START_TEST(a_ping_has_the_documented_bytes)
{
	uint8_t buf[64];

	ck_assert_int_eq(frame_write(&ping, buf, sizeof(buf)), sizeof(ping_bytes));
	ck_assert_mem_eq(buf, ping_bytes, sizeof(ping_bytes));
}
END_TEST

/* docs/protocol.md, "Repair" */
static const uint8_t repair_bytes[] = {
	1, 6, 0, 29, 0xff, 0xfe, 0xfd, 0xfc, 2, 8, 0, 0, 0, 0, 0, 0, 0,
	0, 0, 0, 3,  0,	   0,	 0,    0,    0, 0, 0, 7, 0, 0, 0, 1,
};

START_TEST(a_repair_frame_has_the_documented_bytes)
{
	uint8_t buf[64];

	ck_assert_int_eq(frame_write(&repair, buf, sizeof(buf)), sizeof(repair_bytes));
	ck_assert_mem_eq(buf, repair_bytes, sizeof(repair_bytes));
}
END_TEST

/* docs/protocol.md, "Apart" */
START_TEST(an_apart_frame_has_the_documented_bytes)
{
	static const uint8_t bytes[] = {1, 7, 0, 12, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 64};
	uint8_t buf[64];

	ck_assert_int_eq(frame_write(&apart, buf, sizeof(buf)), sizeof(bytes));
	ck_assert_mem_eq(buf, bytes, sizeof(bytes));
}
END_TEST

START_TEST(frames_in_a_row_come_back)
{
	const struct frame *const all[] = {&hello, &ping, &pong, &down, &report, &repair, &apart};
	uint8_t buf[FRAME_PACKET_MAX] = {0};
	size_t len = 0;
	size_t offset = 0;
	struct frame got;

	for (int i = 0; i < 7; i++)
		len += (size_t)frame_write(all[i], buf + len, sizeof(buf) - len);
	for (int i = 0; i < 7; i++) {
		ck_assert_int_eq(frame_read(buf, len, &offset, &got), 1);
		ck_assert_int_eq(got.type, all[i]->type);
		if (got.type == FRAME_HELLO) {
			ck_assert_str_eq(got.hello.link_name, "lte/5g");
			ck_assert_uint_eq(got.hello.weight, 300);
			ck_assert_uint_eq(got.hello.path_id, 7);
			ck_assert(got.hello.wants_answer);
		} else if (got.type == FRAME_PING) {
			ck_assert_mem_eq(&got.ping, &ping.ping, sizeof(got.ping));
		} else if (got.type == FRAME_REPORT) {
			ck_assert_mem_eq(&got.report, &report.report, sizeof(got.report));
		} else if (got.type == FRAME_APART) {
			ck_assert_mem_eq(&got.apart, &apart.apart, sizeof(got.apart));
		} else if (got.type == FRAME_REPAIR) {
			ck_assert_mem_eq(&got.repair, &repair.repair, sizeof(got.repair));
		} else if (got.type == FRAME_DOWN) {
			ck_assert_uint_eq(got.down.path_id, down.down.path_id);
		} else {
			ck_assert_mem_eq(&got.pong, &pong.pong, sizeof(got.pong));
		}
	}
	/* padding ends the packet */
	ck_assert_int_eq(frame_read(buf, len + 12, &offset, &got), 0);
	ck_assert_int_eq(frame_read(buf, len, &offset, &got), 0);
}
END_TEST

START_TEST(every_cut_frame_is_malformed)
{
	const struct frame *const all[] = {&hello, &ping, &pong, &down, &report, &repair, &apart};
	uint8_t buf[FRAME_PACKET_MAX];
	struct frame got;

	for (int i = 0; i < 7; i++) {
		int len = frame_write(all[i], buf, sizeof(buf));

		for (int cut = 1; cut < len; cut++) {
			size_t offset = 0;

			ck_assert_int_eq(frame_read(buf, (size_t)cut, &offset, &got), -EBADMSG);
		}
	}
}
END_TEST

START_TEST(a_body_too_short_for_its_type_is_malformed)
{
	uint8_t buf[64];
	size_t offset = 0;
	struct frame got;

	frame_write(&pong, buf, sizeof(buf));
	buf[3] = 23;
	ck_assert_int_eq(frame_read(buf, sizeof(buf), &offset, &got), -EBADMSG);
}
END_TEST

START_TEST(a_repair_frame_of_too_many_gaps_is_malformed)
{
	uint8_t buf[FRAME_PACKET_MAX];
	size_t offset = 0;
	struct frame got;
	struct frame f = repair;
	int len;

	f.repair.n_gaps = FRAME_REPAIR_MAX;
	len = frame_write(&f, buf, sizeof(buf));
	ck_assert_int_eq(frame_read(buf, (size_t)len, &offset, &got), 1);
	buf[FRAME_HEADER_LEN + 4]++;
	offset = 0;
	ck_assert_int_eq(frame_read(buf, (size_t)len, &offset, &got), -EBADMSG);
}
END_TEST

START_TEST(a_longer_body_than_known_is_read)
{
	uint8_t buf[64] = {0};
	size_t offset = 0;
	struct frame got;
	int len = frame_write(&pong, buf, sizeof(buf));

	buf[3] += 8;
	ck_assert_int_eq(frame_read(buf, (size_t)len + 8, &offset, &got), 1);
	ck_assert_mem_eq(&got.pong, &pong.pong, sizeof(got.pong));
	ck_assert_uint_eq(offset, (size_t)len + 8);
}
END_TEST

START_TEST(unknown_types_and_versions_are_passed_over)
{
	uint8_t buf[128] = {FRAME_VERSION,     200,	   0, 3, 1, 2, 3,
			    FRAME_VERSION + 1, FRAME_PING, 0, 1, 9};
	size_t offset = 0;
	struct frame got;
	int len = frame_write(&ping, buf + 12, sizeof(buf) - 12);

	ck_assert_int_eq(frame_read(buf, 12 + (size_t)len, &offset, &got), 1);
	ck_assert_int_eq(got.type, FRAME_PING);
	ck_assert_uint_eq(got.ping.number, ping.ping.number);
}
END_TEST

START_TEST(an_mtu_probe_is_as_documented)
{
	const struct frame probe = {.type = FRAME_MTU_PROBE,
				    .mtu = {.number = 258, .path_id = 9, .size = 1400}};
	struct frame answer = probe;
	struct frame got;
	uint8_t buf[FRAME_PACKET_MAX];
	size_t offset = 0;

	ck_assert_int_eq(frame_write(&probe, buf, sizeof(buf)), 16);
	ck_assert_mem_eq(buf, "\x01\x08\x00\x0c\x00\x00\x01\x02\x00\x00\x00\x09\x00\x00\x05\x78",
			 16);
	answer.type = FRAME_MTU_ANSWER;
	ck_assert_int_eq(frame_write(&answer, buf, sizeof(buf)), 16);
	ck_assert_int_eq(frame_read(buf, 16, &offset, &got), 1);
	ck_assert_int_eq(got.type, FRAME_MTU_ANSWER);
	ck_assert_uint_eq(got.mtu.number, 258);
	ck_assert_uint_eq(got.mtu.path_id, 9);
	ck_assert_uint_eq(got.mtu.size, 1400);
}
END_TEST

START_TEST(a_hello_tells_of_a_backup_link)
{
	struct frame backup = hello;
	struct frame got;
	uint8_t buf[FRAME_PACKET_MAX];
	size_t offset = 0;
	int len;

	backup.hello.is_backup = true;
	len = frame_write(&backup, buf, sizeof(buf));
	ck_assert_int_eq(frame_read(buf, (size_t)len, &offset, &got), 1);
	ck_assert(got.hello.is_backup && got.hello.wants_answer);
	len = frame_write(&hello, buf, sizeof(buf));
	offset = 0;
	ck_assert_int_eq(frame_read(buf, (size_t)len, &offset, &got), 1);
	ck_assert(!got.hello.is_backup);
}
END_TEST

START_TEST(a_hello_from_path_zero_is_malformed)
{
	struct frame bad = hello;
	uint8_t buf[128];
	size_t offset = 0;
	struct frame got;
	int len;

	bad.hello.path_id = 0;
	len = frame_write(&bad, buf, sizeof(buf));
	ck_assert_int_eq(frame_read(buf, (size_t)len, &offset, &got), -EBADMSG);
}
END_TEST

START_TEST(control_characters_in_a_name_are_made_harmless)
{
	struct frame bad = hello;
	uint8_t buf[128];
	size_t offset = 0;
	struct frame got;
	int len;

	strcpy(bad.hello.link_name, "a\033[2J");
	len = frame_write(&bad, buf, sizeof(buf));
	ck_assert_int_eq(frame_read(buf, (size_t)len, &offset, &got), 1);
	ck_assert_str_eq(got.hello.link_name, "a?[2J");
}
END_TEST

START_TEST(a_frame_that_does_not_fit_is_not_written)
{
	uint8_t buf[16];

	ck_assert_int_eq(frame_write(&ping, buf, sizeof(buf)), -ENOSPC);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("frame");
	TCase *t = tcase_create("frames");

	tcase_add_test(t, a_ping_has_the_documented_bytes);
	tcase_add_test(t, a_repair_frame_has_the_documented_bytes);
	tcase_add_test(t, an_apart_frame_has_the_documented_bytes);
	tcase_add_test(t, frames_in_a_row_come_back);
	tcase_add_test(t, every_cut_frame_is_malformed);
	tcase_add_test(t, a_body_too_short_for_its_type_is_malformed);
	tcase_add_test(t, a_repair_frame_of_too_many_gaps_is_malformed);
	tcase_add_test(t, a_longer_body_than_known_is_read);
	tcase_add_test(t, unknown_types_and_versions_are_passed_over);
	tcase_add_test(t, an_mtu_probe_is_as_documented);
	tcase_add_test(t, a_hello_tells_of_a_backup_link);
	tcase_add_test(t, a_hello_from_path_zero_is_malformed);
	tcase_add_test(t, control_characters_in_a_name_are_made_harmless);
	tcase_add_test(t, a_frame_that_does_not_fit_is_not_written);
	suite_add_tcase(s, t);
	return s;
}
