/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The command `status`: the page of render.h, once or again and again. */
#pragma once

struct options;

int show_status(const struct options *o);
