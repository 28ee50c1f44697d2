/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * What did not work out while the daemon or a network started, but did not keep it from starting
 * either. Such a thing is logged, and kept for the status, once. Owner: the main thread.
 */
#pragma once

#include <stddef.h>

/* More are counted but not kept. */
#define WARNINGS_MAX 32
#define WARNING_LEN_MAX 255

__attribute__((format(printf, 1, 2))) void warning_add(const char *format, ...);

/* How many there were, kept or not. */
size_t warnings_count(void);
/* The text of one, in their order; NULL beyond what is kept. */
const char *warnings_at(size_t i);
