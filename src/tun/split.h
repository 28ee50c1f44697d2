/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Cuts what a TUN read gives (one packet, or a TCP/UDP super-packet of up to 64 KB behind a
 * virtio_net_hdr) into packets of at most the MTU, in place: the headers of a segment are
 * written over the tail of the one before it, which the caller has sealed by then.
 * Owner: the reader of that TUN queue. Nothing is copied, allocated or locked.
 */
#pragma once

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest IPv6 header with extensions plus TCP header that is accepted in a super-packet. */
#define SPLIT_HEADERS_MAX 256

struct split {
	uint8_t *packet;
	size_t len;
	size_t headers_len; /* IP and transport */
	size_t transport;   /* offset of the TCP or UDP header */
	size_t gso_size;    /* payload bytes of all segments but the last */
	size_t n_segments;
	size_t next;
	uint8_t gso_type;
	uint8_t headers[SPLIT_HEADERS_MAX];
};

/*
 * Checks header and packet and completes a partial checksum. `packet` must have room to be
 * written to over its whole length. After success at least one segment can be taken.
 * 0, or -EINVAL for what the kernel would not have sent (lengths, types, offsets).
 */
int split_begin(struct split *s, const struct virtio_net_hdr *hdr, uint8_t *packet, size_t len);

/*
 * The next segment, a complete IP packet within the caller's buffer, valid until the next
 * call; NULL after the last. Up to 15 bytes behind it belong to the next segment's payload.
 */
uint8_t *split_next(struct split *s, size_t *ret_len);

/* What split_next() will still give, all its packets together. */
size_t split_bytes_left(const struct split *s);

/* The headers that all packets share but for lengths, identification and checksums. */
const uint8_t *split_headers(const struct split *s);

/* Length of every segment but perhaps the last. */
size_t split_segment_len(const struct split *s);
