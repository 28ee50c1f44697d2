/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "links/socket.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

#include "wire/ecn.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

/*
 * So many refusals in a row, and a device that cannot cut bursts is not asked any more, but for
 * each so-and-so-many-eth burst: the route may lead elsewhere by then.
 */
#define GSO_REFUSALS_MAX 16
#define GSO_RETRY 256
/* Nothing waits longer in a socket; what seems to was stamped before the clock was set. */
#define WAITED_MAX NSEC_PER_SEC

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(struct in6_pktinfo)) +
		   CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint32_t)) +
		   CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct timespec))];
};

static void wildcard_of(struct addr *ret, int family)
{
	memset(ret, 0, sizeof(*ret));
	ret->sa.sa_family = (sa_family_t)family;
}

static bool is_any_address(const struct addr *a)
{
	if (a->sa.sa_family == AF_INET)
		return a->v4.sin_addr.s_addr == htonl(INADDR_ANY);
	return IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr);
}

static int set_int(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value)) < 0 ? -errno : 0;
}

/* Beyond the system's limit where we may, as far as it where we may not. */
static void set_buffer(int fd, int forced, int plain, uint32_t bytes)
{
	if (set_int(fd, SOL_SOCKET, forced, (int)bytes) < 0)
		set_int(fd, SOL_SOCKET, plain, (int)bytes);
}

/* Data that is larger than the path's MTU is better cut than lost; a probe of the MTU is not. */
static void may_fragment(const struct udp_socket *u, bool may)
{
	set_int(u->fd, IPPROTO_IP, IP_MTU_DISCOVER, may ? IP_PMTUDISC_DONT : IP_PMTUDISC_PROBE);
	if (!u->is_v6)
		return;
	set_int(u->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
		may ? IPV6_PMTUDISC_DONT : IPV6_PMTUDISC_PROBE);
	set_int(u->fd, IPPROTO_IPV6, IPV6_DONTFRAG, !may);
}

