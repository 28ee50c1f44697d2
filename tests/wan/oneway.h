/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * One direction of the wire. Every IP packet takes the same way:
 *
 *	blackout? - too big? - FIFO and rate - lost? - corrupted? - delay (and its copy) - blackout?
 *
 * A lost packet has thus taken its share of the rate, as one lost on the air has. What is
 * between neighbours (ARP and the like) passes at once, whatever the settings.
 *
 * Time comes in as an argument; memory is taken at the start only, and what finds none left is
 * a counted drop. Not thread-safe.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "packet.h"
#include "settings.h"

/* Names as in the JSON report. */
#define ONEWAY_COUNTERS(X)                                                                         \
	X(packets_in) /* after cutting; IP, as all that follow */                                  \
	X(bytes_in)   /* of IP packets */                                                          \
	X(packets_out)                                                                             \
	X(bytes_out)                                                                               \
	X(neighbour) /* frames that passed at once */                                              \
	X(lost)	     /* at random */                                                               \
	X(lost_in_bursts)                                                                          \
	X(queue_drops) /* the FIFO was full */                                                     \
	X(mtu_drops)                                                                               \
	X(icmp_sent)                                                                               \
	X(fragments) /* made of packets that were too big */                                       \
	X(blackout_drops)                                                                          \
	X(duplicated)                                                                              \
	X(corrupted)                                                                               \
	X(held_back) /* and so reordered */                                                        \
	X(memory_drops)                                                                            \
	X(malformed)                                                                               \
	X(queue_peak_bytes)

struct oneway_counters {
#define X(name) uint64_t name;
	ONEWAY_COUNTERS(X)
#undef X
};

/* Sends all of them, or counts what it could not; they are the caller's again afterwards. */
struct oneway_output {
	void (*send)(void *context, struct packet *const *packets, size_t n);
	void *context;
};

struct oneway_options {
	struct settings settings;
	struct oneway_output forward;
	struct oneway_output back; /* ICMP errors */
	size_t packets;		   /* held at most */
	size_t frame_max;	   /* bytes */
	uint64_t seed;
};

struct oneway;

/* 0 or -ENOMEM. */
int oneway_new(struct oneway **ret, const struct oneway_options *o);
void oneway_free(struct oneway *w);

void oneway_set(struct oneway *w, nsec_t now, const struct settings *settings);

/* A frame came in; it is copied. */
void oneway_receive(struct oneway *w, nsec_t now, const struct virtio_net_hdr *vnet,
		    const uint8_t *frame, size_t len);
/* Sends what has arrived at the far end by now. */
void oneway_run(struct oneway *w, nsec_t now);
/* When it is to be called next; or NSEC_NEVER. */
nsec_t oneway_next(const struct oneway *w);

const struct oneway_counters *oneway_counters(const struct oneway *w);
uint64_t oneway_queued_bytes(const struct oneway *w);
