/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A virtio_net_hdr and a packet, as a TUN read gives them: refused, or cut into packets of one
 * length (but the last) that lie within it, well-formed and no more than announced.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "tun/split.h"
#include "tun/vnet.h"
#include "wire/inner.h"

static void check_segments(struct split *s, const uint8_t *packet, size_t size)
{
	size_t longest = split_segment_len(s);
	size_t last = longest;
	struct inner inner;
	uint8_t *segment;
	size_t len;
	size_t n = 0;

	while ((segment = split_next(s, &len))) {
		if (len > longest || last != longest)
			abort();
		if (segment < packet || segment + len > packet + size)
			abort();
		/* A single packet is the kernel's own, wherever it wants a checksum written. */
		if (s->gso_type != VIRTIO_NET_HDR_GSO_NONE &&
		    (inner_parse(&inner, segment, len) < 0 || inner.len != len))
			abort();
		last = len;
		n++;
	}
	if (n == 0 || n != s->n_segments || split_next(s, &len))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct virtio_net_hdr hdr;
	struct split s;
	uint8_t *packet;

	if (size < sizeof(hdr))
		return 0;
	memcpy(&hdr, data, sizeof(hdr));
	size -= sizeof(hdr);
	packet = malloc(size ? size : 1);
	if (!packet)
		return 0;
	memcpy(packet, data + sizeof(hdr), size);
	if (split_begin(&s, &hdr, packet, size) == 0)
		check_segments(&s, packet, size);
	free(packet);
	return 0;
}
