/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * One Ethernet frame on its way, behind the virtio_net_hdr that packet sockets give and take
 * (PACKET_VNET_HDR). The header may say that the transport checksum is unfinished, which is
 * how a veth pair passes it on; it is finished only where that would be noticed. Pure.
 */
#pragma once

#include <linux/if_ether.h>
#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct packet {
	uint32_t len;		    /* of the frame */
	struct virtio_net_hdr vnet; /* directly before the frame: sent in one piece */
	uint8_t frame[];
};
_Static_assert(offsetof(struct packet, vnet) + sizeof(struct virtio_net_hdr) ==
		       offsetof(struct packet, frame),
	       "PACKET_VNET_HDR: the header precedes the frame");

static inline size_t packet_ip_len(const struct packet *p)
{
	return p->len - ETH_HLEN;
}

/*
 * Is it the wire's to treat? ARP, IPv6 neighbour discovery (RFC 4861), what goes to a group of
 * the local network only, and what is not IP are between neighbours, not of the far link that
 * is emulated.
 */
bool frame_is_far(const uint8_t *frame, size_t len);

/*
 * Cuts the super-frames that a sender with segmentation offload puts on a veth into the frames
 * that its hardware would send. A plain frame is its own only piece.
 */
struct cut {
	const uint8_t *frame;
	struct virtio_net_hdr vnet;
	size_t headers_len; /* all of a plain frame */
	size_t payload_len;
	size_t piece_len; /* payload of all but the last */
	size_t at;
	bool is_tcp;
	bool is_done;
};

/* `frame` stays until the last piece is taken. 0 or -EINVAL. */
int cut_begin(struct cut *c, const struct virtio_net_hdr *vnet, const uint8_t *frame, size_t len);
/* The longest frame to come. */
size_t cut_frame_max(const struct cut *c);
/* Writes the next frame, as long as cut_frame_max() at most. Until `is_done`. */
void cut_next(struct cut *c, struct packet *ret);

/* Writes the transport checksum if it is unfinished. */
void packet_finish_checksum(struct packet *p);

/* Flips one bit behind the IP header; `random` says which. */
void packet_flip_bit(struct packet *p, uint64_t random);

/* May a router cut it (IPv4 without DF)? */
bool packet_may_fragment(const struct packet *p);
/*
 * Writes the fragment that begins at payload byte `*at` and moves that behind it; false at the
 * end. It may be fragmented, the MTU is of SETTINGS_MTU_MIN or more, the checksum is finished.
 */
bool packet_fragment(const struct packet *p, size_t mtu, size_t *at, struct packet *ret);

#define PACKET_ICMP_MAX (ETH_HLEN + 1280) /* longest frame of packet_too_big() */

/*
 * Writes the answer of a router that cannot forward the packet: "fragmentation needed" (RFC
 * 792, RFC 1191) or "packet too big" (RFC 4443), in the name of the destination. False if no
 * answer is allowed (to ICMP errors, multicast, later fragments).
 */
bool packet_too_big(const struct packet *p, size_t mtu, struct packet *ret);