static int set_options(struct udp_socket *u, const struct link_settings *s, size_t bytes)
{
	int r;

	set_buffer(u->fd, SO_RCVBUFFORCE, SO_RCVBUF,
		   s->receive_buffer ? s->receive_buffer : LINK_RECEIVE_BUFFER);
	set_buffer(u->fd, SO_SNDBUFFORCE, SO_SNDBUF,
		   s->send_buffer ? s->send_buffer : LINK_SEND_BUFFER);
	if (s->device[0] && setsockopt(u->fd, SOL_SOCKET, SO_BINDTODEVICE, s->device,
				       (socklen_t)strlen(s->device)) < 0)
		return -errno;
	u->device_index = s->device[0] ? if_nametoindex(s->device) : 0;
	if (s->fwmark) {
		r = set_int(u->fd, SOL_SOCKET, SO_MARK, (int)s->fwmark);
		if (r < 0)
			return r;
	}
	may_fragment(u, true);
	if (u->is_wildcard && u->is_v6)
		set_int(u->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	else if (u->is_wildcard)
		set_int(u->fd, IPPROTO_IP, IP_PKTINFO, 1);
	set_int(u->fd, IPPROTO_IP, IP_RECVTOS, 1);
	if (u->is_v6)
		set_int(u->fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
	set_int(u->fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
	u->has_gro = s->gro != OFFLOAD_OFF && bytes >= BURST_BYTES_MAX &&
		     set_int(u->fd, IPPROTO_UDP, UDP_GRO, 1) == 0;
	u->wants_gso = s->gso != OFFLOAD_OFF && set_int(u->fd, IPPROTO_UDP, UDP_SEGMENT, 0) == 0;
	u->has_gso = u->wants_gso;
	return 0;
}

int udp_open(struct udp_socket *ret, const struct link_settings *s, int family, size_t bytes)
{
	struct udp_socket u = {0};
	struct addr local = s->bind;
	bool is_dual = false;
	int r;

	if (!addr_is_set(&local)) {
		is_dual = family == AF_UNSPEC;
		wildcard_of(&local, is_dual ? AF_INET6 : family);
		addr_set_port(&local, s->port);
	}
	u.fd = socket(local.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
	if (u.fd < 0 && is_dual) {
		/* no IPv6 in this kernel */
		wildcard_of(&local, AF_INET);
		addr_set_port(&local, s->port);
		u.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
	}
	if (u.fd < 0)
		return -errno;
	u.is_v6 = local.sa.sa_family == AF_INET6;
	u.is_wildcard = is_any_address(&local);
	if (u.is_v6)
		set_int(u.fd, IPPROTO_IPV6, IPV6_V6ONLY, !is_dual);
	r = set_options(&u, s, bytes);
	if (r == 0 && bind(u.fd, &local.sa, addr_len(&local)) < 0)
		r = -errno;
	if (r < 0) {
		close(u.fd);
		return r;
	}
	*ret = u;
	return 0;
}

void udp_local_addr(const struct udp_socket *u, struct addr *ret)
{
	socklen_t len = sizeof(*ret);

	memset(ret, 0, sizeof(*ret));
	if (u->fd < 0 || getsockname(u->fd, &ret->sa, &len) < 0)
		memset(ret, 0, sizeof(*ret));
}

static void *add_control(struct msghdr *msg, int level, int type, size_t len)
{
	struct cmsghdr *c = (struct cmsghdr *)((char *)msg->msg_control + msg->msg_controllen);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(len);
	msg->msg_controllen += CMSG_SPACE(len);
	return CMSG_DATA(c);
}

static void add_source(struct msghdr *msg, const struct udp_socket *u, const struct addr *local)
{
	struct addr mapped = *local;

	if (u->is_v6) {
		struct in6_pktinfo info = {0};

		addr_map(&mapped);
		info.ipi6_addr = mapped.v6.sin6_addr;
		memcpy(add_control(msg, IPPROTO_IPV6, IPV6_PKTINFO, sizeof(info)), &info,
		       sizeof(info));
	} else {
		struct in_pktinfo info = {.ipi_spec_dst = local->v4.sin_addr};

		memcpy(add_control(msg, IPPROTO_IP, IP_PKTINFO, sizeof(info)), &info, sizeof(info));
	}
}

static void add_ecn(struct msghdr *msg, const struct addr *remote, int ecn)
{
	bool is_v4 = remote->sa.sa_family == AF_INET;

	memcpy(add_control(msg, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_TOS : IPV6_TCLASS,
			   sizeof(ecn)),
	       &ecn, sizeof(ecn));
}

/* Sends datagrams first..first+n-1 by one call; `source` NULL: the system chooses it. */
static int send_run_from(struct udp_socket *u, const struct addr *source, const struct burst *b,
			 uint32_t first, uint32_t n, const struct endpoint *to)
{
	union control control;
	struct addr remote = to->remote;
	size_t begin = (size_t)first * b->stride;
	size_t end = first + n < b->n ? begin + (size_t)n * b->stride : b->len;
	struct iovec iov = {(void *)(b->data + begin), end - begin};
	struct msghdr msg = {
		.msg_name = &remote,
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
	};

	memset(&control, 0, sizeof(control));
	if (u->is_v6)
		addr_map(&remote);
	msg.msg_namelen = addr_len(&remote);
	if (source)
		add_source(&msg, u, source);
	if (b->ecn)
		add_ecn(&msg, &to->remote, b->ecn);
	if (n > 1) {
		uint16_t segment = (uint16_t)b->stride;

		memcpy(add_control(&msg, IPPROTO_UDP, UDP_SEGMENT, sizeof(segment)), &segment,
		       sizeof(segment));
	}
	if (!msg.msg_controllen)
		msg.msg_control = NULL;
	return sendmsg(u->fd, &msg, MSG_NOSIGNAL) < 0 ? -errno : (int)n;
}

/* How kernels of different ages refuse a source that is not ours (or not any more). */
static bool may_be_the_source(int r)
{
	return r == -EINVAL || r == -ENETUNREACH || r == -EHOSTUNREACH || r == -EADDRNOTAVAIL;
}

/*
 * The address that the peer asked us at may be gone: better from another than not at all. The
 * peer answers to that one, and from then on it is the path's.
 */
static int send_run(struct udp_socket *u, const struct burst *b, uint32_t first, uint32_t n,
		    const struct endpoint *to)
{
	int r;

	if (!u->is_wildcard || !addr_is_set(&to->local))
		return send_run_from(u, NULL, b, first, n, to);
	r = send_run_from(u, &to->local, b, first, n, to);
	return may_be_the_source(r) ? send_run_from(u, NULL, b, first, n, to) : r;
}

static int send_mtu_probe(struct udp_socket *u, const struct burst *b, const struct endpoint *to)
{
	int r;

	may_fragment(u, false);
	r = send_run(u, b, 0, 1, to);
	may_fragment(u, true);
	return r;
}

static bool is_gso_retry(struct udp_socket *u)
{
	return u->wants_gso && ++u->gso_skipped % GSO_RETRY == 0;
}

/* EIO: not on this device. The others may be about datagrams of this size only. */
static bool is_gso_refusal(int r)
{
	return r == -EIO || r == -EMSGSIZE || r == -EINVAL;
}

/* What the kernel would not cut by `refusal` has left one by one. */
static void note_gso_refusal(struct udp_socket *u, int refusal)
{
	u->gso_refused++;
	if (refusal == -EIO || ++u->gso_in_a_row >= GSO_REFUSALS_MAX)
		u->has_gso = false;
}

int udp_send(struct udp_socket *u, const struct burst *b, uint32_t first, const struct endpoint *to)
{
	uint32_t n = b->n - first;
	uint32_t sent = 0;
	int refusal = 0;
	int r;

	if (b->is_mtu_probe)
		return send_mtu_probe(u, b, to);
	if (n > 1 && (u->has_gso || is_gso_retry(u))) {
		r = send_run(u, b, first, n, to);
		if (r > 0) {
			u->has_gso = true;
			u->gso_in_a_row = 0;
		}
		if (!is_gso_refusal(r))
			return r;
		refusal = r;
	}
	for (; sent < n; sent++) {
		r = send_run(u, b, first + sent, 1, to);
		if (r < 0)
			return sent ? (int)sent : r;
		if (sent == 0 && refusal)
			note_gso_refusal(u, refusal);
	}
	return (int)sent;
}

/* IPv4's traffic class comes as one byte, that of IPv6 as an int. */
static uint8_t read_ecn(const struct cmsghdr *c)
{
	int tclass;

	if (c->cmsg_level == IPPROTO_IP)
		return *CMSG_DATA(c) & ECN_MASK;
	memcpy(&tclass, CMSG_DATA(c), sizeof(tclass));
	return tclass & ECN_MASK;
}

/* How long before `wall` the kernel stamped it; 0 if the clock has been set since. */
static nsec_t read_stamp(const struct cmsghdr *c, nsec_t wall)
{
	struct timespec stamp;
	nsec_t waited;

	memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
	waited = wall - (stamp.tv_sec * NSEC_PER_SEC + stamp.tv_nsec);
	return waited > 0 && waited < WAITED_MAX ? waited : 0;
}

/*
 * Where a received message was sent to, its congestion marks, how long it has waited, and the
 * length of the datagrams in it. With it the kernel tells, once there is something to tell, what it
 * has dropped before for want of room.
 */
static void read_control(struct udp_socket *u, struct msghdr *msg, struct burst *b, nsec_t wall)
{
	struct addr *local = &b->from.local;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
			int stride;

			memcpy(&stride, CMSG_DATA(c), sizeof(stride));
			if (stride > 0)
				b->stride = (uint32_t)stride;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			local->v6.sin6_family = AF_INET6;
			local->v6.sin6_addr = info.ipi6_addr;
			addr_unmap(local);
		} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			local->v4.sin_family = AF_INET;
			local->v4.sin_addr = info.ipi_spec_dst;
		} else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) ||
			   (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS)) {
			b->ecn = read_ecn(c);
		} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
			memcpy(&u->overflow, CMSG_DATA(c), sizeof(u->overflow));
		} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
			b->waited = read_stamp(c, wall);
		}
	}
}

