/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "wire/mss.h"

#include <netinet/in.h>
#include <stdbool.h>

#include "wire/ip.h"

#define TCP_FLAG_SYN 0x02
#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_MSS 2
#define IPV4_FRAGMENT_MASK 0x3fff /* more fragments, and the offset */

/* The length of the IP header of a TCP packet that is whole; 0: it is none. */
static size_t ip_header_len(const uint8_t *packet, size_t len)
{
	const struct ipv4_header *v4 = (const void *)packet;
	const struct ipv6_header *v6 = (const void *)packet;

	if (len >= sizeof(*v4) && packet[0] >> 4 == 4)
		return v4->protocol == IPPROTO_TCP &&
				       !(be16_get(v4->flags_fragment) & IPV4_FRAGMENT_MASK)
			       ? ipv4_header_len(v4)
			       : 0;
	if (len >= sizeof(*v6) && packet[0] >> 4 == 6 && v6->next_header == IPPROTO_TCP)
		return sizeof(*v6);
	return 0;
}

/* The two bytes of the MSS option; NULL if there is none. */
static struct be16 *find_mss(uint8_t *option, const uint8_t *end)
{
	while (option < end && *option != OPTION_END) {
		if (*option == OPTION_NOP) {
			option++;
			continue;
		}
		if (end - option < 2 || option[1] < 2 || option[1] > end - option)
			return NULL;
		if (option[0] == OPTION_MSS && option[1] == 4)
			return (struct be16 *)(option + 2);
		option += option[1];
	}
	return NULL;
}

/* RFC 1624, equation 3, of a word that begins at an even offset or, swapped, at an odd one. */
static void update_checksum(struct be16 *checksum, uint16_t old, uint16_t new, bool is_odd)
{
	uint32_t sum = (uint16_t)~be16_get(*checksum);

	if (is_odd) {
		old = (uint16_t)(old << 8 | old >> 8);
		new = (uint16_t)(new << 8 | new >> 8);
	}
	sum += (uint16_t)~old + (uint32_t) new;
	sum = (sum & UINT16_MAX) + (sum >> 16);
	sum = (sum & UINT16_MAX) + (sum >> 16);
	*checksum = be16_make((uint16_t)~sum);
}

void mss_clamp(uint8_t *packet, size_t len, uint32_t mtu)
{
	size_t ip_len = ip_header_len(packet, len);
	struct tcp_header *tcp = (struct tcp_header *)(packet + ip_len);
	struct be16 *mss;
	uint32_t limit;
	size_t tcp_len;

	if (!ip_len || len < ip_len + sizeof(*tcp) || !(tcp->flags & TCP_FLAG_SYN))
		return;
	tcp_len = tcp_header_len(tcp);
	if (tcp_len < sizeof(*tcp) || tcp_len > len - ip_len || mtu <= ip_len + sizeof(*tcp))
		return;
	/* Options are the sender's affair: the MSS does not count them (RFC 6691). */
	limit = mtu - (packet[0] >> 4 == 4 ? sizeof(struct ipv4_header) : ip_len) - sizeof(*tcp);
	mss = find_mss((uint8_t *)(tcp + 1), (uint8_t *)tcp + tcp_len);
	if (!mss || be16_get(*mss) <= limit)
		return;
	update_checksum(&tcp->checksum, be16_get(*mss), (uint16_t)limit,
			((uint8_t *)mss - (uint8_t *)tcp) % 2);
	*mss = be16_make((uint16_t)limit);
}
