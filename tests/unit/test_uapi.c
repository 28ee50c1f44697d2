/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "check_main.h"

#include <errno.h>
#include <string.h>

#include "control/uapi.h"

#define KEY_A "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
#define KEY_B "c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf"

static struct uapi_set set;

static int parse(const char *lines)
{
	char *text = strdup(lines);
	int r = uapi_set_parse(&set, text);

	free(text);
	return r;
}

static void teardown(void)
{
	uapi_set_deinit(&set);
}

START_TEST(device_lines_are_read)
{
	ck_assert_int_eq(parse("\nprivate_key=" KEY_A "\nlisten_port=51820\nfwmark=51820\n"
			       "replace_peers=true"),
			 0);
	ck_assert_uint_eq(set.change.private_key[1], 0xa1);
	ck_assert(set.has_listen_port && set.has_fwmark && set.change.replaces_peers);
	ck_assert_uint_eq(set.listen_port, 51820);
	ck_assert_uint_eq(set.fwmark, 51820);
}
END_TEST

START_TEST(peers_have_their_own_lines)
{
	const struct peer_change *p;

	ck_assert_int_eq(parse("public_key=" KEY_A "\npreshared_key=" KEY_B
			       "\nendpoint=[2001:db8::1]:7\npersistent_keepalive_interval=25\n"
			       "replace_allowed_ips=true\nallowed_ip=10.1.2.3/8\n"
			       "allowed_ip=-2001:db8::/32\nallowed_ip=0.0.0.0/0\n"
			       "protocol_version=1\npublic_key=" KEY_B
			       "\nremove=true\nupdate_only=true"),
			 0);
	ck_assert_uint_eq(set.change.n_peers, 2);
	p = &set.change.peers[0];
	ck_assert(p->has_preshared_key && p->has_endpoint && p->has_persistent_keepalive);
	ck_assert(p->replaces_allowed_ips && p->is_on_demand && !p->is_removed);
	ck_assert_str_eq(p->endpoint.host, "2001:db8::1");
	ck_assert_uint_eq(p->endpoint.port, 7);
	ck_assert_uint_eq(p->n_allowed_ips, 3);
	ck_assert_uint_eq(p->allowed_ips[0].prefix.bytes[1], 0); /* host bits do not count */
	ck_assert(!p->allowed_ips[0].is_removed && p->allowed_ips[1].is_removed);
	ck_assert_uint_eq(p->allowed_ips[2].prefix.len, 0);
	ck_assert(set.change.peers[1].is_removed && set.change.peers[1].is_update_only);
}
END_TEST

static const struct {
	const char *lines;
	int error;
} bad[] = {
	{"private_key=00", -EINVAL},
	{"listen_port=65536", -EINVAL},
	{"listen_port=-1", -EINVAL},
	{"fwmark=", -EINVAL},
	{"fwmark=4294967296", -EINVAL},
	{"replace_peers=false", -EINVAL},
	{"endpoint=1.2.3.4:5", -EPROTO}, /* of no peer */
	{"nonsense", -EPROTO},
	{"nonsense=1", -EPROTO},
	{"public_key=" KEY_A "0", -EINVAL},
	{"public_key=" KEY_A "\nlisten_port=1", -EPROTO},
	{"public_key=" KEY_A "\nendpoint=1.2.3.4", -EINVAL},
	{"public_key=" KEY_A "\nendpoint=1.2.3.4:0", -EINVAL},
	{"public_key=" KEY_A "\nendpoint=example.com:1", -EINVAL},
	{"public_key=" KEY_A "\nendpoint=[::1:1", -EINVAL},
	{"public_key=" KEY_A "\nallowed_ip=10.0.0.0", -EINVAL},
	{"public_key=" KEY_A "\nallowed_ip=10.0.0.0/33", -EINVAL},
	{"public_key=" KEY_A "\nallowed_ip=--10.0.0.0/8", -EINVAL},
	{"public_key=" KEY_A "\nallowed_ip=", -EINVAL},
	{"public_key=" KEY_A "\nprotocol_version=2", -EINVAL},
	{"public_key=" KEY_A "\npersistent_keepalive_interval=65536", -EINVAL},
};

START_TEST(nonsense_is_refused)
{
	ck_assert_int_eq(parse(bad[_i].lines), bad[_i].error);
}
END_TEST

START_TEST(what_is_written_can_be_read_again)
{
	struct prefix prefix = {.family = AF_INET, .len = 8, .bytes = {10}};
	struct peer_settings settings = {
		.public_key = {1},
		.preshared_key = {2},
		.persistent_keepalive = 25,
		.allowed_ips = &prefix,
		.n_allowed_ips = 1,
	};
	struct path_status paths[2] = {{.tx_bytes = 1, .rx_bytes = 10},
				       {.tx_bytes = 2, .rx_bytes = 20, .is_active = true}};
	struct peer_status status = {
		.handshake_at = 4 * NSEC_PER_SEC + 7, .paths = paths, .n_paths = 2};
	const uint8_t private_key[32] = {3};
	const struct uapi_device device = {private_key, 51820, 0xca6c};
	struct buffer out = {0};

	ck_assert_int_eq(addr_parse(&paths[1].remote, "192.0.2.1:9", 0), 0);
	ck_assert_int_eq(uapi_write_device(&out, &device), 0);
	ck_assert_int_eq(uapi_write_peer(&out, &settings, &status), 0);
	ck_assert_int_eq(uapi_write_result(&out, -EINVAL), 0);
	ck_assert_int_eq(buffer_append(&out, "", 1), 0);
	ck_assert_ptr_nonnull(strstr(out.data, "listen_port=51820\nfwmark=51820\npublic_key=01"));
	ck_assert_ptr_nonnull(strstr(out.data, "\nendpoint=192.0.2.1:9\n"));
	ck_assert_ptr_nonnull(strstr(out.data, "last_handshake_time_sec=4\n"
					       "last_handshake_time_nsec=7\n"
					       "rx_bytes=30\ntx_bytes=3\n"
					       "persistent_keepalive_interval=25\n"
					       "allowed_ip=10.0.0.0/8\nerrno=-22\n\n"));
	buffer_deinit(&out);
}
END_TEST

START_TEST(keys_that_are_not_there_are_not_written)
{
	static const uint8_t none[32];
	const struct uapi_device device = {none, 0, 0};
	const struct peer_settings settings = {.public_key = {1}};
	const struct peer_status status = {0};
	struct buffer out = {0};

	ck_assert_int_eq(uapi_write_device(&out, &device), 0);
	ck_assert_int_eq(uapi_write_peer(&out, &settings, &status), 0);
	ck_assert_int_eq(buffer_append(&out, "", 1), 0);
	ck_assert_ptr_null(strstr(out.data, "private_key"));
	ck_assert_ptr_null(strstr(out.data, "preshared_key"));
	ck_assert_ptr_null(strstr(out.data, "endpoint"));
	ck_assert_ptr_nonnull(strstr(out.data, "last_handshake_time_sec=0\n"));
	ck_assert_ptr_nonnull(strstr(out.data, "fwmark=0\n"));
	buffer_deinit(&out);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("uapi");
	TCase *t = tcase_create("uapi");

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, device_lines_are_read);
	tcase_add_test(t, peers_have_their_own_lines);
	tcase_add_loop_test(t, nonsense_is_refused, 0, sizeof(bad) / sizeof(bad[0]));
	tcase_add_test(t, what_is_written_can_be_read_again);
	tcase_add_test(t, keys_that_are_not_there_are_not_written);
	suite_add_tcase(s, t);
	return s;
}
