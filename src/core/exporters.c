/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/exporters.h"

#include <errno.h>
#include <string.h>

#include "core/listeners.h"
#include "core/observe.h"

int exporters_open(struct exporters *e, enum broker_metrics_kind kind, int fd)
{
	return metrics_server_new(&e->servers[kind], fd, observe_metrics, e->networks);
}

static int prepare(struct exporters *e, enum broker_metrics_kind kind)
{
	int fd;
	int r = broker_open_metrics(e->broker, kind, &fd);

	if (r == -ENOENT)
		return 0; /* none is wanted any more */
	return r < 0 ? r : metrics_server_new(&e->next[kind], fd, observe_metrics, e->networks);
}

int exporters_prepare(struct exporters *e, const struct daemon_settings *before,
		      const struct daemon_settings *after)
{
	int r = 0;

	for (int i = 0; r == 0 && i < BROKER_METRICS_KINDS; i++) {
		enum broker_metrics_kind kind = (enum broker_metrics_kind)i;

		e->is_changing[i] = !metrics_are_same(kind, before, after);
		if (e->is_changing[i])
			r = prepare(e, kind);
	}
	if (r < 0)
		exporters_drop(e);
	return r;
}

void exporters_take(struct exporters *e)
{
	for (int i = 0; i < BROKER_METRICS_KINDS; i++) {
		if (!e->is_changing[i])
			continue;
		metrics_server_free(e->servers[i]);
		e->servers[i] = e->next[i];
		e->next[i] = NULL;
		e->is_changing[i] = false;
	}
}

void exporters_drop(struct exporters *e)
{
	for (int i = 0; i < BROKER_METRICS_KINDS; i++) {
		metrics_server_free(e->next[i]);
		e->next[i] = NULL;
		e->is_changing[i] = false;
	}
}

void exporters_close(struct exporters *e)
{
	exporters_drop(e);
	for (int i = 0; i < BROKER_METRICS_KINDS; i++)
		metrics_server_free(e->servers[i]);
}

int exporters_fd(const struct exporters *e, enum broker_metrics_kind kind)
{
	return e->servers[kind] ? metrics_server_fd(e->servers[kind]) : -1;
}

nsec_t exporters_deadline(const struct exporters *e, nsec_t now)
{
	nsec_t at = NSEC_NEVER;

	for (int i = 0; i < BROKER_METRICS_KINDS; i++)
		if (e->servers[i])
			at = nsec_min(at, metrics_server_deadline(e->servers[i], now));
	return at;
}

void exporters_dispatch(struct exporters *e)
{
	for (int i = 0; i < BROKER_METRICS_KINDS; i++)
		if (e->servers[i])
			metrics_server_dispatch(e->servers[i]);
}
