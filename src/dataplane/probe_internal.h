/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* What the parts of the probe share. Owner: the monitor thread. */
#pragma once

#include "dataplane/probe.h"

/* probe.c: sends control frames over the path. */
void probe_path_send(struct probe_path *pp, const struct frame *frames, int n, nsec_t now);

/* probe_paths.c: which paths there are, and where they lead */
/* Publishes a new snapshot; false without memory, and the old one stays in force. */
bool probe_publish(struct probe *p);
/* False without memory: it stays as it is, since the snapshot in force has it. */
bool probe_remove_path(struct probe_path *pp);
void probe_path_move(struct probe_path *pp, const struct endpoint *to, nsec_t now);
/*
 * Makes the path over that link that the configuration wants, and takes away the one that it
 * wanted before. 0 or -ENOMEM.
 */
int probe_configure_link(struct probe *p, struct link *l, nsec_t now);
/* The peer was there when the engine before us had it. */
void probe_recall_path(struct probe *p, struct link *l, const struct endpoint *to, nsec_t now);
struct probe_path *probe_path_of_frame(struct probe *p, const struct event *e, uint32_t remote_id);

/* probe_name.c: endpoints by name */
/* Has the name of its endpoint looked up, or takes it where it is an address. */
void probe_path_resolve(struct probe_path *pp, nsec_t now);
/* While the name is still being looked up: to where it led before. */
void probe_name_recall(struct probe_path *pp, const struct addr *remote, nsec_t now);
/*
 * Has the path just left that address for another one that its name leads to? What the peer still
 * sends from there is no news then: it does not know yet.
 */
bool probe_name_has_left(const struct probe_path *pp, const struct addr *remote, nsec_t now);
void probe_name_tick(struct timer *t, nsec_t now);
/* The timer, after whatever may have changed whether something answers. */
void probe_name_arm(struct probe *p, nsec_t now);

/* probe_health.c: pings, and what follows from their answers */
void probe_path_tick(struct timer *t, nsec_t now);
bool probe_has_session(const struct probe *p, nsec_t now);
/* Backup paths that carry nothing are pinged less; after the choice has changed. */
void probe_stand_by(struct probe *p, const struct path_set *set);
/* Its timer, after whatever may have changed when it is due. */
void probe_path_arm(struct probe_path *pp);
void probe_handle_ping(struct probe *p, const struct event *e);
void probe_handle_pong(struct probe *p, const struct event *e);
void probe_handle_down(struct probe *p, const struct event *e);
/* Tells the peer, over the paths that work, that this one does not. */
void probe_path_tell_down(const struct probe_path *pp, nsec_t now);
/* The path's state has changed. */
void probe_path_announce(struct probe_path *pp, const char *why, nsec_t now);

/* probe_mtu.c: what the paths carry in one piece */
nsec_t probe_mtu_deadline(const struct probe_path *pp);
void probe_mtu_tick(struct probe_path *pp, nsec_t now);
void probe_mtu_retune(struct probe_path *pp, nsec_t now); /* the MTU of the network has changed */
void probe_handle_mtu_probe(struct probe *p, const struct event *e);
void probe_handle_mtu_answer(struct probe *p, const struct event *e);

/* probe_stock.c: a peer that cannot be pinged */
void probe_stock_sample(struct probe_path *pp, nsec_t now);
/* When a path that is down is to be tried, or looked at for another reason. */
nsec_t probe_stock_deadline(const struct probe_path *pp);
/* Does what is due; true if the path's state has changed. */
bool probe_stock_tick(struct probe_path *pp, nsec_t now);
/* Once it is known to be a stock one: paths that have never answered, though others have. */
void probe_stock_doubt(struct probe *p, nsec_t now);
/* Leads its endpoint to the paths that carry data. */
void probe_stock_call(struct probe *p, nsec_t now);

/* probe_hello.c: is the peer a vtrunkd? */
struct frame probe_path_hello(const struct probe_path *pp, bool wants_answer);
void probe_hello_tick(struct timer *t, nsec_t now);
void probe_handle_hello(struct probe *p, const struct event *e);
/* The peer has sent a frame, so it is one. */
void probe_note_multilink(struct probe *p, nsec_t now);
