/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What the kernel is told of the tunnel interface: its addresses, MTU, carrier. Main thread. */
#pragma once

struct network;

/*
 * Puts the configured addresses on the interface. 0; -EADDRINUSE where another interface has one;
 * or -errno, the cause being logged.
 */
int interface_add_addresses(struct network *n);
