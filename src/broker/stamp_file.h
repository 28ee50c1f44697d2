/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* A file with one time in it, for peers/timestamp.h. Both block on the disk. */
#pragma once

#include "util/clock.h"

/*
 * Reads the file; a missing one leaves `ret` untouched, and so does a damaged one, which is
 * reported. 0 or -errno.
 */
int stamp_file_load(const char *path, nsec_t *ret);
/* All or nothing: after a power cut the file has the old time or the new one. 0 or -errno. */
int stamp_file_store(const char *path, nsec_t value);
