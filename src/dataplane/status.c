/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/aead.h"
#include "crypto/keys.h"
#include "dataplane/network_state.h"
#include "dataplane/outlet.h"
#include "dataplane/probe.h"
#include "dataplane/status_fill.h"
#include "dataplane/tx.h"

static uint64_t load(const _Atomic uint64_t *v)
{
	return atomic_load_explicit(v, memory_order_relaxed);
}

static void copy_drops(struct drops *ret, const struct drops *d)
{
	for (int i = 0; i < DROP_REASON_COUNT; i++)
		atomic_init(&ret->count[i], load(&d->count[i]));
}

static void fill_link(const struct link *l, struct link_status *ret)
{
	strcpy(ret->name, l->settings->name);
	strcpy(ret->device, l->settings->device);
	ret->fwmark = l->settings->fwmark;
	ret->is_open = atomic_load_explicit(&l->is_open, memory_order_relaxed);
	ret->has_carrier = atomic_load_explicit(&l->has_carrier, memory_order_relaxed);
	ret->has_gso = atomic_load_explicit(&l->has_gso, memory_order_relaxed);
	ret->has_gro = atomic_load_explicit(&l->has_gro, memory_order_relaxed);
	ret->gso = l->settings->gso;
	ret->gro = l->settings->gro;
	ret->gso_refused = load(&l->gso_refused);
	ret->last_error = atomic_load_explicit(&l->last_error, memory_order_relaxed);
	ret->weight = l->settings->weight;
	ret->is_backup = l->settings->role == LINK_BACKUP;
	ret->rate = l->settings->rate;
	ret->receive_buffer = l->settings->receive_buffer;
	ret->send_buffer = l->settings->send_buffer;
	ret->tx_datagrams = load(&l->tx_datagrams);
	ret->tx_bytes = load(&l->tx_bytes);
	ret->rx_datagrams = load(&l->rx_datagrams);
	ret->rx_bytes = load(&l->rx_bytes);
	copy_drops(&ret->drops, &l->drops);
}

static bool is_active(const struct path_set *set, const struct path *path)
{
	for (unsigned i = 0; i < set->n; i++) {
		if (set->entries[i].path == path)
			return path_set_is_active(set, i);
	}
	return false;
}

static void fill_path(const struct probe_path *pp, struct path_status *ret, nsec_t now)
{
	const struct path *path = pp->path;

	ret->id = path->id;
	strcpy(ret->link, path->link->settings->name);
	strcpy(ret->remote_link, pp->remote_link);
	ret->remote = pp->to.remote;
	ret->state = pp->health.state;
	ret->state_age = now - pp->health.since;
	ret->n_downs = pp->health.n_downs;
	ret->n_flaps = pp->health.n_flaps;
	if (pp->health.state == HEALTH_DOWN)
		ret->hold = nsec_max(pp->health.held_until - now, 0);
	ret->is_poor = pp->is_poor;
	ret->mtu = pp->pmtu.mtu;
	ret->is_backup = probe_path_is_backup(pp);
	ret->is_active = is_active(rcu_own(&pp->probe->bond->paths), path);
	ret->weight = pp->weight;
	ret->rtt = pp->health.rtt;
	ret->rtt_min = pp->health.rtt_min;
	ret->tx_loss = pp->tx_loss.loss;
	ret->rx_loss = pp->rx_loss.loss;
	ret->tx_bps = pp->tx_rate.bps;
	ret->rx_bps = pp->rx_rate.bps;
	ret->learnt_bps = load(&path->learnt_bps);
	ret->queue = path_queue(path, now);
	ret->tx_packets = load(&path->sent.packets);
	ret->tx_bytes = load(&path->sent.bytes);
	ret->rx_packets = load(&path->received.packets);
	ret->rx_bytes = load(&path->received.bytes);
	ret->duplicates = load(&path->duplicates);
}

static void fill_reseq(const struct bond *bond, struct peer_status *ret)
{
	const struct reseq *q = atomic_load_explicit(&bond->lane.reseq, memory_order_acquire);
	struct reseq_stats s;

	if (!q)
		return;
	reseq_stats(q, &s);
	ret->reseq.in_order = s.in_order;
	ret->reseq.held = s.held;
	ret->reseq.released_late = s.late;
	ret->reseq.proven_lost = s.proven_lost;
	ret->reseq.deadlines = s.deadlines;
	ret->reseq.asked = s.asked;
	ret->reseq.repaired = s.repaired;
	ret->reseq.hold = reseq_hold_time(q);
}

