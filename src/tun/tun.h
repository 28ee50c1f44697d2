/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* A TUN interface with virtio_net_hdr offloads. Owner: the network; the fd is non-blocking. */
#pragma once

#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdbool.h>

struct tun {
	int fd;
	char name[IFNAMSIZ];
	bool has_header; /* a virtio_net_hdr is before each packet */
	bool can_tso;	 /* reads and writes TCP super-packets */
	bool can_uso;	 /* ... and UDP ones (Linux 6.2) */
};

/* What to ask for; packets are single ones without (still behind a virtio_net_hdr). */
struct tun_wants {
	bool tso;
	bool uso;
	bool queues; /* it may have several: tun_open_queue() */
};

/*
 * Creates the interface `name`; it vanishes when closed. What the kernel does not have of what is
 * wanted is no error, see can_tso and can_uso.
 * 0, -EEXIST if an interface of that name is there already, -EPERM without CAP_NET_ADMIN,
 * -ENOENT/-ENODEV without /dev/net/tun, or another -errno.
 */
int tun_open(struct tun *ret, const char *name, struct tun_wants wants);
/*
 * One more queue of an interface that is there, with the offloads that it has: each flow comes out
 * of one of them. A detached one is for writing: nothing comes out of it. The kernel takes what is
 * written to one that is not for a hint that the flow's other direction should come out there.
 * 0; -EINVAL: it has not been opened for that; or another -errno.
 */
int tun_open_queue(int *ret_fd, const char *name, bool is_detached);
/*
 * An interface that somebody else has opened, and left to us; it becomes non-blocking, and is
 * closed on exec. Takes over `fd` with 0; else -EBADF: it is not open; -ENOTTY: no TUN device;
 * -EBADFD: one without an interface; -EACCES: not open for both reading and writing; -EPROTOTYPE: a
 * TAP interface; -EPROTO: without IFF_NO_PI; or another -errno.
 */
int tun_adopt(struct tun *ret, int fd);
/* The same for an interface that is open; -EBADFD if it has been deleted. */
int tun_set_offloads(struct tun *t, struct tun_wants wants);
/* Is there a carrier? Needs no privilege. 0, or -errno. */
int tun_set_carrier(struct tun *t, bool is_on);
void tun_close(struct tun *t);
