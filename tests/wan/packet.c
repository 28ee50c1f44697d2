/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "packet.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <string.h>

#include "tun/csum.h"
#include "tun/vnet.h"
#include "wire/ip.h"

#define ETH_TYPE_OFFSET 12
#define ICMPV6_ND_FIRST 133 /* router solicitation; RFC 4861 */
#define ICMPV6_ND_LAST 137  /* redirect */
#define ND_HOP_LIMIT 255

static uint16_t eth_type(const uint8_t *frame)
{
	return (uint16_t)(frame[ETH_TYPE_OFFSET] << 8 | frame[ETH_TYPE_OFFSET + 1]);
}

static bool is_v4(const uint8_t *frame)
{
	return eth_type(frame) == ETH_P_IP;
}

static size_t ip_header_len(const uint8_t *frame)
{
	if (is_v4(frame))
		return ipv4_header_len((const struct ipv4_header *)(frame + ETH_HLEN));
	return sizeof(struct ipv6_header);
}

static bool has_ip_header(const uint8_t *frame, size_t len)
{
	if (is_v4(frame))
		return len >= ETH_HLEN + sizeof(struct ipv4_header) &&
		       ip_header_len(frame) >= sizeof(struct ipv4_header) &&
		       len >= ETH_HLEN + ip_header_len(frame);
	return eth_type(frame) == ETH_P_IPV6 && len >= ETH_HLEN + sizeof(struct ipv6_header);
}

/* 224.0.0.0/24 (RFC 5771, section 4) and ff02::/16 (RFC 4291, section 2.7): multicast DNS,
 * reports of listeners and the like. */
static bool is_for_local_group(const uint8_t *frame)
{
	const struct ipv4_header *v4 = (const struct ipv4_header *)(frame + ETH_HLEN);
	const struct ipv6_header *v6 = (const struct ipv6_header *)(frame + ETH_HLEN);

	if (is_v4(frame))
		return memcmp(v4->destination, "\xe0\0\0", 3) == 0;
	return v6->destination[0] == 0xff && (v6->destination[1] & 0x0f) == 2;
}

static bool is_neighbour_discovery(const uint8_t *frame, size_t len)
{
	const struct ipv6_header *ip = (const struct ipv6_header *)(frame + ETH_HLEN);
	const uint8_t *icmp = frame + ETH_HLEN + sizeof(*ip);

	return ip->next_header == IPPROTO_ICMPV6 && ip->hop_limit == ND_HOP_LIMIT &&
	       len > ETH_HLEN + sizeof(*ip) && icmp[0] >= ICMPV6_ND_FIRST &&
	       icmp[0] <= ICMPV6_ND_LAST;
}

bool frame_is_far(const uint8_t *frame, size_t len)
{
	if (len < ETH_HLEN || !has_ip_header(frame, len) || is_for_local_group(frame))
		return false;
	return is_v4(frame) || !is_neighbour_discovery(frame, len);
}

