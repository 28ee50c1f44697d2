/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* The errors of a router; see packet.h. */
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#include "packet.h"
#include "tun/csum.h"
#include "wire/ip.h"

#define QUOTE_V4_MAX (576 - sizeof(struct ipv4_header) - sizeof(struct icmp_error)) /* RFC 1812 */
#define QUOTE_V6_MAX                                                                               \
	(1280 - sizeof(struct ipv6_header) - sizeof(struct icmp_error)) /* RFC 4443                \
									 */
#define ICMPV6_PACKET_TOO_BIG 2
#define ICMPV6_FIRST_INFORMATIONAL 128
#define INTERNETWORK_CONTROL 0xc0 /* RFC 1812, section 4.3.2.5 */
#define TTL 64

/* RFC 1191, section 4; RFC 4443, section 3.2 */
struct icmp_error {
	uint8_t type;
	uint8_t code;
	struct be16 checksum;
	struct be32 mtu;
};
_Static_assert(sizeof(struct icmp_error) == 8, "RFC 1191, section 4");

static bool is_group(const uint8_t *ethernet_destination)
{
	return ethernet_destination[0] & 1;
}

static bool v4_allows_error(const struct ipv4_header *ip, size_t len)
{
	const uint8_t *icmp = (const uint8_t *)ip + ipv4_header_len(ip);

	if (be16_get(ip->flags_fragment) & IP_OFFMASK)
		return false;
	if (ip->protocol != IPPROTO_ICMP)
		return true;
	return len > ipv4_header_len(ip) && (icmp[0] == ICMP_ECHO || icmp[0] == ICMP_ECHOREPLY);
}

static bool v6_allows_error(const struct ipv6_header *ip, size_t len)
{
	const uint8_t *icmp = (const uint8_t *)(ip + 1);

	if (ip->next_header != IPPROTO_ICMPV6)
		return true;
	return len > sizeof(*ip) && icmp[0] >= ICMPV6_FIRST_INFORMATIONAL;
}

static void write_ethernet(const struct packet *p, struct packet *ret, size_t ip_len)
{
	memcpy(ret->frame, p->frame + ETH_ALEN, ETH_ALEN);
	memcpy(ret->frame + ETH_ALEN, p->frame, ETH_ALEN);
	memcpy(ret->frame + 2 * ETH_ALEN, p->frame + 2 * ETH_ALEN, ETH_HLEN - 2 * ETH_ALEN);
	ret->vnet = (struct virtio_net_hdr){0};
	ret->len = (uint32_t)(ETH_HLEN + ip_len);
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

static bool fragmentation_needed(const struct packet *p, size_t mtu, struct packet *ret)
{
	const struct ipv4_header *cause = (const struct ipv4_header *)(p->frame + ETH_HLEN);
	struct ipv4_header *ip = (struct ipv4_header *)(ret->frame + ETH_HLEN);
	struct icmp_error *icmp = (struct icmp_error *)(ip + 1);
	size_t quote = smaller(packet_ip_len(p), QUOTE_V4_MAX);
	size_t ip_len = sizeof(*ip) + sizeof(*icmp) + quote;

	if (!v4_allows_error(cause, packet_ip_len(p)))
		return false;
	write_ethernet(p, ret, ip_len);
	*ip = (struct ipv4_header){
		.version_ihl = 0x45,
		.tos = INTERNETWORK_CONTROL,
		.total_length = be16_make((uint16_t)ip_len),
		.ttl = TTL,
		.protocol = IPPROTO_ICMP,
	};
	memcpy(ip->source, cause->destination, sizeof(ip->source));
	memcpy(ip->destination, cause->source, sizeof(ip->destination));
	csum_set_ipv4(ip);
	*icmp = (struct icmp_error){
		ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, {}, be32_make((uint32_t)mtu & UINT16_MAX)};
	memcpy(icmp + 1, cause, quote);
	icmp->checksum = csum_field((uint16_t)~csum_fold(csum_add(0, icmp, sizeof(*icmp) + quote)));
	return true;
}

static bool packet_too_big_v6(const struct packet *p, size_t mtu, struct packet *ret)
{
	const struct ipv6_header *cause = (const struct ipv6_header *)(p->frame + ETH_HLEN);
	struct ipv6_header *ip = (struct ipv6_header *)(ret->frame + ETH_HLEN);
	struct icmp_error *icmp = (struct icmp_error *)(ip + 1);
	size_t quote = smaller(packet_ip_len(p), QUOTE_V6_MAX);
	size_t icmp_len = sizeof(*icmp) + quote;
	uint64_t sum;

	if (!v6_allows_error(cause, packet_ip_len(p)))
		return false;
	write_ethernet(p, ret, sizeof(*ip) + icmp_len);
	*ip = (struct ipv6_header){
		.version_class_flow = be32_make(6U << 28),
		.payload_length = be16_make((uint16_t)icmp_len),
		.next_header = IPPROTO_ICMPV6,
		.hop_limit = TTL,
	};
	memcpy(ip->source, cause->destination, sizeof(ip->source));
	memcpy(ip->destination, cause->source, sizeof(ip->destination));
	*icmp = (struct icmp_error){ICMPV6_PACKET_TOO_BIG, 0, {}, be32_make((uint32_t)mtu)};
	memcpy(icmp + 1, cause, quote);
	sum = csum_pseudo_header((const uint8_t *)ip, IPPROTO_ICMPV6, icmp_len);
	icmp->checksum = csum_field((uint16_t)~csum_fold(csum_add(sum, icmp, icmp_len)));
	return true;
}

bool packet_too_big(const struct packet *p, size_t mtu, struct packet *ret)
{
	if (is_group(p->frame))
		return false;
	if (p->frame[ETH_HLEN] >> 4 == 4)
		return fragmentation_needed(p, mtu, ret);
	return packet_too_big_v6(p, mtu, ret);
}
