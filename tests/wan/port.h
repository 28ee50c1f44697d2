/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * An end of the wire: a packet socket on an interface that is the program's alone, of which it
 * switches off what would add packets of its own (IPv6) or glue together what arrives (GRO).
 * Super-frames and unfinished checksums come and go with their virtio_net_hdr.
 * One thread; never blocks.
 */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packet.h"

struct port {
	int fd;
	unsigned index;
	char name[IF_NAMESIZE];
	size_t frame_max;
	bool is_gone; /* the interface no longer exists */
	uint64_t send_failures;
	uint64_t overruns; /* frames that the socket had no room for; see port_count_overruns() */
};

typedef void (*port_handler)(void *context, const struct virtio_net_hdr *vnet, const uint8_t *frame,
			     size_t len);

/* 0 or -errno. */
int port_open(struct port *ret, const char *name);
void port_close(struct port *p);

/* Hands over what has come in, up to a few hundred frames. */
void port_receive(struct port *p, port_handler handle, void *context);
/* What cannot be sent is counted. */
void port_send(struct port *p, struct packet *const *packets, size_t n);

void port_count_overruns(struct port *p);
