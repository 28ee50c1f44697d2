/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * What happens in a network, told to the log and, as a record, to whoever started the network.
 * Any thread, but not per packet.
 */
#pragma once

#include "dataplane/probe.h"

/* A path has come, moved, changed its state (the reason says why) or gone. */
void news_path_learnt(const struct probe_path *pp);
void news_path_moved(const struct probe_path *pp, const struct addr *from);
void news_path_state(const struct probe_path *pp, const char *reason);
/* What it carries in one piece has been found, or has changed. */
void news_path_mtu(const struct probe_path *pp);
/* It has gone beyond the thresholds of loss or latency, or is good again. */
void news_path_quality(const struct probe_path *pp);
void news_path_removed(const struct probe_path *pp);

/* A link has a socket, or has lost it; its interface has got or lost its carrier. */
void news_link_open(struct network *n, const struct link *l, const struct addr *local);
void news_link_closed(struct network *n, const struct link *l, const char *reason);
void news_link_carrier(struct network *n, const struct link *l, bool has_carrier);
/* Its device refuses to cut bursts. */
void news_link_gso(struct network *n, const struct link *l);
/* The kernel has begun to keep a flood of handshake messages from it; or it is over. */
void news_link_flood(struct network *n, const struct link *l, bool is_flooded);
/* The tunnel interface refuses super-packets of that kind: "tso" or "uso". */
void news_tun_refused(struct network *n, const char *what);

/* There is a new session with a peer. */
void news_handshake(const struct bond *bond);
/* A peer can be reached, or not any more. */
void news_peer(const struct bond *bond, bool is_up);
