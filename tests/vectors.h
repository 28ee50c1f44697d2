/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Test vectors: files of tests/vectors/, found through the environment variable VECTORS. What
 * is missing or malformed fails the test. Byte strings are hexadecimal.
 */
#pragma once

#include <check.h>
#include <json-c/json.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bytes {
	uint8_t data[512];
	size_t len;
};

/* The caller ends with json_object_put(), which frees all that came from the file. */
static inline struct json_object *vectors_open(const char *file)
{
	const char *folder = getenv("VECTORS");
	struct json_object *root;
	char path[4096];

	ck_assert_msg(folder, "VECTORS does not name the folder of the test vectors");
	snprintf(path, sizeof(path), "%s/%s", folder, file);
	root = json_object_from_file(path);
	ck_assert_msg(root, "%s", json_util_get_last_err());
	return root;
}

static inline struct json_object *vectors_get(struct json_object *object, const char *key)
{
	struct json_object *value;

	ck_assert_msg(json_object_object_get_ex(object, key, &value), "no vector %s", key);
	return value;
}

static inline struct bytes vectors_decode(struct json_object *hex)
{
	const char *text = json_object_get_string(hex);
	struct bytes b = {.len = strlen(text) / 2};

	ck_assert_uint_eq(strlen(text) % 2, 0);
	ck_assert_uint_le(b.len, sizeof(b.data));
	for (size_t i = 0; i < b.len; i++) {
		unsigned byte;

		ck_assert_int_eq(sscanf(text + 2 * i, "%2x", &byte), 1);
		b.data[i] = (uint8_t)byte;
	}
	return b;
}

static inline struct bytes vectors_bytes(struct json_object *object, const char *key)
{
	return vectors_decode(vectors_get(object, key));
}

static inline int64_t vectors_number(struct json_object *object, const char *key)
{
	return json_object_get_int64(vectors_get(object, key));
}

/* The array "cases" of a group, which is never empty. */
static inline struct json_object *vectors_cases(struct json_object *root, const char *group)
{
	struct json_object *cases = vectors_get(vectors_get(root, group), "cases");

	ck_assert_uint_gt(json_object_array_length(cases), 0);
	return cases;
}
