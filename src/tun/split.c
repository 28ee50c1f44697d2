/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Segment i of a super-packet begins gso_size * i bytes into it: its payload stays where it
 * lies, and its headers go right before that, over the payload of the segment before. The
 * headers come from a copy that split_begin() takes, which holds what all segments share;
 * lengths, IPv4 identification, sequence number, flags and checksums are set per segment.
 */
#include "tun/split.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "tun/csum.h"
#include "tun/vnet.h"
#include "wire/inner.h"
#include "wire/ip.h"

#define TCP_CSUM_OFFSET offsetof(struct tcp_header, checksum)
#define UDP_CSUM_OFFSET offsetof(struct udp_header, checksum)

static bool is_udp(const struct split *s)
{
	return s->gso_type == VIRTIO_NET_HDR_GSO_UDP_L4;
}

static size_t csum_offset(const struct split *s)
{
	return is_udp(s) ? UDP_CSUM_OFFSET : TCP_CSUM_OFFSET;
}

/*
 * Completes the checksum at `offset` of the bytes from `start`, which holds the pseudo-header's
 * part but for what is in `sum`. Zero means "no checksum" in UDP and is sent as its other form.
 */
static void complete_csum(uint8_t *start, size_t len, size_t offset, uint64_t sum)
{
	uint16_t csum = (uint16_t)~csum_fold(csum_add(sum, start, len));

	if (csum == 0 && offset == UDP_CSUM_OFFSET)
		csum = UINT16_MAX;
	memcpy(start + offset, &csum, sizeof(csum));
}

