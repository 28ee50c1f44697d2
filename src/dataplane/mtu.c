/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/mtu.h"

#include <string.h>

#include "dataplane/monitor.h"
#include "dataplane/network_state.h"
#include "dataplane/probe.h"
#include "util/log.h"

/* A larger MTU must have been possible for so long: paths come and go. */
#define RAISE_AFTER (10 * NSEC_PER_SEC)

static uint32_t smallest_of_peer(const struct probe *p, uint32_t mtu)
{
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		const struct probe_path *pp = p->paths[i];
		uint32_t carries = pp ? probe_path_inner_mtu(pp) : 0;

		if (carries && pp->health.state == HEALTH_UP && carries < mtu)
			mtu = carries;
	}
	return mtu;
}

static uint32_t smallest(const struct network *n)
{
	uint32_t mtu = n->settings->mtu;

	for (size_t i = 0; i < n->n_bonds; i++) {
		if (n->bonds[i]->probe)
			mtu = smallest_of_peer(n->bonds[i]->probe, mtu);
	}
	/* Outer packets that are larger than a path carries are then fragmented. */
	return mtu > MTU_IPV6_MIN ? mtu : MTU_IPV6_MIN;
}

static int set(struct network *n, uint32_t mtu)
{
	int r = broker_set_mtu(n->broker, n->tun.name, mtu);

	if (r < 0) {
		log_warn("network %s: cannot set the MTU of %s to %u: %s", n->settings->name,
			 n->tun.name, mtu, strerror(-r));
		return r;
	}
	log_notice("network %s: the MTU of %s is %u now%s", n->settings->name, n->tun.name, mtu,
		   n->settings->is_mtu_auto ? ", as the paths carry it" : "");
	atomic_store_explicit(&n->mtu, mtu, memory_order_relaxed);
	return 0;
}

int mtu_change(struct network *n, uint32_t mtu, bool is_auto)
{
	struct network_settings *s = n->settings;
	const uint32_t had = s->mtu;
	const bool was_auto = s->is_mtu_auto;
	int r;

	s->mtu = mtu;
	s->is_mtu_auto = is_auto;
	if (is_auto)
		mtu = smallest(n);
	r = network_mtu(n) == mtu ? 0 : set(n, mtu);
	if (r < 0) {
		s->mtu = had;
		s->is_mtu_auto = was_auto;
	} else {
		monitor_retune(n->monitor);
	}
	return r;
}

void mtu_update(struct network *n, nsec_t now)
{
	uint32_t mtu;
	uint32_t present = network_mtu(n);

	if (!n->settings->is_mtu_auto)
		return;
	mtu = smallest(n);
	if (mtu <= present) {
		n->mtu_raise_at = 0;
		if (mtu < present)
			set(n, mtu);
		return;
	}
	if (!n->mtu_raise_at)
		n->mtu_raise_at = now + RAISE_AFTER;
	if (now < n->mtu_raise_at)
		return;
	n->mtu_raise_at = 0;
	set(n, mtu);
}
