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

#define MERGE_SEGMENTS_MAX 64
#define MERGE_HEADERS_MAX 100 /* IPv6, and TCP with all the options it can have */

/* So many runs refused one after the other, and no more are made. */
#define MERGE_REFUSALS_MAX 16

/* Writes one packet behind its virtio_net_hdr (iov[0]) to the interface. 0 or -errno. */
typedef int (*merge_write_fn)(void *ctx, const struct iovec *iov, int n);

/* A packet that may stand in a run: IPv4 without options or IPv6 without extension headers. */
struct merge_packet {
	uint8_t *data;
	size_t transport; /* offset of the TCP or UDP header */
	size_t headers_len;
	size_t payload_len;
	uint8_t protocol;
};

struct merge {
	/* constant */
	merge_write_fn write;
	void *ctx;
	/* until it refuses too many of them */
	bool can_tcp;			   /* the interface takes TCP super-packets */
	bool can_udp;			   /* ... and UDP ones */
	unsigned tcp_refused, udp_refused; /* of late, in a row */
	/* the open run; the rest of this group means nothing while n_segments is 0 */
	size_t n_segments;
	struct iovec iov[2 + MERGE_SEGMENTS_MAX]; /* virtio header, packet headers, payloads */
	struct merge_packet first;
	size_t payload_len; /* of all segments */
	uint32_t next_seq;  /* TCP */
	uint16_t next_id;   /* IPv4 */
	uint16_t id_step;   /* IPv4: 1, or 0 where all identifications are zero */
	bool has_push;	    /* TCP: its last segment carries PSH */
	bool is_closed;	    /* nothing may follow its last segment */
	/* what is being written */
	struct virtio_net_hdr hdr;
	uint8_t headers[MERGE_HEADERS_MAX];
	/* results since the caller last took them */
	size_t n_written;      /* packets, counted as they came in */
	size_t n_refused;      /* packets that the interface did not take */
	size_t n_runs_refused; /* their packets have been written one by one */
};

void merge_init(struct merge *m, merge_write_fn write, void *ctx, bool can_tcp, bool can_udp);
/*
 * Adds a well-formed IP packet, which must stay as it is until the next merge_flush().
 * Writes the open run first if the packet does not continue it.
 */
void merge_add(struct merge *m, uint8_t *packet, size_t len);
/* Writes what is open. */
void merge_flush(struct merge *m);