static void fill_spread(const struct bond *bond, struct peer_status *ret)
{
	const struct outlet *o = atomic_load_explicit(&bond->outlet, memory_order_acquire);
	const struct spread *s;
	const struct urgent *u;

	if (!o)
		return;
	s = o->spread;
	ret->resend.packets = load(&s->resend.packets);
	ret->resend.bytes = load(&s->resend.bytes);
	ret->resend.refused = load(&s->resend.refused);
	u = atomic_load_explicit(&s->urgent, memory_order_acquire);
	if (!u)
		return;
	ret->copied.packets = load(&u->packets);
	ret->copied.bytes = load(&u->bytes);
	ret->copied.refused = load(&u->refused);
}

static int fill_paths(const struct probe *p, struct peer_status *ret, nsec_t now)
{
	unsigned n = 0;

	for (unsigned i = 0; p && i < PATHS_MAX; i++)
		n += p->paths[i] != NULL;
	if (!n)
		return 0;
	ret->paths = calloc(n, sizeof(*ret->paths));
	if (!ret->paths)
		return -ENOMEM;
	for (unsigned i = 0; i < PATHS_MAX; i++) {
		if (p->paths[i])
			fill_path(p->paths[i], &ret->paths[ret->n_paths++], now);
	}
	return 0;
}

static void fill_handshakes(struct bond *bond, struct peer_status *ret, nsec_t now)
{
	struct peer *p = &bond->peer;
	nsec_t last = atomic_load_explicit(&p->last_handshake, memory_order_relaxed);

	rcu_begin();
	ret->has_session = peer_send_session_rcu(p, now) != NULL;
	rcu_end();
	ret->handshakes = load(&p->n_handshakes);
	ret->handshakes_begun = load(&p->n_initiations);
	ret->lately = tally_at(atomic_load_explicit(&p->tally, memory_order_relaxed), now);
	ret->handshake_age = last ? now - last : -1;
	ret->handshake_at = atomic_load_explicit(&p->last_handshake_wall, memory_order_relaxed);
}

static int fill_allowed_ips(const struct peer_settings *s, struct peer_status *ret)
{
	ret->allowed_ips = calloc(s->n_allowed_ips + 1, sizeof(*ret->allowed_ips));
	if (!ret->allowed_ips)
		return -ENOMEM;
	memcpy(ret->allowed_ips, s->allowed_ips, s->n_allowed_ips * sizeof(*ret->allowed_ips));
	ret->n_allowed_ips = s->n_allowed_ips;
	return 0;
}

static int fill_peer(struct bond *bond, struct peer_status *ret, nsec_t now)
{
	const struct peer_settings *s = bond->settings;
	int r;

	strcpy(ret->name, s->name);
	memcpy(ret->public_key, s->public_key, sizeof(ret->public_key));
	ret->persistent_keepalive = s->persistent_keepalive;
	ret->is_multilink = bond->probe && bond->probe->is_multilink;
	ret->is_multilink_known = bond->probe && bond->probe->is_known;
	ret->tx_bytes = load(&bond->inner_sent.bytes);
	ret->rx_bytes = load(&bond->inner_received.bytes);
	ret->tx_packets = load(&bond->inner_sent.packets);
	ret->rx_packets = load(&bond->inner_received.packets);
	fill_handshakes(bond, ret, now);
	fill_reseq(bond, ret);
	fill_spread(bond, ret);
	r = fill_allowed_ips(s, ret);
	return r < 0 ? r : fill_paths(bond->probe, ret, now);
}

/* Those in force; of a network that does not run those that are configured. */
static int fill_addresses(const struct network_settings *s, struct network_status *ret)
{
	ret->addresses = calloc(s->n_addresses + 1, sizeof(*ret->addresses));
	if (!ret->addresses)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_addresses; i++) {
		const struct interface_address *a = &s->addresses[i];

		ret->addresses[i] = a->in_force.family ? a->in_force : a->prefix;
	}
	ret->n_addresses = s->n_addresses;
	return 0;
}

static void fill_rule(const struct network *n, const char *name, uint8_t number,
		      struct rule_status *ret)
{
	const struct rule_count *c = &n->rule_counts[number];

