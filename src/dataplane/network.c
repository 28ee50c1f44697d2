/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/network.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keys.h"
#include "dataplane/bonds.h"
#include "dataplane/carrier.h"
#include "dataplane/delivery.h"
#include "dataplane/flowq.h"
#include "dataplane/handshaker.h"
#include "dataplane/interface.h"
#include "dataplane/links.h"
#include "dataplane/monitor.h"
#include "dataplane/network_state.h"
#include "dataplane/queues.h"
#include "dataplane/routes.h"
#include "dataplane/rx.h"
#include "dataplane/store.h"
#include "dataplane/tx.h"
#include "util/log.h"
#include "util/warnings.h"

/* What each reader beyond the first may have in its hands. */
#define READER_BUFFERS 8

void network_fail(struct network *n, const char *why)
{
	if (!atomic_exchange(&n->has_failed, true))
		n->failed(n->calls_ctx, why);
}

static int fail(const struct network *n, const char *what, int r)
{
	log_error("network %s: %s: %s", n->settings->name, what, strerror(-r));
	return r;
}

/* Workers of the links that are there at the start, beyond one each: they hold as much as a link.
 */
static size_t count_more_workers(const struct network_settings *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_links; i++)
		n += s->links[i].workers > 1 ? s->links[i].workers - 1 : 0;
	return n;
}

static int make_pools(struct network *n, const struct network_settings *all)
{
	const struct network_settings *s = n->settings;
	size_t links = all->n_links > PATHS_MAX ? all->n_links : PATHS_MAX;
	size_t needed = s->mtu + MESSAGE_DATA_OVERHEAD;
	int r;

	n->n_queues_wanted = queues_wanted(s->queues);
	n->burst_bytes = s->buffer_size > needed ? s->buffer_size : needed;
	if (n->burst_bytes > BURST_BYTES_MAX)
		n->burst_bytes = BURST_BYTES_MAX;
	n->cell_bytes = s->mtu > 1500 ? s->mtu : 1500;
	/* Handshake messages, the largest coalesced receive and the largest read fit as well. */
	n->cell_room = n->burst_bytes + CELL_SLACK +
		       (sizeof(struct parcel) > sizeof(struct burst) ? sizeof(struct parcel)
								     : sizeof(struct burst));
	r = pool_new(&n->bursts,
		     network_bursts_per_link(n) * (links + count_more_workers(all)) +
			     READER_BUFFERS * (n->n_queues_wanted - 1) + s->sizes.buffers,
		     n->cell_room);
	if (r == 0)
		r = network_put_by_bursts(n, all->n_links);
	if (r == 0)
		r = pool_new(&n->cells, s->sizes.reorder_packets,
			     delivery_cell_bytes(n->cell_bytes));
	if (r == 0 && s->sizes.repair_buffer >= STORE_CELL_BYTES)
		r = pool_new(&n->sent, s->sizes.repair_buffer / STORE_CELL_BYTES, STORE_CELL_BYTES);
	return r < 0 ? fail(n, "cannot allocate buffers", r) : 0;
}

static int refuse_offload(const struct network *n, const char *key, const char *what)
{
	log_error("network %s: %s is 'on', but the kernel has no %s for tunnel interfaces; 'auto' "
		  "does without",
		  n->settings->name, key, what);
	return -EOPNOTSUPP;
}

static int open_interface(struct network *n)
{
	const struct network_settings *s = n->settings;
	bool has_room = s->buffer_size >= BUFFER_SIZE_DEFAULT;
	const struct tun_wants wants = {
		.tso = has_room && s->tso != OFFLOAD_OFF,
		.uso = has_room && s->uso != OFFLOAD_OFF,
		.queues = n->n_queues_wanted > 1,
	};
	int r = broker_open_tun(n->broker, &n->tun, &n->was_kept, s->interface, wants);

	if (r < 0) {
		n->tun.fd = -1;
		log_error("network %s: cannot create tunnel interface %s from /dev/net/tun: %s",
			  s->name, s->interface, strerror(-r));
		return r;
	}
	if (s->tso == OFFLOAD_ON && !n->tun.can_tso)
		return refuse_offload(n, "tso", "TSO");
	if (s->uso == OFFLOAD_ON && !n->tun.can_uso)
		return refuse_offload(n, "uso", "USO (Linux 6.2 has)");
	queues_open(n);
	return 0;
}

static int make_interface(struct network *n)
{
	const struct network_settings *s = n->settings;
	int r = open_interface(n);

	if (r < 0)
		return r;
	r = broker_set_mtu(n->broker, n->tun.name, s->mtu);
	if (r < 0)
		return fail(n, "cannot set the MTU of the tunnel interface", r);
	r = interface_add_addresses(n);
	if (r < 0)
		return r;
	r = broker_set_up(n->broker, n->tun.name);
	if (r < 0)
		return fail(n, "cannot bring the tunnel interface up", r);
	return 0;
}

