/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * What the tests of the configuration share: keys, sections to build files of, and parsing
 * with every message searched for key material.
 */
#pragma once

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check_main.h"
#include "core/config.h"
#include "crypto/keys.h"

/* RFC 7748, section 6.1: Alice is us, Bob the peer. */
#define ALICE "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo="
#define ALICE_PUBLIC "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="
#define BOB_PUBLIC "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08="
#define PRESHARED "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
#define ZERO_KEY "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define KEY_OF_31 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg=="

#define TEXT_MAX 65536

#define NETWORK "[network]\naddress = 10.0.0.1/24\n"
#define WIREGUARD "[wireguard]\nprivate_key = " ALICE "\n"
#define SINGLE WIREGUARD "peer_public_key = " BOB_PUBLIC "\n"
#define PEER_BOB "public_key = " BOB_PUBLIC "\nallowed_ips = 10.1.0.0/16\n"
#define LINK "[link a]\n"

static char directory[] = "/tmp/vtrunkd-test-XXXXXX";
static char path[64];
static struct config config;
static struct config_errors errors;

static inline void set_up(void)
{
	strcpy(directory, "/tmp/vtrunkd-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/file", directory);
	memset(&config, 0, sizeof(config));
	memset(&errors, 0, sizeof(errors));
	errors.file = "t.conf";
}

static inline void tear_down(void)
{
	config_deinit(&config);
	config_errors_deinit(&errors);
	unlink(path);
	rmdir(directory);
}

/* Every message is looked at for the keys that the test files hold. */
static inline void assert_no_secret(void)
{
	static const char *const secrets[] = {ALICE, PRESHARED, KEY_OF_31, "dwdtCnMY", "AQIDBAUG"};

	for (size_t i = 0; i < errors.n_items; i++)
		for (size_t k = 0; k < sizeof(secrets) / sizeof(*secrets); k++)
			ck_assert_msg(!strstr(errors.items[i].text, secrets[k]), "secret in: %s",
				      errors.items[i].text);
}

/* Forgets what an earlier file left behind. */
static inline int parse_bytes(const char *text, size_t len)
{
	char *copy = malloc(len + 1);
	int r;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, text, len);
	config_deinit(&config);
	config_errors_deinit(&errors);
	errors.file = "t.conf";
	r = config_parse(&config, copy, len, &errors);
	free(copy);
	assert_no_secret();
	return r;
}

static inline int parse(const char *text)
{
	return parse_bytes(text, strlen(text));
}

static inline void assert_good(const char *text)
{
	int r = parse(text);

	ck_assert_msg(r == 0, "refused: %s\n%s", errors.n_items ? errors.items[0].text : "", text);
	ck_assert(!config_errors_any(&errors));
}

/* Exactly one error, at that line, holding all of `says` (parts separated by '|'). */
static inline void assert_one_error(const char *text, int line, const char *says)
{
	char place[64];
	char parts[512];
	char *rest = parts;
	char *part;

	ck_assert_msg(parse(text) == -EINVAL, "accepted:\n%s", text);
	ck_assert_msg(errors.n_items == 1, "%zu errors, %s\n%s\nfor:\n%s", errors.n_items,
		      errors.items[0].text, errors.n_items > 1 ? errors.items[1].text : "", text);
	snprintf(place, sizeof(place), line ? "t.conf:%d: " : "t.conf: ", line);
	ck_assert_msg(!strncmp(errors.items[0].text, place, strlen(place)), "not at line %d: %s",
		      line, errors.items[0].text);
	strcpy(parts, says);
	while ((part = strsep(&rest, "|")))
		ck_assert_msg(strstr(errors.items[0].text, part), "'%s' is not in: %s", part,
			      errors.items[0].text);
}

static inline void assert_key(const uint8_t key[KEY_LEN], const char *text)
{
	char found[KEY_BASE64_LEN + 1];

	keys_to_base64(found, key);
	ck_assert_str_eq(found, text);
}
