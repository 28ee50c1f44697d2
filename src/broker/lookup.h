/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Names to addresses by the system's resolver, which may block for many seconds, and which
 * reads files and answers of strangers: so a process of its own can do it (lookup_serve()) for
 * one that may not, at the other end of a channel.
 */
#pragma once

#include "links/settings.h"

struct lookup_request {
	struct endpoint_name name;
	int32_t family;	   /* AF_UNSPEC: any */
	struct addr avoid; /* take another of the name's addresses, if there is one */
};

/* 0 or one of getaddrinfo()'s errors. */
int lookup(const struct lookup_request *q, struct addr *ret);

/* The same by who serves the channel; -EPIPE, or another -errno, where that fails. */
int lookup_ask(int channel, const struct lookup_request *q, struct addr *ret, int *ret_error);
/* Answers one request after the other until the other end is gone, or says something wrong. */
void lookup_serve(int channel);
