/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 64
#define BATCHES_MAX 8		/* in one call */
#define BUFFER_BYTES (66 << 10) /* a super-frame of 65,535 bytes of IP and its headers */
#define SOCKET_BYTES (16 << 20)
#define VLAN_TAG 4

/* Shared by all ports: they are read one after the other. */
static uint8_t buffers[BATCH][BUFFER_BYTES];

static int set_flag(int fd, int option)
{
	int one = 1;

	return setsockopt(fd, SOL_PACKET, option, &one, sizeof(one)) < 0 ? -errno : 0;
}

static int join_all(int fd, unsigned index)
{
	struct packet_mreq all = {.mr_ifindex = (int)index, .mr_type = PACKET_MR_PROMISC};

	if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all)) < 0)
		return -errno;
	return 0;
}

static int bind_to(int fd, unsigned index)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)index,
	};

	return bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

/* Nothing to switch off is as good as switched off. */
static void switch_off(int fd, const char *name, uint32_t command)
{
	struct ethtool_value value = {.cmd = command};
	struct ifreq ifr = {.ifr_data = (char *)&value};

	strcpy(ifr.ifr_name, name);
	(void)ioctl(fd, SIOCETHTOOL, &ifr);
}

/* The wire is no neighbour of anyone: no address, no listener reports. */
static void silence_ipv6(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return; /* a kernel without IPv6 */
	(void)!write(fd, "1", 1);
	close(fd);
}

static int read_frame_max(struct port *p)
{
	struct ifreq ifr = {0};

	strcpy(ifr.ifr_name, p->name);
	if (ioctl(p->fd, SIOCGIFMTU, &ifr) < 0)
		return -errno;
	p->frame_max = (size_t)ifr.ifr_mtu + ETH_HLEN + VLAN_TAG;
	return 0;
}

static int set_up(struct port *p)
{
	static const int flags[] = {PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING, PACKET_QDISC_BYPASS};
	int room = SOCKET_BYTES, r = 0;

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]) && r == 0; i++)
		r = set_flag(p->fd, flags[i]);
	if (r < 0)
		return r;
	if (setsockopt(p->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0 ||
	    setsockopt(p->fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
		return -errno;
	silence_ipv6(p->name);
	switch_off(p->fd, p->name, ETHTOOL_SGRO);
	r = read_frame_max(p);
	if (r == 0)
		r = join_all(p->fd, p->index);
	return r < 0 ? r : bind_to(p->fd, p->index);
}

int port_open(struct port *ret, const char *name)
{
	struct port p = {.index = if_nametoindex(name)};
	int r;

	if (p.index == 0)
		return -errno;
	strcpy(p.name, name);
	p.fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (p.fd < 0)
		return -errno;
	r = set_up(&p);
	if (r < 0) {
		close(p.fd);
		return r;
	}
	*ret = p;
	return 0;
}

void port_close(struct port *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

/* An interface that is down may come up again; one that was removed, or moved away, will not. */
static void look_after_error(struct port *p)
{
	char name[IF_NAMESIZE];

	if (errno == ENETDOWN || errno == ENXIO || errno == ENODEV)
		p->is_gone = !if_indextoname(p->index, name);
}

static int receive_batch(struct port *p, struct mmsghdr messages[BATCH])
{
	struct iovec iov[BATCH];
	int n;

	for (size_t i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){buffers[i], sizeof(buffers[i])};
		messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i], .msg_iovlen = 1}};
	}
	n = recvmmsg(p->fd, messages, BATCH, MSG_DONTWAIT, NULL);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		look_after_error(p);
	return n;
}

void port_receive(struct port *p, port_handler handle, void *context)
{
	struct mmsghdr messages[BATCH];
	int n = BATCH;

	for (int batch = 0; batch < BATCHES_MAX && n == BATCH; batch++) {
		n = receive_batch(p, messages);
		for (int i = 0; i < n; i++) {
			struct virtio_net_hdr vnet;
			bool is_cut = messages[i].msg_hdr.msg_flags & MSG_TRUNC;

			if (is_cut || messages[i].msg_len < sizeof(vnet))
				continue;
			memcpy(&vnet, buffers[i], sizeof(vnet));
			handle(context, &vnet, buffers[i] + sizeof(vnet),
			       messages[i].msg_len - sizeof(vnet));
		}
	}
}

static void send_batch(struct port *p, struct mmsghdr *messages, size_t n)
{
	while (n > 0) {
		int sent = sendmmsg(p->fd, messages, (unsigned)n, MSG_DONTWAIT);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0) {
			look_after_error(p);
			p->send_failures++;
			sent = 1; /* is passed over */
		}
		messages += sent;
		n -= (size_t)sent;
	}
}

void port_send(struct port *p, struct packet *const *packets, size_t n)
{
	struct mmsghdr messages[BATCH];
	struct iovec iov[BATCH];

	while (n > 0) {
		size_t now = n < BATCH ? n : BATCH;

		for (size_t i = 0; i < now; i++) {
			iov[i] = (struct iovec){&packets[i]->vnet,
						sizeof(packets[i]->vnet) + packets[i]->len};
			messages[i] =
				(struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i], .msg_iovlen = 1}};
		}
		send_batch(p, messages, now);
		packets += now;
		n -= now;
	}
}

void port_count_overruns(struct port *p)
{
	struct tpacket_stats stats;
	socklen_t len = sizeof(stats);

	/* Reading sets the kernel's to zero. */
	if (getsockopt(p->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len) == 0)
		p->overruns += stats.tp_drops;
}
