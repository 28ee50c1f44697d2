/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A run is the longest sequence of packets that the kernel would cut out of one super-packet
 * again byte for byte: equal headers, consecutive sequence numbers and identifications, equal
 * payload sizes up to a shorter last one, CWR on the first only, PSH on the last only. Since
 * the kernel computes their checksums anew, a packet whose checksum is wrong never gets in.
 *
 * One difference is let through: packets with DF whose identifications are all zero come out
 * numbered if the kernel has to cut them. That field has no meaning for them (RFC 6864,
 * section 4.1), and unconnected UDP sockets of Linux send all their packets so.
 */
#include "tun/merge.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "tun/csum.h"
#include "tun/vnet.h"
#include "wire/ip.h"

#define TCP_FLAGS_MERGED (TCP_FLAG_PSH | TCP_FLAG_ACK | TCP_FLAG_ECE | TCP_FLAG_CWR)

void merge_init(struct merge *m, merge_write_fn write, void *ctx, bool can_tcp, bool can_udp)
{
	memset(m, 0, sizeof(*m));
	m->write = write;
	m->ctx = ctx;
	m->can_tcp = can_tcp;
	m->can_udp = can_udp;
}

static const struct ipv4_header *ipv4_of(const struct merge_packet *p)
{
	return (const struct ipv4_header *)p->data;
}

static const struct ipv6_header *ipv6_of(const struct merge_packet *p)
{
	return (const struct ipv6_header *)p->data;
}

static const struct tcp_header *tcp_of(const struct merge_packet *p)
{
	return (const struct tcp_header *)(p->data + p->transport);
}

static const struct udp_header *udp_of(const struct merge_packet *p)
{
	return (const struct udp_header *)(p->data + p->transport);
}

static bool is_ipv4(const struct merge_packet *p)
{
	return p->transport == sizeof(struct ipv4_header);
}

static bool has_dont_fragment(const struct merge_packet *p)
{
	return be16_get(ipv4_of(p)->flags_fragment) == IPV4_DONT_FRAGMENT;
}

static bool parse_ip(struct merge_packet *ret, uint8_t *packet, size_t len)
{
	const struct ipv4_header *v4 = (const struct ipv4_header *)packet;
	const struct ipv6_header *v6 = (const struct ipv6_header *)packet;

	ret->data = packet;
	if (len > sizeof(*v4) && v4->version_ihl == 0x45) {
		ret->transport = sizeof(*v4);
		ret->protocol = v4->protocol;
		return be16_get(v4->total_length) == len &&
		       (be16_get(v4->flags_fragment) == 0 || has_dont_fragment(ret));
	}
	if (len > sizeof(*v6) && packet[0] >> 4 == 6) {
		ret->transport = sizeof(*v6);
		ret->protocol = v6->next_header;
		return sizeof(*v6) + be16_get(v6->payload_length) == len;
	}
	return false;
}

static bool parse_tcp(struct merge_packet *ret, size_t transport_len)
{
	const struct tcp_header *tcp = tcp_of(ret);

	if (transport_len < sizeof(*tcp) || tcp_header_len(tcp) < sizeof(*tcp))
		return false;
	ret->headers_len = ret->transport + tcp_header_len(tcp);
	return (tcp->flags & TCP_FLAG_ACK) && !(tcp->flags & ~TCP_FLAGS_MERGED);
}

static bool parse_udp(struct merge_packet *ret, size_t transport_len)
{
	const struct udp_header *udp = udp_of(ret);

	ret->headers_len = ret->transport + sizeof(*udp);
	return transport_len >= sizeof(*udp) && be16_get(udp->length) == transport_len &&
	       be16_get(udp->checksum) != 0;
}

static bool has_valid_csums(const struct merge_packet *p, size_t len)
{
	size_t transport_len = len - p->transport;
	uint64_t sum = csum_pseudo_header(p->data, p->protocol, transport_len);

	if (csum_fold(csum_add(sum, p->data + p->transport, transport_len)) != UINT16_MAX)
		return false;
	return !is_ipv4(p) || csum_fold(csum_add(0, p->data, p->transport)) == UINT16_MAX;
}

/* True if the packet may be part of a super-packet. */
static bool parse(const struct merge *m, struct merge_packet *ret, uint8_t *packet, size_t len)
{
	if (!parse_ip(ret, packet, len))
		return false;
	if (ret->protocol == IPPROTO_TCP && m->can_tcp) {
		if (!parse_tcp(ret, len - ret->transport))
			return false;
	} else if (ret->protocol == IPPROTO_UDP && m->can_udp) {
		if (!parse_udp(ret, len - ret->transport))
			return false;
	} else {
		return false;
	}
	if (ret->headers_len >= len)
		return false;
	ret->payload_len = len - ret->headers_len;
	return has_valid_csums(ret, len);
}

