/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Control frames: what two vtrunkds say to each other inside the session, as the payload of
 * transport messages whose first nibble is 0 and so no IP version (docs/protocol.md).
 * Pure: host structs to bytes and back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_VERSION 1
#define FRAME_HEADER_LEN 4
#define FRAME_LINK_NAME_MAX 63
/* What of a control packet is looked at; the rest is padding. */
#define FRAME_PACKET_MAX 512

enum frame_type {
	FRAME_HELLO = 1,
	FRAME_PING = 2,
	FRAME_PONG = 3,
	FRAME_DOWN = 4,
	FRAME_REPORT = 5,
	FRAME_REPAIR = 6,
	FRAME_APART = 7,
	FRAME_MTU_PROBE = 8,
	FRAME_MTU_ANSWER = 9,
};

/* Gaps that one repair frame may ask for. */
#define FRAME_REPAIR_MAX 8

/* "I speak this protocol, and this path is the one that I call path_id." */
struct frame_hello {
	bool wants_answer;
	bool is_backup;	  /* the sender's link is for when no other one works */
	uint32_t path_id; /* the sender's, not 0 */
	uint32_t weight;  /* of the sender's link */
	char link_name[FRAME_LINK_NAME_MAX + 1];
};

/* "Are you there?", and what was sent on this path before it. */
struct frame_ping {
	uint32_t number;
	uint32_t path_id; /* the sender's */
	uint64_t tx_packets;
	uint64_t tx_bytes;
};

/* The answer to a ping, and what had come over this path when it came. */
struct frame_pong {
	uint32_t number;
	uint32_t path_id; /* the pinged one's, as in the ping */
	uint64_t rx_packets;
	uint64_t rx_bytes;
};

/* "For me this path is down": sent over the others, so that both ends leave it at once. */
struct frame_down {
	uint32_t path_id; /* the sender's, not 0 */
};

/*
 * Receive report: the newest data packet that has come over a path, and all that came before.
 * Session and counter name the packet; the arrival is by the reporter's clock, of which only
 * differences mean something.
 */
struct frame_report {
	uint32_t path_id; /* the data's sender's, not 0 */
	uint32_t session; /* receiver index of the packet */
	uint64_t counter;
	uint64_t rx_bytes; /* of data datagrams on this path */
	uint64_t arrival_ns;
};

/* "Send these again": `n` packets of a session from `counter` on, for each gap. */
struct frame_repair {
	uint32_t session; /* receiver index of the packets */
	uint8_t n_gaps;
	struct {
		uint64_t counter;
		uint32_t n;
	} gaps[FRAME_REPAIR_MAX];
};

/* "Do not wait for these": counters of the session in which this is sent. */
struct frame_apart {
	uint64_t counter;
	uint32_t n;
};

/* "Does this path carry so much?" In a packet that is padded to that size; answered alike. */
struct frame_mtu {
	uint32_t number;
	uint32_t path_id; /* the probing one's, not 0 */
	uint32_t size;	  /* of the outer IP packet, in bytes */
};

struct frame {
	enum frame_type type;
	union {
		struct frame_hello hello;
		struct frame_ping ping;
		struct frame_pong pong;
		struct frame_down down;
		struct frame_report report;
		struct frame_repair repair;
		struct frame_apart apart;
		struct frame_mtu mtu; /* of both types */
	};
};

/* Is this inner payload one of control frames? */
static inline bool frame_is_control(const uint8_t *payload, size_t len)
{
	return len > 0 && payload[0] >> 4 == 0;
}

/* Writes one frame; returns its length, or -ENOSPC. */
int frame_write(const struct frame *f, uint8_t *buf, size_t size);

/*
 * Reads the frame at *offset and moves *offset behind it. 1: got one; 0: no more (end or
 * padding); -EBADMSG: malformed. Frames of unknown type or version are passed over.
 */
int frame_read(const uint8_t *payload, size_t len, size_t *offset, struct frame *ret);
