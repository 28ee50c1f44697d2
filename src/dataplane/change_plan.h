/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * What a network_change() will do to the peers, worked out as a whole before anything is done, so
 * that whatever fails leaves the network as it was. Each peer that it touches gets an edit, with
 * the settings wanted in the end. Main thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/noise.h"
#include "dataplane/change.h"

struct allowedip;
struct allowedips;
struct bond;
struct network;

/* What becomes of one bond (bond->edit). */
struct edit {
	struct bond *bond;
	struct peer_settings *wanted; /* NULL: it goes; of a new one: its own */
	bool is_new;
	bool has_endpoint; /* it has been given */
};

struct plan {
	struct network *network;
	const struct network_change *change;
	const uint8_t *private_key; /* another one than it had; NULL: it stays */
	struct noise_identity self;
	struct edit *edits;
	size_t n_edits;
	size_t *by_key; /* number of an edit, from 1; by public key, with open addressing */
	size_t n_keys;	/* a power of two, above the number of edits that there can be */
	struct allowedip *given; /* in their order */
	size_t n_given;
	struct allowedips *allowed_ips; /* the table in the end */
	size_t n_new, n_gone;
	struct bond **gone;
	bool is_done;
	int result; /* of an errand */
};

/*
 * Fills in the edits, the table and the counts; `network`, `change` and `private_key` are set. 0,
 * -EINVAL or -ENOMEM; the plan is to be freed in any case.
 */
int plan_peers(struct plan *p);
/* Also the bonds that are not part of the network now: removed ones, or new ones if not is_done. */
void plan_free(struct plan *p);
