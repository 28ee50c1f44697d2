/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/carrier.h"

#include <string.h>

#include "dataplane/network_state.h"
#include "util/log.h"

static void set(struct network *n, bool is_on)
{
	int r = tun_set_carrier(&n->tun, is_on);

	if (r < 0)
		log_warn("network %s: cannot switch the carrier of %s %s: %s", n->settings->name,
			 n->tun.name, is_on ? "on" : "off", strerror(-r));
}

void carrier_begin(struct network *n)
{
	n->n_reachable = 0;
	if (n->settings->follows_carrier)
		set(n, false);
}

void carrier_follow(struct network *n, bool follows)
{
	n->settings->follows_carrier = follows;
	set(n, !follows || n->n_reachable);
}

void carrier_peer_changed(struct network *n, bool is_up)
{
	size_t before = n->n_reachable;

	n->n_reachable += is_up ? 1 : -1;
	if (n->settings->follows_carrier && !before != !n->n_reachable)
		set(n, is_up);
}
