/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What the configuration says of something that the kernel or a device may do for us. */
#pragma once

enum offload {
	OFFLOAD_AUTO, /* where it can be had */
	OFFLOAD_ON,   /* it must be there */
	OFFLOAD_OFF,  /* it is not asked for */
};

static inline const char *offload_name(enum offload o)
{
	static const char *const names[] = {"auto", "on", "off"};

	return names[o];
}