static void close_interface(struct network *n)
{
	if (n->tun.fd < 0)
		return;
	queues_close(n);
	tun_close(&n->tun);
	broker_close_tun(n->broker, n->tun.name); /* it may have been deleted: all the same */
}

static int add_bond(struct network *n, const struct peer_settings *p)
{
	struct noise_identity self;
	struct bond *bond;
	int r;

	noise_identity_set(&self, n->settings->private_key);
	r = bond_new(&bond, n, p, &self);
	keys_wipe(&self, sizeof(self));
	if (r == 0)
		r = network_reserve_bonds(n, 1);
	if (r == 0)
		r = device_insert_peer(n->device, &bond->peer, p->persistent_keepalive, false);
	if (r < 0) {
		bond_free(bond);
		log_error("network %s: peer %s: %s", n->settings->name, p->name,
			  r == -EEXIST ? "its public key is another peer's or our own"
				       : strerror(-r));
		return r;
	}
	network_add_bond(n, bond);
	return 0;
}

static int make_allowed_ips(struct network *n)
{
	struct allowedips *a;
	struct allowedip *entries;
	size_t count = 0;
	int r;

	for (size_t i = 0; i < n->n_bonds; i++)
		count += n->bonds[i]->settings->n_allowed_ips;
	entries = calloc(count + 1, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	count = 0;
	for (size_t i = 0; i < n->n_bonds; i++) {
		struct bond *bond = n->bonds[i];

		for (size_t j = 0; j < bond->settings->n_allowed_ips; j++)
			entries[count++] = (struct allowedip){bond->settings->allowed_ips[j], bond};
	}
	r = allowedips_new(&a, entries, count);
	free(entries);
	if (r == 0)
		rcu_publish(&n->allowed_ips, a);
	return r;
}

static int make_peers(struct network *n, const struct network_settings *s)
{
	int r = device_new(&n->device, s->private_key, &handshaker_device_calls, n);

	if (r < 0)
		return fail(n, "cannot make the device", r);
	for (size_t i = 0; i < s->n_peers; i++) {
		r = add_bond(n, &s->peers[i]);
		if (r < 0)
			return r;
	}
	r = make_allowed_ips(n);
	return r < 0 ? fail(n, "cannot build the table of allowed IPs", r) : 0;
}

static int make_links(struct network *n, const struct network_settings *s)
{
	if (s->n_links > NETWORK_LINKS_MAX)
		return fail(n, "too many links", -E2BIG);
	for (size_t i = 0; i < s->n_links; i++) {
		struct link *l;
		int r = network_link_new(&l, n, (uint32_t)i, &s->links[i]);

		if (r < 0)
			return fail(n, "cannot set up a link", r);
		n->links[i] = l;
		n->n_links = i + 1;
	}
	for (size_t i = 0; i < n->n_bonds; i++)
		n->bonds[i]->peer.is_wanted_up = bond_is_wanted_up(n->bonds[i]);
	return 0;
}

static int store_timestamp(void *ctx, nsec_t reserved)
{
	const struct network *n = ctx;

	return broker_store_stamp(n->broker, n->settings->name, reserved);
}

static void open_timestamp(struct network *n)
{
	nsec_t saved = 0;
	int load = broker_load_stamp(n->broker, n->settings->name, &saved);
	int r = timestamp_init(&n->timestamp, saved, store_timestamp, n, clock_wall());

	if (load < 0 || r < 0)
		warning_add("network %s: cannot keep the handshake timestamp in the state "
			    "directory: %s; after a reboot with a wrong clock, peers may refuse "
			    "handshakes",
			    n->settings->name, strerror(load < 0 ? -load : -r));
}

/* Of rules that come: what has the number of one that is gone counts anew. */
static void reset_counts(struct network *n, const struct rules *next)
{
	for (unsigned i = 0; i < next->n; i++) {
		if (!rules_is_known(rcu_own(&n->rules), next->list[i].name))
			rule_count_reset(&n->rule_counts[next->numbers[i]]);
	}
}

/* Monitor, or nobody yet. */
static void take_rules(struct network *n, struct rules *next)
{
	struct rules *old = rcu_own(&n->rules);

	reset_counts(n, next);
	rcu_publish(&n->rules, next);
	rules_retire(old);
}

static int make_parts(struct network *n, const struct network_settings *settings)
{
	struct rules *rules;
	int r = rules_new(&rules, settings->rules, settings->n_rules, NULL);

	if (r == 0) {
		take_rules(n, rules);
		r = make_pools(n, settings);
	}
	atomic_init(&n->mtu, settings->mtu);
	atomic_init(&n->clamps_mss, settings->mss_clamp);
	if (r == 0)
		r = make_peers(n, settings);
	if (r == 0)
		r = make_interface(n);
	if (r == 0)
		r = make_links(n, settings);
	if (r == 0)
		r = routes_sync(n);
	if (r < 0)
		return r;
	r = tx_new(&n->tx, n);
	if (r == 0)
		r = handshaker_new(&n->handshaker, n);
	if (r == 0)
		r = monitor_new(&n->monitor, n);
	if (r < 0)
		return fail(n, "cannot set up the threads", r);
	open_timestamp(n);
	carrier_begin(n);
	return monitor_prepare(n->monitor, clock_now());
}

/* The threads in the order in which they start; they end in the reverse order. */
static int start_threads(struct network *n)
{
	int r = monitor_start(n->monitor);

	n->started.monitor = r == 0;
	for (size_t i = 0; r == 0 && i < n->n_links; i++)
		r = link_start(n->links[i]);
	if (r == 0) {
		r = tx_start(n->tx);
		n->started.tx = r == 0;
	}
	if (r == 0) {
		r = handshaker_start(n->handshaker);
		n->started.handshaker = r == 0;
	}
	return r < 0 ? fail(n, "cannot start a thread", r) : 0;
}

static void stop_threads(struct network *n)
{
	if (n->started.handshaker)
		handshaker_stop(n->handshaker);
	if (n->started.tx)
		tx_stop(n->tx);
	for (size_t i = n->n_links; i > 0; i--) {
		if (n->links[i - 1])
			link_stop(n->links[i - 1]);
	}
	if (n->started.monitor)
		monitor_stop(n->monitor);
	memset(&n->started, 0, sizeof(n->started));
}

int network_start(struct network **ret, const struct network_settings *settings,
		  struct broker *broker, network_failed_fn failed, network_happened_fn happened,
		  void *ctx)
{
	struct network *n;
	int r;

	if (posix_memalign((void **)&n, 64, sizeof(*n)))
		return -ENOMEM;
	memset(n, 0, sizeof(*n));
	n->broker = broker;
	n->failed = failed;
	n->happened = happened;
	n->calls_ctx = ctx;
	n->tun.fd = -1;
	r = network_settings_copy(&n->settings, settings);
	if (r == 0)
		r = make_parts(n, settings);
	if (r == 0)
		r = start_threads(n);
	if (r < 0) {
		network_stop(n);
		return r;
	}
	log_notice("network %s: interface %s is up", settings->name, n->tun.name);
	*ret = n;
	return 0;
}

void network_stop(struct network *n)
{
	if (!n)
		return;
	stop_threads(n);
	monitor_free(n->monitor);
	tx_free(n->tx);
	for (size_t i = 0; i < n->n_links; i++)
		network_link_free(n->links[i]);
	for (size_t i = 0; i < n->n_bonds; i++)
		device_unlink_peer(n->device, &n->bonds[i]->peer);
	handshaker_free(n->handshaker);
	allowedips_retire(rcu_own(&n->allowed_ips));
	rules_retire(rcu_own(&n->rules));
	rcu_drain();
	for (size_t i = 0; i < n->n_bonds; i++)
		bond_free(n->bonds[i]);
	device_free(n->device);
	routes_deinit(n); /* the kernel's go with the interface */
	close_interface(n);
	network_give_back_bursts(n);
	pool_free(n->sent);
	pool_free(n->cells);
	pool_free(n->bursts);
	free(n->bonds);
	network_settings_free(n->settings);
	free(n);
}

int network_status(struct network *n, struct network_status *ret)
{
	return monitor_status(n->monitor, ret);
}

struct tuning {
	struct network *network;
	const struct network_settings *wanted;
	struct rules *rules;
};

static void tune(void *arg)
{
	const struct tuning *t = arg;

	t->network->settings->mode = t->wanted->mode;
	t->network->settings->scheduler = t->wanted->scheduler;
	t->network->settings->max_spread = t->wanted->max_spread;
	t->network->settings->health = t->wanted->health;
	take_rules(t->network, t->rules);
	monitor_retune(t->network->monitor);
}

int network_tune(struct network *n, const struct network_settings *wanted)
{
	struct tuning t = {.network = n, .wanted = wanted};
	int r = rules_new(&t.rules, wanted->rules, wanted->n_rules, rcu_own(&n->rules));

	if (r == 0)
		monitor_send_errand(n->monitor, tune, &t);
	return r;
}

uint32_t network_mtu_most(const struct network *n)
{
	size_t most = n->burst_bytes - MESSAGE_DATA_OVERHEAD;

	return (uint32_t)(most < n->cell_bytes ? most : n->cell_bytes);
}
