/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Files of /sys and /proc: what is written to one is one value, and the kernel looks at each write
 * by itself. So a value goes in one write, or not at all.
 */
#pragma once

#include <stddef.h>

/* 0; -EIO where only a part is ever taken; or -errno. */
int kernel_file_write(const char *path, const char *text);

/* The first line, without its end, as text. 0; -EMSGSIZE where it has no room; or -errno. */
int kernel_file_read(const char *path, char *ret, size_t size);

/* Writes, and reads what is in force now. -EBADMSG where that is something else. */
int kernel_file_set(const char *path, const char *text);
