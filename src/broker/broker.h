/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * What the engine has somebody privileged do: this process itself (direct), or the supervisor at
 * the other end of a socket. Any thread; a call waits for its answer and for those of other threads
 * before it, so the data path must not call it. All return 0 or -errno.
 */
#pragma once

#include <stdbool.h>

#include "broker/request.h"
#include "util/clock.h"
#include "util/hook_kind.h"

struct broker;
struct broker_server;

/* `server` must live as long as it. */
int broker_new_direct(struct broker **ret, struct broker_server *server);
/* Takes over the descriptor. */
int broker_new_remote(struct broker **ret, int channel);
/* NULL is fine. */
void broker_free(struct broker *b);

/*
 * As tun_open(). The interface lives until broker_close_tun(), even if the engine ends without
 * that; *ret_was_kept then tells the next engine that the interface has its addresses already.
 */
int broker_open_tun(struct broker *b, struct tun *ret, bool *ret_was_kept, const char *interface,
		    struct tun_wants wants);
int broker_close_tun(struct broker *b, const char *interface);
/* As tun_open_queue(), of an interface that broker_open_tun() has opened. */
int broker_open_queue(struct broker *b, int *ret_fd, const char *interface, bool is_detached);

/* As those of netlink/address.h, for the interfaces that broker_open_tun() has opened. */
int broker_set_mtu(struct broker *b, const char *interface, uint32_t mtu);
int broker_set_up(struct broker *b, const char *interface);
int broker_add_address(struct broker *b, const char *interface, const struct prefix *p,
		       const struct prefix *destination);
int broker_remove_address(struct broker *b, const char *interface, const struct prefix *p,
			  const struct prefix *destination);

/* As those of netlink/route.h; -EPERM for another table than that of the configuration. */
int broker_add_route(struct broker *b, const char *interface, const struct route *route);
int broker_remove_route(struct broker *b, const char *interface, const struct route *route);

/*
 * As netif_set_rules(), for the tunnel's own table, or with mark 0 netif_remove_rules(); they go
 * with the interface. -EPERM where the configuration does not want them, -EBUSY where another
 * interface has them.
 */
int broker_set_rules(struct broker *b, const char *interface, int family, uint32_t mark);

/* As udp_open(). */
int broker_open_udp(struct broker *b, struct udp_socket *ret, const struct link_settings *s,
		    int family, size_t bytes);

/* The time that a network (its name) keeps over restarts; 0 at its first start. */
int broker_load_stamp(struct broker *b, const char *network, nsec_t *ret);
int broker_store_stamp(struct broker *b, const char *network, nsec_t time);

/* Where a peer is now, for an engine that has to be started again; never secret. */
int broker_keep_endpoints(struct broker *b, const struct broker_endpoints *e);
/* What was kept of a network's peers, to be freed; -ENOENT: nothing. */
int broker_load_endpoints(struct broker *b, const char *network, struct broker_endpoints **ret,
			  size_t *ret_n);

/*
 * A process that looks up names, see lookup.h. -EOPNOTSUPP: there is none, and none is needed,
 * since this process may do that itself.
 */
int broker_open_resolver(struct broker *b, int *ret_fd);

/*
 * The engine's main thread says that everything is up, once more after each reload, and in between
 * that it does not hang.
 */
int broker_ready(struct broker *b);
int broker_alive(struct broker *b);

/* See those of struct broker_calls. */
int broker_next_key(struct broker *b, const char *network, enum broker_key_step step,
		    uint8_t ret_key[32]);
int broker_read_config(struct broker *b, int *ret_fd);
int broker_keep_config(struct broker *b);
int broker_open_uapi(struct broker *b, const char *interface, int *ret_fd);
int broker_close_uapi(struct broker *b, const char *interface);
int broker_open_metrics(struct broker *b, enum broker_metrics_kind kind, int *ret_fd);
int broker_run_hook(struct broker *b, const char *network, enum hook_kind hook,
		    const struct record *r);
int broker_tell(struct broker *b, const struct record *r);
