/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "dataplane/links.h"

#include <errno.h>
#include <stdlib.h>

#include "dataplane/network_state.h"
#include "dataplane/rx.h"

int network_link_new(struct link **ret, struct network *n, uint32_t number,
		     const struct link_settings *s)
{
	struct link_settings *own = malloc(sizeof(*own));
	struct link *l = NULL;
	int r;

	if (!own || posix_memalign((void **)&l, _Alignof(struct link), sizeof(*l))) {
		free(own);
		return -ENOMEM;
	}
	*own = *s;
	r = link_init(l, number, own, n->bursts, n->burst_bytes, &rx_link_calls, n);
	if (r == 0)
		r = rx_new((struct rx **)&l->user, n);
	if (r < 0) {
		network_link_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void network_link_free(struct link *l)
{
	if (!l)
		return;
	link_deinit(l);
	rx_free(l->user);
	free(l->settings);
	free(l);
}