	strcpy(ret->name, name);
	ret->packets = load(&c->packets);
	ret->bytes = load(&c->bytes);
	ret->elsewhere_bytes = load(&c->elsewhere_bytes);
}

static int fill_rules(const struct network *n, struct network_status *ret)
{
	const struct rules *rules = rcu_own(&n->rules);
	unsigned count = rules ? rules->n : 0;

	ret->rules = calloc(count + 1, sizeof(*ret->rules));
	if (!ret->rules)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++)
		fill_rule(n, rules->list[i].name, rules->numbers[i], &ret->rules[ret->n_rules++]);
	fill_rule(n, "", BINDING_LOWER_EFFORT, &ret->rules[ret->n_rules++]);
	return 0;
}

static void fill_settings(const struct network_settings *s, struct network_status *ret)
{
	strcpy(ret->name, s->name);
	ret->mode = s->mode;
	ret->tso = s->tso;
	ret->uso = s->uso;
	ret->aead = aead_backend();
}

static void fill_interface(const struct network *n, struct network_status *ret)
{
	strcpy(ret->interface, n->tun.name);
	ret->mtu = network_mtu(n);
	ret->can_tso =
		n->tun.can_tso && !atomic_load_explicit(&n->is_tso_refused, memory_order_relaxed);
	ret->can_uso =
		n->tun.can_uso && !atomic_load_explicit(&n->is_uso_refused, memory_order_relaxed);
	ret->n_queues = tx_n_queues(n->tx);
	for (unsigned i = 0; i < ret->n_queues; i++)
		tx_queue_status(n->tx, i, &ret->queues[i]);
}

static void fill_buffers(const struct network *n, struct network_status *ret)
{
	ret->sizes = n->settings->sizes;
	ret->buffers = pool_cells(n->bursts) - n->n_put_by;
	ret->buffers_free = pool_available(n->bursts);
	if (!n->sent)
		return;
	ret->repair_buffer = pool_cells(n->sent) * STORE_CELL_BYTES;
	ret->repair_buffer_used = ret->repair_buffer - pool_available(n->sent) * STORE_CELL_BYTES;
}

static int fill_links(const struct network *n, struct network_status *ret)
{
	ret->links = calloc(n->n_links + 1, sizeof(*ret->links));
	if (!ret->links)
		return -ENOMEM;
	for (size_t i = 0; i < n->n_links; i++) {
		if (n->links[i])
			fill_link(n->links[i], &ret->links[ret->n_links++]);
	}
	return 0;
}

static int fill_peers(const struct network *n, struct network_status *ret, nsec_t now)
{
	int r = 0;

	ret->peers = calloc(n->n_bonds + 1, sizeof(*ret->peers));
	if (!ret->peers)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < n->n_bonds; i++)
		r = fill_peer(n->bonds[i], &ret->peers[ret->n_peers++], now);
	return r;
}

int status_fill(struct network *n, struct network_status *ret, nsec_t now)
{
	int r;

	memset(ret, 0, sizeof(*ret));
	ret->state = "active";
	memcpy(ret->public_key, device_public_key(n->device), sizeof(ret->public_key));
	copy_drops(&ret->drops, &n->drops);
	fill_settings(n->settings, ret);
	fill_interface(n, ret);
	fill_buffers(n, ret);
	r = fill_addresses(n->settings, ret);
	if (r == 0)
		r = fill_rules(n, ret);
	if (r == 0)
		r = fill_links(n, ret);
	if (r == 0)
		r = fill_peers(n, ret, now);
	if (r < 0)
		network_status_free(ret);
	return r;
}

int network_status_idle(const struct network_settings *settings, struct network_status *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->state = "stopped";
	keys_public(ret->public_key, settings->private_key);
	fill_settings(settings, ret);
	strcpy(ret->interface, settings->interface);
	ret->mtu = settings->mtu;
	return fill_addresses(settings, ret);
}

void network_status_free(struct network_status *s)
{
	for (size_t i = 0; i < s->n_peers; i++) {
		free(s->peers[i].allowed_ips);
		free(s->peers[i].paths);
	}
	free(s->peers);
	free(s->links);
	free(s->addresses);
	free(s->rules);
	memset(s, 0, sizeof(*s));
}
