/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Splitting a super-packet of full segments, and merging the very same segments: what either
 * costs for each segment, its checksum included.
 */
#include "bench.h"

#include "packets.h"
#include "tun/merge.h"
#include "tun/split.h"
#include "tun/vnet.h"

#define SEGMENTS 45
#define MTU 1420
#define ROOM (SEGMENTS * MTU)

struct segments {
	struct test_packet form;
	struct virtio_net_hdr hdr;
	uint8_t headers[SPLIT_HEADERS_MAX]; /* splitting takes those of the packet */
	uint8_t *whole;
	size_t whole_len;
	uint8_t *cut; /* a segment at each multiple of the MTU */
	size_t lens[SEGMENTS];
	struct merge merge;
	size_t n_writes;
};

static void split_once(struct segments *s)
{
	struct split split;
	size_t len, n = 0;

	memcpy(s->whole, s->headers, test_headers_len(&s->form));
	bench_need(split_begin(&split, &s->hdr, s->whole, s->whole_len) == 0, "splitting");
	while (split_next(&split, &len))
		n++;
	bench_need(n == SEGMENTS, "splitting into all segments");
}

static void split_all(void *ctx, size_t n)
{
	while (n-- > 0)
		split_once(ctx);
}

static int discard(void *ctx, const struct iovec *iov, int n)
{
	struct segments *s = ctx;

	bench_keep(iov[n - 1].iov_base);
	s->n_writes++;
	return 0;
}

static void merge_all(void *ctx, size_t n)
{
	struct segments *s = ctx;

	s->n_writes = 0;
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < SEGMENTS; j++)
			merge_add(&s->merge, s->cut + j * MTU, s->lens[j]);
		merge_flush(&s->merge);
	}
	bench_need(s->n_writes == n, "merging into one packet");
}

static void make_hdr(struct segments *s, size_t gso_size)
{
	bool is_tcp = s->form.protocol == IPPROTO_TCP;
	uint8_t tcp_type = s->form.is_v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;

	s->hdr = (struct virtio_net_hdr){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = is_tcp ? tcp_type : VIRTIO_NET_HDR_GSO_UDP_L4,
		.hdr_len = (uint16_t)test_headers_len(&s->form),
		.gso_size = (uint16_t)gso_size,
		.csum_start = (uint16_t)transport_offset(&s->form),
		.csum_offset = is_tcp ? 16 : 6,
	};
}

static void make(struct segments *s)
{
	size_t gso_size = MTU - test_headers_len(&s->form);
	struct test_random random = {0x2545f4914f6cdd1d};

	s->form.payload_len = SEGMENTS * gso_size;
	s->whole = bench_alloc(ROOM, 0);
	s->cut = bench_alloc(ROOM, 0);
	s->whole_len = build_packet(&s->form, &random, s->whole);
	for (size_t i = 0; i < SEGMENTS; i++)
		s->lens[i] = slow_segment(&s->form, s->whole, gso_size, i, s->cut + i * MTU);
	put16(s->whole + checksum_offset(&s->form), slow_pseudo(&s->form, s->whole, s->whole_len));
	memcpy(s->headers, s->whole, test_headers_len(&s->form));
	make_hdr(s, gso_size);
	merge_init(&s->merge, discard, s, true, true);
}

static void measure(const char *label, struct test_packet form)
{
	struct segments s = {.form = form};
	char name[64];

	make(&s);
	snprintf(name, sizeof(name), "split/%s", label);
	bench_run(name, "segment", SEGMENTS, split_all, &s);
	snprintf(name, sizeof(name), "merge/%s", label);
	bench_run(name, "segment", SEGMENTS, merge_all, &s);
	free(s.whole);
	free(s.cut);
}

int main(void)
{
	const struct test_packet tcp = {.protocol = IPPROTO_TCP,
					.id = 1,
					.flags = 0x10,
					.options_len = 12,
					.dont_fragment = true};
	const struct test_packet udp = {.protocol = IPPROTO_UDP, .id = 1, .dont_fragment = true};
	struct test_packet tcp6 = tcp;

	tcp6.is_v6 = true;
	measure("tcp4", tcp);
	measure("tcp6", tcp6);
	measure("udp4", udp);
	return EXIT_SUCCESS;
}
