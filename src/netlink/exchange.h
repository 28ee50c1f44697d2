/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A request and its answer over a socket that talks to rtnetlink. Blocks until the kernel has
 * answered, which it does within the request's own system call.
 */
#pragma once

#include "netlink/message.h"

struct exchange {
	int fd; /* connected: what is sent goes to the kernel, and only the kernel answers */
	uint32_t portid;
	uint32_t seq; /* of the last request */
};

int exchange_open(struct exchange *ret);
void exchange_close(struct exchange *x);

/* Sends a request that changes something; 0, the kernel's -errno, or as message_read(). */
int exchange_change(struct exchange *x, union message_buffer *request);

/*
 * Sends a request for a dump, and gives each message of `type` to `each`. Where the kernel
 * interrupts it because of a change, it starts again after `restart`, which forgets what `each`
 * has learnt. 0; -EBUSY when it was interrupted too often; else as message_read(), or what
 * `each` returned below 0: then the socket is of no more use.
 */
struct exchange_dump {
	uint16_t type;
	void (*restart)(void *ctx);
	message_fn each;
	void *ctx;
};
int exchange_dump(struct exchange *x, union message_buffer *request,
		  const struct exchange_dump *dump);
