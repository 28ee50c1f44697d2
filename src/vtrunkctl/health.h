/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The command `health`: one word, the reasons, and an exit status for monitoring. */
#pragma once

struct options;

int health_show(const struct options *o);
