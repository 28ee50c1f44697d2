/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Messages of one piece over a Unix socket (SOCK_SEQPACKET), each with at most one descriptor.
 * What is received is either whole or refused, and a descriptor never leaks.
 */
#pragma once

#include <stddef.h>

/* Both ends close on exec; 0 or -errno. */
int channel_pair(int ret_fds[2]);

/* `fd` -1: none; it stays the caller's. 0 or -errno (-EPIPE: the other end is gone). */
int channel_send(int channel, const void *message, size_t len, int fd);

/*
 * Waits for a message of up to `size` bytes; *ret_fd is the descriptor that came with it, or -1.
 * 0; -EPIPE when the other end is gone; -EMSGSIZE for one that is longer or has more than one
 * descriptor; or -errno (-EAGAIN: the socket does not block, and there is none).
 */
int channel_receive(int channel, void *message, size_t size, size_t *ret_len, int *ret_fd);
