/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The tunnel interfaces that the broker has made, and the rules that lead into them. Each lives
 * until it is closed here, whatever becomes of the engine. No other interface is ever touched.
 * Names may lack their terminating zero: then they name none of them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tun/tun.h"

/* One for each network; a daemon has few. */
#define INTERFACES_MAX 64

/* Zero-initialised. */
struct interfaces {
	struct tun tuns[INTERFACES_MAX];
	size_t n;
	char rules_of[2][IFNAMSIZ]; /* whose the rules of IPv4 and IPv6 are; "": there are none */
};

bool interfaces_has(const struct interfaces *all, const char name[IFNAMSIZ]);
/* Takes over one that was handed to us; it is the first of its name. */
void interfaces_adopt(struct interfaces *all, const struct tun *tun);
/*
 * The one of that name, made if there is none; *ret_fd is a duplicate for the caller. 0, -EEXIST
 * where the kernel has one that is not ours, -EMFILE, or another -errno.
 */
int interfaces_open(struct interfaces *all, const char *name, struct tun_wants wants,
		    struct tun *ret, bool *ret_was_kept, int *ret_fd);
int interfaces_open_queue(const struct interfaces *all, const char *name, bool is_detached,
			  int *ret_fd);
int interfaces_close(struct interfaces *all, const char name[IFNAMSIZ]);
/* `mark` 0: they go. -EBUSY while another interface has them. */
int interfaces_set_rules(struct interfaces *all, const char *name, uint8_t family, uint32_t mark);
void interfaces_remove_rules(struct interfaces *all);
/* Removes all interfaces, but no rules. */
void interfaces_deinit(struct interfaces *all);