static int begin_super_frame(struct cut *c, size_t len)
{
	uint8_t type = c->vnet.gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	size_t transport = c->vnet.csum_start;
	const uint8_t *header = c->frame + transport;
	size_t header_len = sizeof(struct udp_header);

	c->is_tcp = type == VIRTIO_NET_HDR_GSO_TCPV4 || type == VIRTIO_NET_HDR_GSO_TCPV6;
	if (!c->is_tcp && type != VIRTIO_NET_HDR_GSO_UDP_L4)
		return -EINVAL;
	if (!(c->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || c->vnet.gso_size == 0)
		return -EINVAL;
	if (transport < ETH_HLEN + ip_header_len(c->frame) ||
	    len < transport + sizeof(struct tcp_header))
		return -EINVAL;
	if (c->is_tcp)
		header_len = tcp_header_len((const struct tcp_header *)header);
	if (len < transport + header_len || header_len < c->vnet.csum_offset + sizeof(struct be16))
		return -EINVAL;
	c->headers_len = transport + header_len;
	c->payload_len = len - c->headers_len;
	c->piece_len = c->vnet.gso_size;
	c->vnet.gso_type = VIRTIO_NET_HDR_GSO_NONE;
	c->vnet.gso_size = 0;
	return 0;
}

int cut_begin(struct cut *c, const struct virtio_net_hdr *vnet, const uint8_t *frame, size_t len)
{
	*c = (struct cut){.frame = frame, .vnet = *vnet, .headers_len = len};
	c->vnet.hdr_len = 0;
	c->vnet.flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	if (!(c->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		c->vnet.csum_start = c->vnet.csum_offset = 0;
	else if ((size_t)vnet->csum_start + vnet->csum_offset + sizeof(uint16_t) > len)
		return -EINVAL;
	if (vnet->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return 0;
	if (len < ETH_HLEN || !has_ip_header(frame, len))
		return -EINVAL;
	return begin_super_frame(c, len);
}

size_t cut_frame_max(const struct cut *c)
{
	size_t payload = c->payload_len < c->piece_len ? c->payload_len : c->piece_len;

	return c->headers_len + payload;
}

static void write_ip_length(uint8_t *frame, size_t len, size_t index)
{
	struct ipv4_header *v4 = (struct ipv4_header *)(frame + ETH_HLEN);
	struct ipv6_header *v6 = (struct ipv6_header *)(frame + ETH_HLEN);
	size_t ip_len = len - ETH_HLEN;

	if (!is_v4(frame)) {
		v6->payload_length = be16_make((uint16_t)(ip_len - sizeof(*v6)));
		return;
	}
	v4->total_length = be16_make((uint16_t)ip_len);
	v4->identification = be16_make((uint16_t)(be16_get(v4->identification) + index));
	csum_set_ipv4(v4);
}

static void write_tcp(struct tcp_header *tcp, size_t at, bool is_last)
{
	tcp->seq = be32_make(be32_get(tcp->seq) + (uint32_t)at);
	if (at > 0)
		tcp->flags &= (uint8_t)~TCP_FLAG_CWR;
	if (!is_last)
		tcp->flags &= (uint8_t) ~(TCP_FLAG_FIN | TCP_FLAG_PSH);
}

/* The unfinished checksum is the pseudo-header's sum, in which only the length changes. */
static void adjust_checksum(struct packet *p, size_t old_len, size_t new_len)
{
	uint8_t *field = p->frame + p->vnet.csum_start + p->vnet.csum_offset;
	uint16_t sum;

	memcpy(&sum, field, sizeof(sum));
	sum = csum_fold(sum + (UINT16_MAX ^ csum_word(old_len)) + csum_word(new_len));
	memcpy(field, &sum, sizeof(sum));
}

static void write_piece(const struct cut *c, struct packet *ret, size_t piece_len)
{
	uint8_t *transport = ret->frame + c->vnet.csum_start;
	size_t transport_header_len = c->headers_len - c->vnet.csum_start;

	memcpy(ret->frame + c->headers_len, c->frame + c->headers_len + c->at, piece_len);
	write_ip_length(ret->frame, ret->len, c->at / c->piece_len);
	if (c->is_tcp)
		write_tcp((struct tcp_header *)transport, c->at,
			  c->at + piece_len == c->payload_len);
	else
		((struct udp_header *)transport)->length =
			be16_make((uint16_t)(transport_header_len + piece_len));
	adjust_checksum(ret, transport_header_len + c->payload_len,
			transport_header_len + piece_len);
}

void cut_next(struct cut *c, struct packet *ret)
{
	size_t left = c->payload_len - c->at;
	size_t piece_len = left < c->piece_len ? left : c->piece_len;

	ret->vnet = c->vnet;
	ret->len = (uint32_t)(c->headers_len + piece_len);
	memcpy(ret->frame, c->frame, c->headers_len);
	if (c->piece_len)
		write_piece(c, ret, piece_len);
	c->at += piece_len;
	c->is_done = c->at == c->payload_len;
}

/* Frames shorter than Ethernet allows are padded behind the IP packet. */
static size_t end_of_ip(const struct packet *p)
{
	const struct ipv4_header *v4 = (const struct ipv4_header *)(p->frame + ETH_HLEN);
	const struct ipv6_header *v6 = (const struct ipv6_header *)(p->frame + ETH_HLEN);
	size_t end;

	if (is_v4(p->frame))
		end = ETH_HLEN + (size_t)be16_get(v4->total_length);
	else
		end = ETH_HLEN + sizeof(*v6) + be16_get(v6->payload_length);
	return end < p->len ? end : p->len;
}

void packet_finish_checksum(struct packet *p)
{
	size_t start = p->vnet.csum_start, end = end_of_ip(p);
	uint8_t *field = p->frame + start + p->vnet.csum_offset;
	uint16_t sum;

	if (!(p->vnet.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return;
	p->vnet = (struct virtio_net_hdr){0};
	if (start > end)
		return;
	sum = (uint16_t)~csum_fold(csum_add(0, p->frame + start, end - start));
	if (sum == 0)
		sum = UINT16_MAX; /* the same number; to UDP, 0 would mean "none" */
	memcpy(field, &sum, sizeof(sum));
}

void packet_flip_bit(struct packet *p, uint64_t random)
{
	size_t from = ETH_HLEN + ip_header_len(p->frame), end = end_of_ip(p);
	uint64_t bit;

	packet_finish_checksum(p);
	if (from >= end)
		return;
	bit = random % ((end - from) * 8);
	p->frame[from + bit / 8] ^= (uint8_t)(1 << bit % 8);
}

bool packet_may_fragment(const struct packet *p)
{
	const struct ipv4_header *ip = (const struct ipv4_header *)(p->frame + ETH_HLEN);

	if (!is_v4(p->frame) || end_of_ip(p) <= ETH_HLEN + ip_header_len(p->frame))
		return false;
	return !(be16_get(ip->flags_fragment) & IPV4_DONT_FRAGMENT);
}

bool packet_fragment(const struct packet *p, size_t mtu, size_t *at, struct packet *ret)
{
	const struct ipv4_header *whole = (const struct ipv4_header *)(p->frame + ETH_HLEN);
	struct ipv4_header *ip = (struct ipv4_header *)(ret->frame + ETH_HLEN);
	size_t header_len = ipv4_header_len(whole), from = ETH_HLEN + header_len;
	size_t left = end_of_ip(p) - from - *at, len = (mtu - header_len) & ~(size_t)7;
	uint16_t flags = be16_get(whole->flags_fragment);

	if (left == 0)
		return false;
	if (left <= mtu - header_len)
		len = left;
	else
		flags |= IP_MF;
	ret->vnet = (struct virtio_net_hdr){0};
	ret->len = (uint32_t)(from + len);
	memcpy(ret->frame, p->frame, from);
	memcpy(ret->frame + from, p->frame + from + *at, len);
	ip->flags_fragment = be16_make((uint16_t)(flags + *at / 8));
	write_ip_length(ret->frame, ret->len, 0);
	*at += len;
	return true;
}
