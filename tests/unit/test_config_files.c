/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Files of keys and files with keys: what they may hold and who may read them. */
#include <fcntl.h>

#include "config_text.h"

static void write_file(const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

START_TEST(key_file_is_read)
{
	char text[TEXT_MAX];

	snprintf(text, sizeof(text),
		 "[wireguard]\nprivate_key_path = %s\npeer_public_key = " BOB_PUBLIC
		 "\npreshared_key_file = %s\n" LINK,
		 path, path);
	write_file(ALICE "\n", 0600);
	assert_good(text);
	assert_key(config.networks[0].private_key, ALICE);
	assert_key(config.networks[0].peers[0].preshared_key, ALICE);
	write_file(ALICE, 0400);
	assert_good(text);
}
END_TEST

START_TEST(open_key_file_is_refused)
{
	static const mode_t modes[] = {0640, 0604, 0644, 0660, 0610, 0601};
	char text[TEXT_MAX];
	char says[128];

	snprintf(text, sizeof(text),
		 "[wireguard]\nprivate_key_file = %s\npeer_public_key = " BOB_PUBLIC "\n" LINK,
		 path);
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		write_file(ALICE "\n", modes[i]);
		snprintf(says, sizeof(says), "%s|mode 0%o|at most 0600", path, modes[i]);
		assert_one_error(text, 2, says);
	}
}
END_TEST

START_TEST(key_file_of_a_stranger_is_refused)
{
	char text[TEXT_MAX];

	if (geteuid() != 0)
		return;
	snprintf(text, sizeof(text),
		 "[wireguard]\nprivate_key_file = %s\npeer_public_key = " BOB_PUBLIC "\n" LINK,
		 path);
	write_file(ALICE "\n", 0600);
	ck_assert_int_eq(chown(path, 12345, 0), 0);
	assert_one_error(text, 2, "belongs to user 12345|allowed: user 0 or root");
}
END_TEST

START_TEST(bad_key_file_is_refused)
{
	static const struct {
		const char *content;
		const char *says;
	} cases[] = {
		{"", "Invalid "},
		{KEY_OF_31 "\n", "Invalid private_key length (expected 32 bytes, got 31) in /tmp/"},
		{ALICE "\n" ALICE "\n", "Invalid base64 for private_key in /tmp/"},
		{"REPLACE_ME\n", "REPLACE_ME in /tmp/|`vtrunkd genkey`"},
		{ALICE ALICE ALICE ALICE ALICE ALICE ALICE, "something else than one key"},
	};
	char text[TEXT_MAX];

	snprintf(text, sizeof(text),
		 "[wireguard]\nprivate_key_file = %s\npeer_public_key = " BOB_PUBLIC "\n" LINK,
		 path);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		write_file(cases[i].content, 0600);
		assert_one_error(text, 2, cases[i].says);
	}
}
END_TEST

START_TEST(key_inline_and_by_file_contradict)
{
	char text[TEXT_MAX];

	write_file(ALICE "\n", 0600);
	snprintf(text, sizeof(text), SINGLE "private_key_file = %s\n" LINK, path);
	assert_one_error(text, 4, "private_key_file: found beside private_key|one of the two");
	snprintf(text, sizeof(text),
		 SINGLE "preshared_key_file = %s\npreshared_key = " PRESHARED "\n" LINK, path);
	assert_one_error(text, 4, "preshared_key_file: found beside preshared_key");
}
END_TEST

START_TEST(missing_file_is_named)
{
	char says[128];

	ck_assert_int_eq(config_read(&config, path, &errors), -ENOENT);
	snprintf(says, sizeof(says), "Configuration file not found: %s", path);
	ck_assert_uint_eq(errors.n_items, 1);
	ck_assert_str_eq(errors.items[0].text, says);
}
END_TEST

START_TEST(directory_is_no_configuration)
{
	ck_assert_int_eq(config_read(&config, "/tmp", &errors), -EISDIR);
	ck_assert_str_eq(errors.items[0].text, "/tmp: cannot be read: Is a directory");
}
END_TEST

/* What config_read() makes of a file of that mode. */
static int read_mode(const char *text, mode_t mode)
{
	config_deinit(&config);
	config_errors_deinit(&errors);
	write_file(text, mode);
	return config_read(&config, path, &errors);
}

START_TEST(open_file_with_a_key_in_it_is_refused)
{
	static const mode_t bad[] = {0644, 0604, 0660, 0642, 0650, 0641};
	char says[256];

	ck_assert_int_eq(read_mode(SINGLE LINK, 0600), 0);
	ck_assert_int_eq(read_mode(SINGLE LINK, 0640), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		ck_assert_int_eq(read_mode(SINGLE LINK, bad[i]), -EINVAL);
		snprintf(says, sizeof(says),
			 "%s:2: [wireguard] private_key: %s holds a secret but has mode 0%o, "
			 "allowed: at most 0640",
			 path, path, bad[i]);
		ck_assert_uint_eq(errors.n_items, 1);
		ck_assert_msg(!strncmp(errors.items[0].text, says, strlen(says)), "%s",
			      errors.items[0].text);
	}
}
END_TEST

START_TEST(open_file_with_keys_elsewhere_is_accepted)
{
	char key_path[80];
	char text[TEXT_MAX];

	write_file(ALICE, 0600);
	snprintf(key_path, sizeof(key_path), "%s/key", directory);
	ck_assert_int_eq(rename(path, key_path), 0);
	snprintf(text, sizeof(text),
		 "[wireguard]\nprivate_key_file = %s\npeer_public_key = " BOB_PUBLIC "\n" LINK,
		 key_path);
	ck_assert_int_eq(read_mode(text, 0644), 0);
	unlink(key_path);
}
END_TEST

