/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/bonds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/network_state.h"

#define ROOM_MIN 8

int bond_new(struct bond **ret, struct network *n, const struct peer_settings *s,
	     const struct noise_identity *self)
{
	struct bond *bond;
	int r;

	if (posix_memalign((void **)&bond, _Alignof(struct bond), sizeof(*bond)))
		return -ENOMEM;
	memset(bond, 0, sizeof(*bond));
	bond->network = n;
	bond->peer.device = n->device;
	atomic_init(&bond->lane.deadline, NSEC_NEVER);
	r = peer_settings_copy(&bond->settings, s);
	if (r == 0)
		r = noise_remote_set(&bond->peer.remote, self, s->public_key, s->preshared_key);
	if (r < 0) {
		bond_free(bond);
		return r;
	}
	*ret = bond;
	return 0;
}

void bond_free(struct bond *bond)
{
	if (!bond)
		return;
	lane_deinit(bond);
	device_wipe_peer(&bond->peer);
	peer_settings_free(bond->settings);
	free(bond);
}

bool bond_has_endpoint(const struct bond *bond)
{
	const struct network *n = bond->network;

	if (bond->settings->endpoint)
		return true;
	for (size_t i = 0; i < n->n_links; i++) {
		const struct link *l = n->links[i];

		if (l && l->settings->endpoint.host[0])
			return true;
	}
	return false;
}

bool bond_is_wanted_up(const struct bond *bond)
{
	const struct peer_settings *s = bond->settings;

	return bond_has_endpoint(bond) && (!s->is_on_demand || s->persistent_keepalive);
}

int network_reserve_bonds(struct network *n, size_t more)
{
	size_t room = n->bonds_room ? n->bonds_room : ROOM_MIN;
	struct bond **bonds;

	while (room < n->n_bonds + more)
		room *= 2;
	if (room == n->bonds_room)
		return 0;
	bonds = realloc(n->bonds, room * sizeof(struct bond *));
	if (!bonds)
		return -ENOMEM;
	n->bonds = bonds;
	n->bonds_room = room;
	return 0;
}

void network_add_bond(struct network *n, struct bond *bond)
{
	bond->number = n->n_bonds;
	n->bonds[n->n_bonds++] = bond;
}

void network_take_bond(struct network *n, struct bond *bond)
{
	struct bond *last = n->bonds[--n->n_bonds];

	n->bonds[bond->number] = last;
	last->number = bond->number;
}
