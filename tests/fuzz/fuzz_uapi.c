/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/* Any text is taken as changes that make sense, or refused; nothing of it is lost. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "control/uapi.h"

static void check_peer(const struct peer_change *p)
{
	for (size_t i = 0; i < p->n_allowed_ips; i++) {
		const struct prefix *prefix = &p->allowed_ips[i].prefix;

		if (prefix->len > (prefix->family == AF_INET ? 32 : 128))
			abort();
	}
	if (p->has_endpoint && (!p->endpoint.host[0] || !p->endpoint.port))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct uapi_set set;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (uapi_set_parse(&set, text) == 0) {
		for (size_t i = 0; i < set.change.n_peers; i++)
			check_peer(&set.change.peers[i]);
	}
	uapi_set_deinit(&set);
	free(text);
	return 0;
}
