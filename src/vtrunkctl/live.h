/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The command `watch`: the view of view.h on the whole terminal, until q or an interrupt. */
#pragma once

struct options;

int live_watch(const struct options *o);
