/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Joins runs of consecutive packets of one TCP or UDP flow into super-packets, so that the
 * kernel's stack is entered once per run and not once per packet (the reverse of split.h).
 * The payloads are not copied: they leave by writev from where they lie.
 * Owner: whoever holds it; not thread-safe. Never changes the order of packets.
 */
#pragma once

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define MERGE_HEADERS_MAX 256
#define MERGE_SEGMENTS_MAX 64

/* Writes one packet behind its virtio_net_hdr (iov[0]) to the interface. 0 or -errno. */
typedef int (*merge_write_fn)(void *ctx, const struct iovec *iov, int n);

struct merge {
	/* constant */
	merge_write_fn write;
	void *ctx;
	bool can_tcp; /* the interface takes TCP super-packets */
	bool can_udp; /* ... and UDP ones */
	/* the open run */
	struct iovec iov[2 + MERGE_SEGMENTS_MAX]; /* header, packet headers, payloads */
	size_t n_segments;
	uint8_t headers[MERGE_HEADERS_MAX];
	size_t headers_len;
	size_t payload_len;
	/* what else a run needs stands in merge.c's struct, here by value */
	struct {
		size_t transport;
		size_t gso_size;
		uint32_t next_seq;
		uint16_t next_id;
		uint8_t protocol;
		bool is_v6;
		bool is_closed; /* its last segment was short or carried PSH or FIN */
	} run;
	/* results since the caller last took them */
	size_t n_written; /* packets, counted as they came in */
	size_t n_refused; /* packets that the interface did not take */
};

void merge_init(struct merge *m, merge_write_fn write, void *ctx, bool can_tcp, bool can_udp);
/*
 * Adds a well-formed IP packet, which must stay as it is until the next merge_flush().
 * Writes the open run first if the packet does not continue it.
 */
void merge_add(struct merge *m, uint8_t *packet, size_t len);
/* Writes what is open. */
void merge_flush(struct merge *m);
