/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The command `doctor`: looks at the machine for what commonly keeps a bond from working, and says
 * how to mend it. It changes nothing.
 */
#pragma once

struct options;

/* The exit status: 1 if something is wrong. */
int doctor_run(const struct options *o);