static int begin_single(struct split *s, const struct virtio_net_hdr *hdr)
{
	const struct ipv4_header *v4 = (const struct ipv4_header *)s->packet;
	size_t ip_header_len =
		s->packet[0] >> 4 == 4 ? ipv4_header_len(v4) : sizeof(struct ipv6_header);
	size_t start = hdr->csum_start;

	s->headers_len = 0;
	s->transport = 0;
	s->gso_size = 0;
	s->n_segments = 1;
	if (!(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return 0;
	if (start < ip_header_len || start + hdr->csum_offset + sizeof(uint16_t) > s->len)
		return -EINVAL;
	complete_csum(s->packet + start, s->len - start, hdr->csum_offset, 0);
	return 0;
}

/* The type's IP version and protocol are the packet's, and the transport header is at `start`. */
static bool is_transport_start(const struct split *s, size_t start)
{
	const struct ipv4_header *v4 = (const struct ipv4_header *)s->packet;
	const struct ipv6_header *v6 = (const struct ipv6_header *)s->packet;
	uint8_t protocol = is_udp(s) ? IPPROTO_UDP : IPPROTO_TCP;

	if (s->packet[0] >> 4 == 4)
		return s->gso_type != VIRTIO_NET_HDR_GSO_TCPV6 && v4->protocol == protocol &&
		       start == ipv4_header_len(v4);
	if (s->gso_type == VIRTIO_NET_HDR_GSO_TCPV4)
		return false;
	/* Extension headers are the same in all segments and need not be understood. */
	return start > sizeof(*v6) || (start == sizeof(*v6) && v6->next_header == protocol);
}

/* Length of the TCP or UDP header at s->transport; 0 if it is none or goes beyond the packet. */
static size_t transport_header_len(const struct split *s)
{
	const struct tcp_header *tcp = (const struct tcp_header *)(s->packet + s->transport);

	if (is_udp(s))
		return sizeof(struct udp_header);
	if (s->transport + sizeof(*tcp) > s->len || tcp_header_len(tcp) < sizeof(*tcp))
		return 0;
	return tcp_header_len(tcp);
}

/*
 * Takes the whole packet's length out of the pseudo-header's sum, so that each segment adds its
 * own. (The sum itself is not made anew: with an IPv6 routing header the destination in it is
 * not the one in the header.)
 */
static void save_headers(struct split *s)
{
	uint8_t *field = s->headers + s->transport + csum_offset(s);
	uint64_t minus_len = UINT16_MAX - csum_word(s->len - s->transport);
	struct be16 pseudo;

	memcpy(s->headers, s->packet, s->headers_len);
	pseudo = csum_field(csum_fold(csum_add(minus_len, field, sizeof(pseudo))));
	memcpy(field, &pseudo, sizeof(pseudo));
}

static int begin_super(struct split *s, const struct virtio_net_hdr *hdr)
{
	size_t transport_len;

	if (!(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || hdr->gso_size == 0)
		return -EINVAL;
	if (!is_transport_start(s, hdr->csum_start) || hdr->csum_offset != csum_offset(s))
		return -EINVAL;
	s->transport = hdr->csum_start;
	transport_len = transport_header_len(s);
	s->headers_len = s->transport + transport_len;
	if (transport_len == 0 || s->headers_len > SPLIT_HEADERS_MAX || s->headers_len >= s->len)
		return -EINVAL;
	s->gso_size = hdr->gso_size;
	s->n_segments = (s->len - s->headers_len + s->gso_size - 1) / s->gso_size;
	save_headers(s);
	return 0;
}

int split_begin(struct split *s, const struct virtio_net_hdr *hdr, uint8_t *packet, size_t len)
{
	struct inner ip;

	if (inner_parse(&ip, packet, len) < 0)
		return -EINVAL;
	s->packet = packet;
	s->len = ip.len;
	s->next = 0;
	s->gso_type = hdr->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	switch (s->gso_type) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return begin_single(s, hdr);
	case VIRTIO_NET_HDR_GSO_TCPV4:
	case VIRTIO_NET_HDR_GSO_TCPV6:
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return begin_super(s, hdr);
	default:
		return -EINVAL;
	}
}

static void set_ip(uint8_t *segment, size_t len, size_t index)
{
	struct ipv4_header *v4 = (struct ipv4_header *)segment;
	struct ipv6_header *v6 = (struct ipv6_header *)segment;

	if (segment[0] >> 4 == 6) {
		v6->payload_length = be16_make((uint16_t)(len - sizeof(*v6)));
		return;
	}
	v4->total_length = be16_make((uint16_t)len);
	v4->identification = be16_make((uint16_t)(be16_get(v4->identification) + index));
	csum_set_ipv4(v4);
}

/* CWR answers one mark (RFC 3168, section 6.1.2); PSH and FIN belong to the last byte. */
static void set_tcp(struct tcp_header *tcp, size_t offset, bool is_first, bool is_last)
{
	tcp->seq = be32_make(be32_get(tcp->seq) + (uint32_t)offset);
	if (!is_first)
		tcp->flags &= (uint8_t)~TCP_FLAG_CWR;
	if (!is_last)
		tcp->flags &= (uint8_t) ~(TCP_FLAG_FIN | TCP_FLAG_PSH);
}

static void set_headers(const struct split *s, uint8_t *segment, size_t len, size_t index)
{
	uint8_t *transport = segment + s->transport;
	size_t transport_len = len - s->transport;

	memcpy(segment, s->headers, s->headers_len);
	set_ip(segment, len, index);
	if (is_udp(s))
		((struct udp_header *)transport)->length = be16_make((uint16_t)transport_len);
	else
		set_tcp((struct tcp_header *)transport, index * s->gso_size, index == 0,
			index + 1 == s->n_segments);
	complete_csum(transport, transport_len, csum_offset(s), csum_word(transport_len));
}

uint8_t *split_next(struct split *s, size_t *ret_len)
{
	size_t index = s->next, left, len;
	uint8_t *segment;

	if (index == s->n_segments)
		return NULL;
	s->next++;
	segment = s->packet + index * s->gso_size;
	left = s->len - index * s->gso_size;
	len = split_segment_len(s) < left ? split_segment_len(s) : left;
	if (s->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		set_headers(s, segment, len, index);
	*ret_len = len;
	return segment;
}

size_t split_bytes_left(const struct split *s)
{
	size_t n_left = s->n_segments - s->next;

	if (n_left == 0)
		return 0;
	return s->len - s->headers_len - s->next * s->gso_size + n_left * s->headers_len;
}

const uint8_t *split_headers(const struct split *s)
{
	return s->headers_len ? s->headers : s->packet;
}

size_t split_segment_len(const struct split *s)
{
	size_t len = s->headers_len + s->gso_size;

	return len > 0 && len < s->len ? len : s->len;
}
