/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* X25519 keys (RFC 7748), and keys as base64 or hexadecimal text. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_LEN 32
#define KEY_BASE64_LEN 44 /* without the terminating zero */
#define KEY_HEX_LEN 64

/* Random bytes from libcrypto's generator; aborts if there are none to be had. */
void keys_random(void *ret, size_t len);
/* A new private key, clamped. */
void keys_generate(uint8_t ret_private[KEY_LEN]);
void keys_public(uint8_t ret_public[KEY_LEN], const uint8_t private_key[KEY_LEN]);
/* 0; -EINVAL when the result is all zero (a point of low order); -EIO. ret is wiped then. */
int keys_shared(uint8_t ret[KEY_LEN], const uint8_t private_key[KEY_LEN],
		const uint8_t public_key[KEY_LEN]);

bool keys_is_zero(const uint8_t key[KEY_LEN]);
/* In constant time. */
bool keys_equal(const uint8_t *a, const uint8_t *b, size_t len);
void keys_wipe(void *secret, size_t len);

/* `ret_text` gets 44 characters and a zero. */
void keys_to_base64(char ret_text[KEY_BASE64_LEN + 1], const uint8_t key[KEY_LEN]);
/*
 * Strict base64. 0; -EINVAL for what is no base64; -EMSGSIZE for base64 of another length than
 * 32 bytes, that length then being in `ret_len` (which may be NULL).
 */
int keys_from_base64(uint8_t ret[KEY_LEN], const char *text, size_t *ret_len);
void keys_to_hex(char ret_text[KEY_HEX_LEN + 1], const uint8_t key[KEY_LEN]);
int keys_from_hex(uint8_t ret[KEY_LEN], const char *text); /* 0 or -EINVAL */