static bool continues_ipv4(const struct merge *m, const struct merge_packet *p)
{
	const struct ipv4_header *a = ipv4_of(&m->first), *b = ipv4_of(p);

	return be16_get(b->identification) == m->next_id && a->tos == b->tos && a->ttl == b->ttl &&
	       be16_get(a->flags_fragment) == be16_get(b->flags_fragment) &&
	       memcmp(a->source, b->source, sizeof(a->source)) == 0 &&
	       memcmp(a->destination, b->destination, sizeof(a->destination)) == 0;
}

static bool continues_ipv6(const struct merge *m, const struct merge_packet *p)
{
	const struct ipv6_header *a = ipv6_of(&m->first), *b = ipv6_of(p);

	return a->hop_limit == b->hop_limit &&
	       be32_get(a->version_class_flow) == be32_get(b->version_class_flow) &&
	       memcmp(a->source, b->source, sizeof(a->source)) == 0 &&
	       memcmp(a->destination, b->destination, sizeof(a->destination)) == 0;
}

/* Everything of the header but sequence number, PSH and checksum is equal. */
static bool continues_tcp(const struct merge *m, const struct merge_packet *p)
{
	const struct tcp_header *a = tcp_of(&m->first), *b = tcp_of(p);

	if (be32_get(b->seq) != m->next_seq || (b->flags & TCP_FLAG_CWR) ||
	    ((a->flags ^ b->flags) & (TCP_FLAG_ACK | TCP_FLAG_ECE)))
		return false;
	return be16_get(a->source_port) == be16_get(b->source_port) &&
	       be16_get(a->destination_port) == be16_get(b->destination_port) &&
	       be32_get(a->ack) == be32_get(b->ack) && a->data_offset == b->data_offset &&
	       be16_get(a->window) == be16_get(b->window) &&
	       be16_get(a->urgent) == be16_get(b->urgent) &&
	       memcmp(a + 1, b + 1, tcp_header_len(a) - sizeof(*a)) == 0;
}

static bool continues_udp(const struct merge *m, const struct merge_packet *p)
{
	const struct udp_header *a = udp_of(&m->first), *b = udp_of(p);

	return be16_get(a->source_port) == be16_get(b->source_port) &&
	       be16_get(a->destination_port) == be16_get(b->destination_port);
}

static bool continues(const struct merge *m, const struct merge_packet *p)
{
	size_t len = m->first.headers_len + m->payload_len + p->payload_len;

	if (m->n_segments == 0 || m->n_segments == MERGE_SEGMENTS_MAX || m->is_closed)
		return false;
	if (len > IPV4_LENGTH_MAX || p->payload_len > m->first.payload_len)
		return false;
	if (p->protocol != m->first.protocol || p->transport != m->first.transport)
		return false;
	if (!(is_ipv4(p) ? continues_ipv4(m, p) : continues_ipv6(m, p)))
		return false;
	return p->protocol == IPPROTO_TCP ? continues_tcp(m, p) : continues_udp(m, p);
}

static void append(struct merge *m, const struct merge_packet *p)
{
	struct iovec *payload = &m->iov[2 + m->n_segments];

	payload->iov_base = p->data + p->headers_len;
	payload->iov_len = p->payload_len;
	m->n_segments++;
	m->payload_len += p->payload_len;
	m->is_closed = p->payload_len < m->first.payload_len;
	m->next_id = (uint16_t)(m->next_id + m->id_step);
	if (p->protocol == IPPROTO_TCP) {
		m->next_seq = be32_get(tcp_of(p)->seq) + (uint32_t)p->payload_len;
		m->has_push = tcp_of(p)->flags & TCP_FLAG_PSH;
		m->is_closed |= m->has_push;
	}
}

static void open_run(struct merge *m, const struct merge_packet *p)
{
	m->first = *p;
	m->payload_len = 0;
	if (is_ipv4(p)) {
		m->next_id = be16_get(ipv4_of(p)->identification);
		m->id_step = m->next_id == 0 && has_dont_fragment(p) ? 0 : 1;
	}
	append(m, p);
}

static int write_out(struct merge *m, int n_iov)
{
	m->iov[0] = (struct iovec){.iov_base = &m->hdr, .iov_len = sizeof(m->hdr)};
	return m->write(m->ctx, m->iov, n_iov);
}

