/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What libFuzzer and replay_main.c call: each fuzz_<parser>.c defines it. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Feeds one input to the parser; aborts where a promise is broken. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
