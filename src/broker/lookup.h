/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Names to addresses by the system's resolver, which may block for many seconds, and which
 * reads files and answers of strangers: so a process of its own can do it (lookup_serve()) for
 * one that may not, at the other end of a channel.
 */
#pragma once

#include "links/settings.h"

#define LOOKUP_ADDRESSES_MAX 6

struct lookup_request {
	struct endpoint_name name;
	int32_t family; /* AF_UNSPEC: any */
};

/* In the order in which to try them: the resolver's, but families by turns (RFC 8305, section 4).
 */
struct lookup_addresses {
	struct addr list[LOOKUP_ADDRESSES_MAX];
	uint32_t n;
};

/* 0 or one of getaddrinfo()'s errors. */
int lookup(const struct lookup_request *q, struct lookup_addresses *ret);

/* The same by who serves the channel; -EPIPE, or another -errno, where that fails. */
int lookup_ask(int channel, const struct lookup_request *q, struct lookup_addresses *ret,
	       int *ret_error);
/* Answers one request after the other until the other end is gone, or says something wrong. */
void lookup_serve(int channel);
