/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Why a packet was dropped: one list, from which come the enum, the counters and their names
 * in status and metrics. Every packet that enters is either delivered or counted here.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

/* name, what happened */
#define DROP_REASONS(X)                                                                            \
	X(rx_malformed, "datagram too short, too long or of unknown type")                         \
	X(rx_bad_mac1, "handshake message not meant for this key")                                 \
	X(rx_socket_overflow, "no room in the socket's receive buffer")                            \
	X(rx_flood, "handshake message, or rubbish, kept back in the kernel during a flood")       \
	X(rx_handshake_queue, "handshake message beyond the queue's length")                       \
	X(rx_handshake_rejected, "handshake message refused (key, timestamp, pace or cookie)")     \
	X(rx_unknown_index, "data for no session of ours")                                         \
	X(rx_expired_session, "data for a session past its time or message limit")                 \
	X(rx_bad_tag, "data that fails authentication")                                            \
	X(rx_replay, "counter already seen or behind the window")                                  \
	X(rx_duplicate, "copy of a packet that another link delivered first")                      \
	X(rx_bad_frame, "authenticated control frame that does not parse, or asks twice")          \
	X(rx_control_queue, "control frame beyond the queue's length")                             \
	X(rx_not_ip, "authenticated payload that is no well-formed IP packet")                     \
	X(rx_source_not_allowed, "inner source outside the peer's allowed IPs")                    \
	X(rx_ecn, "marked as congested on the way, but of a flow that takes no such marks")        \
	X(rx_no_buffer, "pool empty on receive")                                                   \
	X(rx_tun_write, "tunnel interface refused the packet")                                     \
	X(tx_malformed, "packet from the tunnel interface that is no well-formed IP packet")       \
	X(tx_no_peer, "destination in no peer's allowed IPs")                                      \
	X(tx_no_session, "the session with the peer is used up")                                   \
	X(tx_queue, "dropped from a flow's queue, to keep it short or for its age")                \
	X(tx_queue_full, "no room in the peer's flow queues")                                      \
	X(tx_no_path, "no remote endpoint to send to")                                             \
	X(tx_rule, "its rule allows certain links only, of which none works")                      \
	X(tx_too_big, "packet larger than a datagram can carry")                                   \
	X(tx_no_buffer, "pool empty on send")                                                      \
	X(tx_ring_full, "link's queue full")                                                       \
	X(tx_link_down, "link has no socket just now")                                             \
	X(tx_send_error, "the system refused to send")

enum drop_reason {
#define X(name, text) DROP_##name,
	DROP_REASONS(X)
#undef X
		DROP_REASON_COUNT
};

/* Counters of one object; written by any thread, only when something is dropped. */
struct drops {
	_Atomic uint64_t count[DROP_REASON_COUNT];
};

static inline void drops_add(struct drops *d, enum drop_reason reason, uint64_t n)
{
	atomic_fetch_add_explicit(&d->count[reason], n, memory_order_relaxed);
}

static inline uint64_t drops_get(const struct drops *d, enum drop_reason reason)
{
	return atomic_load_explicit(&d->count[reason], memory_order_relaxed);
}

/* "rx_bad_tag", as status and metrics print it. */
const char *drop_reason_name(enum drop_reason reason);
const char *drop_reason_text(enum drop_reason reason);
