/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/observe.h"

#include <errno.h>
#include <stdlib.h>

#include "control/metrics.h"

int observe_network(const struct network_slot *slot, struct network_status *ret)
{
	int r;

	if (slot->network)
		r = network_status(slot->network, ret);
	else
		r = network_status_idle(slot->settings, ret);
	if (r < 0)
		return r;
	ret->state = network_state_name(slot->state);
	ret->why = slot->why;
	return 0;
}

int observe(const struct networks *networks, struct observation *ret)
{
	struct observation o = {0};
	size_t n = networks_count(networks);
	int r = 0;

	o.networks = calloc(n + 1, sizeof(*o.networks));
	if (!o.networks)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = observe_network(networks_at(networks, i), &o.networks[i]);
		o.n += r == 0;
	}
	if (r < 0) {
		observation_deinit(&o);
		return r;
	}
	*ret = o;
	return 0;
}

void observation_deinit(struct observation *o)
{
	for (size_t i = 0; i < o->n; i++)
		network_status_free(&o->networks[i]);
	free(o->networks);
	*o = (struct observation){0};
}

enum verdict observe_verdict(const struct networks *networks, const struct observation *o,
			     verdict_reason tell, void *ctx)
{
	enum verdict worst = VERDICT_HEALTHY;

	for (size_t i = 0; i < o->n; i++) {
		const struct network_slot *slot = networks_at(networks, i);
		bool is_wanted = slot->settings->is_enabled && slot->state != NETWORK_STOPPED;
		enum verdict verdict = verdict_network(&o->networks[i], is_wanted, tell, ctx);

		worst = verdict > worst ? verdict : worst;
	}
	return worst;
}

int observe_metrics(void *networks, struct buffer *ret_text, enum verdict *ret)
{
	struct observation o;
	int r = observe(networks, &o);

	if (r < 0)
		return r;
	*ret = observe_verdict(networks, &o, NULL, NULL);
	r = metrics_write(ret_text, o.networks, o.n, *ret);
	observation_deinit(&o);
	return r;
}
