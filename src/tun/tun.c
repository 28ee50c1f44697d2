/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "tun/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Linux 6.2; Debian 12 has the headers of 6.1. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

#define OFFLOAD_TSO (TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)
#define OFFLOAD_USO (TUN_F_USO4 | TUN_F_USO6)

static int set_header_len(int fd)
{
	int header_len = sizeof(struct virtio_net_hdr);

	return ioctl(fd, TUNSETVNETHDRSZ, &header_len) < 0 ? -errno : 0;
}

static int attach(int fd, const char *name, int more_flags, struct ifreq *ifr)
{
	*ifr = (struct ifreq){.ifr_flags =
				      (short)(IFF_TUN | IFF_NO_PI | IFF_VNET_HDR | more_flags)};
	if (strlen(name) >= sizeof(ifr->ifr_name))
		return -ENAMETOOLONG;
	strcpy(ifr->ifr_name, name);
	return ioctl(fd, TUNSETIFF, ifr) < 0 ? -errno : 0;
}

static int create(int fd, struct tun *t, const char *name, bool has_queues)
{
	struct ifreq ifr;
	int r = attach(fd, name, IFF_TUN_EXCL | (has_queues ? IFF_MULTI_QUEUE : 0), &ifr);

	if (r < 0)
		return r == -EBUSY ? -EEXIST : r;
	memcpy(t->name, ifr.ifr_name, sizeof(t->name));
	t->has_header = true;
	return set_header_len(fd);
}

static bool set_offloads(int fd, unsigned long offloads)
{
	return ioctl(fd, TUNSETOFFLOAD, offloads) == 0;
}

static bool try_offloads(struct tun *t, bool tso, bool uso)
{
	unsigned long bits = (tso ? OFFLOAD_TSO : 0) | (uso ? OFFLOAD_USO : 0);

	if (!set_offloads(t->fd, bits ? TUN_F_CSUM | bits : 0))
		return false;
	t->can_tso = tso;
	t->can_uso = uso;
	return true;
}

/* A kernel refuses the whole set for one bit that it does not know. */
int tun_set_offloads(struct tun *t, struct tun_wants wants)
{
	if (!t->has_header) /* nothing could tell of them */
		wants = (struct tun_wants){0};
	if (try_offloads(t, wants.tso, wants.uso) || try_offloads(t, wants.tso, false) ||
	    try_offloads(t, false, false))
		return 0;
	return -errno;
}

static int open_device(void)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

int tun_open(struct tun *ret, const char *name, struct tun_wants wants)
{
	struct tun t = {};
	int r;

	t.fd = open_device();
	if (t.fd < 0)
		return t.fd;
	r = create(t.fd, &t, name, wants.queues);
	if (r == 0)
		r = tun_set_offloads(&t, wants);
	if (r < 0) {
		close(t.fd);
		return r;
	}
	*ret = t;
	return 0;
}

int tun_open_queue(int *ret_fd, const char *name, bool is_detached)
{
	struct ifreq detach = {.ifr_flags = IFF_DETACH_QUEUE};
	struct ifreq ifr;
	int fd = open_device();
	int r;

	if (fd < 0)
		return fd;
	r = attach(fd, name, IFF_MULTI_QUEUE, &ifr);
	if (r == 0 && is_detached && ioctl(fd, TUNSETQUEUE, &detach) < 0)
		r = -errno;
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

/*
 * TUNGETIFF does not tell: IFF_NOFILTER, which it adds, has the bit of IFF_NO_PI. But a kernel that
 * expects packet information refuses a write that is too short for it, while the first byte of an
 * IPv4 packet is merely no packet (or the interface is down).
 */
static bool has_packet_info(int fd, bool has_header)
{
	char bytes[sizeof(struct virtio_net_hdr) + 1] = {0};
	size_t header_len = has_header ? sizeof(bytes) - 1 : 0;

	bytes[header_len] = 0x45;
	return write(fd, bytes, header_len + 1) < 0 && errno == EINVAL;
}

/* Which interface it is, and that it gives whole packets of IP and nothing else. */
static int identify(int fd, struct tun *t)
{
	struct ifreq ifr = {};
	int r;

	if (ioctl(fd, TUNGETIFF, &ifr) < 0)
		return errno == EBADFD ? -EBADFD : -ENOTTY;
	if (!(ifr.ifr_flags & IFF_TUN))
		return -EPROTOTYPE;
	memcpy(t->name, ifr.ifr_name, sizeof(t->name));
	t->has_header = ifr.ifr_flags & IFF_VNET_HDR;
	r = t->has_header ? set_header_len(fd) : 0;
	if (r == 0 && has_packet_info(fd, t->has_header))
		r = -EPROTO;
	return r;
}

int tun_adopt(struct tun *ret, int fd)
{
	struct tun t = {.fd = fd};
	int flags = fcntl(fd, F_GETFL);
	int r;

	if (flags < 0)
		return -errno;
	if ((flags & O_ACCMODE) != O_RDWR)
		return -EACCES;
	r = identify(fd, &t);
	if (r < 0)
		return r;
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	*ret = t;
	return 0;
}

int tun_set_carrier(struct tun *t, bool is_on)
{
	unsigned value = is_on;

	return ioctl(t->fd, TUNSETCARRIER, &value) < 0 ? -errno : 0;
}

void tun_close(struct tun *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}
