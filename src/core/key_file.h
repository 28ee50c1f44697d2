/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A private key's file, and the key that is to follow it: PATH.next is made beside it, and takes
 * its place in one step; the one before stays as PATH.old. Owner: the supervisor, at a client's
 * request.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * The key in PATH.next. Where there is none and `may_make`, a new one is made, of mode 0600. 0;
 * -ENOKEY where there is none; -EINVAL where that file is no key, or open to others; or -errno.
 */
int key_file_next(const char *path, bool may_make, uint8_t ret_key[32]);

/* PATH.next is PATH from now on, also after a power cut. 0; or -errno, and PATH is as it was. */
int key_file_take_next(const char *path);