void udp_stamp(struct udp_socket *u)
{
	u->has_stamps = set_int(u->fd, SOL_SOCKET, SO_TIMESTAMPNS, 1) == 0;
}

int udp_receive(struct udp_socket *u, struct burst **bursts, int n, size_t capacity)
{
	struct mmsghdr msgs[UDP_BATCH];
	struct iovec iov[UDP_BATCH];
	struct addr remotes[UDP_BATCH];
	union control control[UDP_BATCH];
	nsec_t wall;
	int got;

	/* Mostly little has come: bursts that stay empty are not even looked at. */
	for (int i = 0; i < n; i++) {
		iov[i] = (struct iovec){bursts[i]->data, capacity};
		msgs[i].msg_hdr = (struct msghdr){
			.msg_name = &remotes[i],
			.msg_namelen = sizeof(remotes[i]),
			.msg_iov = &iov[i],
			.msg_iovlen = 1,
			.msg_control = control[i].bytes,
			.msg_controllen = sizeof(control[i].bytes),
		};
	}
	got = recvmmsg(u->fd, msgs, (unsigned)n, 0, NULL);
	if (got < 0)
		return -errno;
	wall = u->has_stamps ? clock_wall() : 0;
	for (int i = 0; i < got; i++) {
		struct burst *b = bursts[i];

		memset(&b->from, 0, sizeof(b->from));
		memcpy(&b->from.remote, &remotes[i], msgs[i].msg_hdr.msg_namelen);
		/* A datagram that did not fit is none of ours: it will be counted as malformed. */
		b->len = msgs[i].msg_hdr.msg_flags & MSG_TRUNC ? 1 : msgs[i].msg_len;
		b->stride = b->len;
		b->ecn = ECN_NOT_ECT;
		b->waited = 0;
		read_control(u, &msgs[i].msg_hdr, b, wall);
		burst_count(b);
		addr_unmap(&b->from.remote);
	}
	return got;
}

uint32_t udp_route_mtu(const struct link_settings *s, const struct addr *remote)
{
	int level = remote->sa.sa_family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
	int option = remote->sa.sa_family == AF_INET ? IP_MTU : IPV6_MTU;
	int fd = socket(remote->sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP);
	int mtu = 0;
	socklen_t len = sizeof(mtu);

	if (fd < 0)
		return 0;
	/*
	 * Where we may not bind to a device, or mark, the route is another one: no hint is better.
	 */
	if ((s->device[0] && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, s->device,
					(socklen_t)strlen(s->device)) < 0) ||
	    (s->fwmark && set_int(fd, SOL_SOCKET, SO_MARK, (int)s->fwmark) < 0) ||
	    connect(fd, &remote->sa, addr_len(remote)) < 0 ||
	    getsockopt(fd, level, option, &mtu, &len) < 0)
		mtu = 0;
	close(fd);
	return mtu > 0 ? (uint32_t)mtu : 0;
}
