/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keys.h"

/* Fast lines: what is on its way in 20 ms, and queues that TCP can fill. */
const struct network_sizes network_sizes_normal = {
	.buffers = 160,
	.reorder_packets = 4096,
	.repair_buffer = 8 << 20,
	.handshake_queue = 1024,
	.event_queue = 512,
	.link = {.receive_batch = 32, .queue = 32},
};

/* A router with little memory: docs/design/small-machines.md has what this costs. */
const struct network_sizes network_sizes_small = {
	.buffers = 16,
	.reorder_packets = 512,
	.repair_buffer = 768 << 10,
	.handshake_queue = 128,
	.event_queue = 128,
	.link = {.receive_batch = 4, .queue = 16},
};

/* A copy of an array; NULL where it is empty. */
static int copy_array(void *ret, const void *array, size_t n, size_t bytes)
{
	void *copy = NULL;

	if (n) {
		copy = malloc(n * bytes);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, array, n * bytes);
	}
	*(void **)ret = copy;
	return 0;
}

int peer_settings_init(struct peer_settings *copy, const struct peer_settings *s)
{
	*copy = *s;
	copy->allowed_ips = NULL;
	copy->endpoint = NULL;
	if (copy_array(&copy->allowed_ips, s->allowed_ips, s->n_allowed_ips,
		       sizeof(*s->allowed_ips)) < 0 ||
	    copy_array(&copy->endpoint, s->endpoint, !!s->endpoint, sizeof(*s->endpoint)) < 0) {
		peer_settings_deinit(copy);
		return -ENOMEM;
	}
	return 0;
}

int peer_settings_copy(struct peer_settings **ret, const struct peer_settings *s)
{
	struct peer_settings *copy = malloc(sizeof(*copy));
	int r = copy ? peer_settings_init(copy, s) : -ENOMEM;

	if (r < 0) {
		free(copy);
		return r;
	}
	*ret = copy;
	return 0;
}

void peer_settings_deinit(struct peer_settings *s)
{
	free(s->allowed_ips);
	free(s->endpoint);
	keys_wipe(s, sizeof(*s));
}

void peer_settings_free(struct peer_settings *s)
{
	if (!s)
		return;
	peer_settings_deinit(s);
	free(s);
}

int network_settings_copy(struct network_settings **ret, const struct network_settings *s)
{
	struct network_settings *copy = malloc(sizeof(*copy));

	if (!copy)
		return -ENOMEM;
	*copy = *s;
	copy->peers = NULL;
	copy->links = NULL;
	copy->rules = NULL;
	copy->addresses = NULL;
	copy->n_rules = 0;
	copy->n_peers = copy->n_links = 0;
	if (copy_array(&copy->addresses, s->addresses, s->n_addresses, sizeof(*s->addresses)) < 0) {
		network_settings_free(copy);
		return -ENOMEM;
	}
	*ret = copy;
	return 0;
}

void network_settings_deinit(struct network_settings *s)
{
	for (size_t i = 0; i < s->n_peers; i++)
		peer_settings_deinit(&s->peers[i]);
	free(s->peers);
	free(s->links);
	free(s->rules);
	free(s->addresses);
	keys_wipe(s, sizeof(*s));
}

void network_settings_free(struct network_settings *s)
{
	if (!s)
		return;
	network_settings_deinit(s);
	free(s);
}