static void write_single(struct merge *m, uint8_t *packet, size_t len)
{
	m->hdr = (struct virtio_net_hdr){.gso_type = VIRTIO_NET_HDR_GSO_NONE};
	m->iov[1] = (struct iovec){.iov_base = packet, .iov_len = len};
	if (write_out(m, 2) == 0)
		m->n_written++;
	else
		m->n_refused++;
}

static struct virtio_net_hdr describe_run(const struct merge *m)
{
	const struct merge_packet *first = &m->first;
	struct virtio_net_hdr hdr = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.hdr_len = (uint16_t)first->headers_len,
		.gso_size = (uint16_t)first->payload_len,
		.csum_start = (uint16_t)first->transport,
	};

	if (first->protocol == IPPROTO_UDP) {
		hdr.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4;
		hdr.csum_offset = offsetof(struct udp_header, checksum);
		return hdr;
	}
	hdr.gso_type = is_ipv4(first) ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
	if (tcp_of(first)->flags & TCP_FLAG_CWR)
		hdr.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	hdr.csum_offset = offsetof(struct tcp_header, checksum);
	return hdr;
}

/* Makes the first packet's headers those of the run. */
static void set_headers(const struct merge *m, uint8_t *headers)
{
	const struct merge_packet *first = &m->first;
	size_t len = first->headers_len + m->payload_len;
	size_t transport_len = len - first->transport;
	/* The kernel completes it: folded, not inverted. */
	struct be16 pseudo = csum_field(
		csum_fold(csum_pseudo_header(first->data, first->protocol, transport_len)));
	struct tcp_header *tcp = (struct tcp_header *)(headers + first->transport);
	struct udp_header *udp = (struct udp_header *)(headers + first->transport);

	if (is_ipv4(first)) {
		((struct ipv4_header *)headers)->total_length = be16_make((uint16_t)len);
		csum_set_ipv4((struct ipv4_header *)headers);
	} else {
		((struct ipv6_header *)headers)->payload_length =
			be16_make((uint16_t)transport_len);
	}
	if (first->protocol == IPPROTO_UDP) {
		udp->length = be16_make((uint16_t)transport_len);
		udp->checksum = pseudo;
		return;
	}
	tcp->flags |= m->has_push ? TCP_FLAG_PSH : 0;
	tcp->checksum = pseudo;
}

/* The packets of a run lie as they came. */
static void write_apart(struct merge *m)
{
	size_t headers_len = m->first.headers_len;

	for (size_t i = 0; i < m->n_segments; i++) {
		const struct iovec *payload = &m->iov[2 + i];

		write_single(m, (uint8_t *)payload->iov_base - headers_len,
			     headers_len + payload->iov_len);
	}
}

/* EINVAL: a kernel that does not know such super-packets, or has something against this one. */
static void note_run(struct merge *m, bool is_refused)
{
	bool is_tcp = m->first.protocol == IPPROTO_TCP;
	unsigned *in_a_row = is_tcp ? &m->tcp_refused : &m->udp_refused;

	*in_a_row = is_refused ? *in_a_row + 1 : 0;
	m->n_runs_refused += is_refused;
	if (*in_a_row == MERGE_REFUSALS_MAX)
		*(is_tcp ? &m->can_tcp : &m->can_udp) = false;
}

static void write_run(struct merge *m)
{
	int r;

	memcpy(m->headers, m->first.data, m->first.headers_len);
	set_headers(m, m->headers);
	m->hdr = describe_run(m);
	m->iov[1] = (struct iovec){.iov_base = m->headers, .iov_len = m->first.headers_len};
	r = write_out(m, (int)(2 + m->n_segments));
	if (r == 0)
		m->n_written += m->n_segments;
	else if (r == -EINVAL)
		write_apart(m);
	else
		m->n_refused += m->n_segments;
	note_run(m, r == -EINVAL);
}

void merge_flush(struct merge *m)
{
	if (m->n_segments == 1)
		write_single(m, m->first.data, m->first.headers_len + m->first.payload_len);
	else if (m->n_segments > 1)
		write_run(m);
	m->n_segments = 0;
}

void merge_add(struct merge *m, uint8_t *packet, size_t len)
{
	struct merge_packet p;

	if (!parse(m, &p, packet, len)) {
		merge_flush(m);
		write_single(m, packet, len);
		return;
	}
	if (!continues(m, &p)) {
		merge_flush(m);
		open_run(m, &p);
		return;
	}
	append(m, &p);
}