START_TEST(file_that_others_can_change_is_refused)
{
	static const mode_t bad[] = {0664, 0646, 0666, 0620};
	char key_path[80];
	char text[TEXT_MAX];
	char says[256];

	write_file(ALICE, 0600);
	snprintf(key_path, sizeof(key_path), "%s/key", directory);
	ck_assert_int_eq(rename(path, key_path), 0);
	snprintf(text, sizeof(text),
		 "[wireguard]\nprivate_key_file = %s\npeer_public_key = " BOB_PUBLIC "\n" LINK,
		 key_path);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		ck_assert_int_eq(read_mode(text, bad[i]), -EINVAL);
		snprintf(says, sizeof(says),
			 "%s: %s can be changed by others, having mode 0%o, allowed: at most 0755",
			 path, path, bad[i]);
		ck_assert_uint_eq(errors.n_items, 1);
		ck_assert_msg(!strncmp(errors.items[0].text, says, strlen(says)), "%s",
			      errors.items[0].text);
	}
	if (geteuid() == 0) {
		ck_assert_int_eq(read_mode(text, 0644), 0);
		ck_assert_int_eq(chown(path, 12345, 0), 0);
		config_deinit(&config);
		ck_assert_int_eq(config_read(&config, path, &errors), -EINVAL);
		ck_assert_ptr_nonnull(strstr(errors.items[0].text, "belongs to user 12345"));
	}
	unlink(key_path);
}
END_TEST

/* Where others could put another file, as they like it, in its place. */
START_TEST(file_in_an_open_directory_is_refused)
{
	static const mode_t bad[] = {0777, 0770, 0702, 02775};
	char open_directory[80];
	char link_path[96];
	char says[256];

	snprintf(open_directory, sizeof(open_directory), "%s/open", directory);
	snprintf(link_path, sizeof(link_path), "%s/link", open_directory);
	ck_assert_int_eq(read_mode(SINGLE LINK, 0600), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		ck_assert_int_eq(chmod(directory, bad[i]), 0);
		ck_assert_int_eq(read_mode(SINGLE LINK, 0600), -EINVAL);
		snprintf(says, sizeof(says), "%s can be changed by others, having mode 0%o",
			 directory, bad[i] & 0777);
		ck_assert_ptr_nonnull(strstr(errors.items[0].text, says));
	}
	ck_assert_int_eq(chmod(directory, 01777), 0);
	ck_assert_int_eq(read_mode(SINGLE LINK, 0600), 0);
	ck_assert_int_eq(chmod(directory, 0755), 0);
	ck_assert_int_eq(read_mode(SINGLE LINK, 0600), 0);

	ck_assert_int_eq(mkdir(open_directory, 0700), 0);
	ck_assert_int_eq(chmod(open_directory, 0777), 0);
	ck_assert_int_eq(symlink(path, link_path), 0);
	config_deinit(&config);
	ck_assert_int_eq(config_read(&config, link_path, &errors), -EINVAL);
	ck_assert_ptr_nonnull(strstr(errors.items[0].text, open_directory));
	unlink(link_path);
	rmdir(open_directory);
}
END_TEST

START_TEST(key_file_in_an_open_directory_is_refused)
{
	char text[TEXT_MAX];
	char says[256];

	snprintf(text, sizeof(text),
		 "[wireguard]\nprivate_key_file = %s\npeer_public_key = " BOB_PUBLIC "\n" LINK,
		 path);
	write_file(ALICE "\n", 0600);
	ck_assert_int_eq(chmod(directory, 0775), 0);
	snprintf(says, sizeof(says), "%s can be changed by others, having mode 0775", directory);
	assert_one_error(text, 2, says);
	ck_assert_int_eq(chmod(directory, 0700), 0);
	assert_good(text);
}
END_TEST

START_TEST(huge_file_is_refused)
{
	int fd;

	write_file(SINGLE LINK, 0600);
	fd = open(path, O_WRONLY);
	ck_assert_int_eq(ftruncate(fd, 1024 * 1024 + 1), 0);
	close(fd);
	ck_assert_int_eq(config_read(&config, path, &errors), -EINVAL);
	ck_assert_ptr_nonnull(strstr(errors.items[0].text, "too long, allowed: 1048576 bytes"));
}
END_TEST

static Suite *make_suite(void)
{
	Suite *s = suite_create("config files");
	TCase *c = tcase_create("config files");

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_test(c, key_file_is_read);
	tcase_add_test(c, open_key_file_is_refused);
	tcase_add_test(c, key_file_of_a_stranger_is_refused);
	tcase_add_test(c, bad_key_file_is_refused);
	tcase_add_test(c, key_inline_and_by_file_contradict);
	tcase_add_test(c, missing_file_is_named);
	tcase_add_test(c, directory_is_no_configuration);
	tcase_add_test(c, open_file_with_a_key_in_it_is_refused);
	tcase_add_test(c, open_file_with_keys_elsewhere_is_accepted);
	tcase_add_test(c, file_that_others_can_change_is_refused);
	tcase_add_test(c, file_in_an_open_directory_is_refused);
	tcase_add_test(c, key_file_in_an_open_directory_is_refused);
	tcase_add_test(c, huge_file_is_refused);
	suite_add_tcase(s, c);
	return s;
}
