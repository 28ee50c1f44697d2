/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#pragma once

#include <stddef.h>

/* The struct of which `pointer` is that member. */
#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))
