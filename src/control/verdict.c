/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "control/verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control/status_json.h"

/* Of the handshakes begun of late: so many are judged, and so much of them is to be answered. */
#define FEW_HANDSHAKES 10
#define HANDSHAKES_POOR 50 /* per cent */
#define HANDSHAKES_FAIR 80

struct judgement {
	enum verdict worst;
	verdict_reason tell;
	void *ctx;
	const char *network;
};

const char *verdict_name(enum verdict verdict)
{
	static const char *const names[] = {"healthy", "degraded", "unhealthy"};

	return names[verdict];
}

__attribute__((format(printf, 3, 4))) static void find(struct judgement *j, enum verdict verdict,
						       const char *format, ...)
{
	char reason[384];
	size_t len = (size_t)snprintf(reason, sizeof(reason), "network %s: ", j->network);
	va_list args;

	j->worst = verdict > j->worst ? verdict : j->worst;
	if (!j->tell)
		return;
	va_start(args, format);
	vsnprintf(reason + len, sizeof(reason) - len, format, args);
	va_end(args);
	j->tell(j->ctx, verdict, reason);
}

static bool is_healthy(const struct peer_status *p)
{
	return p->has_session && p->handshake_age >= 0 && p->handshake_age < STATUS_HEALTHY_AGE;
}

static void judge_peers(struct judgement *j, const struct network_status *s)
{
	size_t n_healthy = 0;

	for (size_t i = 0; i < s->n_peers; i++)
		n_healthy += is_healthy(&s->peers[i]);
	if (s->n_peers && !n_healthy)
		find(j, VERDICT_UNHEALTHY, "no peer has a session");
	else if (2 * n_healthy < s->n_peers)
		find(j, VERDICT_DEGRADED, "only %zu of %zu peers have a session", n_healthy,
		     s->n_peers);
}

/* Few say nothing: the other end may just have been started. */
static void judge_handshakes(struct judgement *j, const struct network_status *s)
{
	unsigned begun = 0, answered = 0;

	for (size_t i = 0; i < s->n_peers; i++) {
		begun += s->peers[i].lately.begun;
		answered += s->peers[i].lately.answered;
	}
	if (begun > FEW_HANDSHAKES && 100 * answered < HANDSHAKES_FAIR * begun)
		find(j,
		     100 * answered < HANDSHAKES_POOR * begun ? VERDICT_UNHEALTHY
							      : VERDICT_DEGRADED,
		     "only %u of %u handshakes of late were answered", answered, begun);
}

static void judge_paths(struct judgement *j, const struct peer_status *p)
{
	for (size_t i = 0; i < p->n_paths; i++)
		if (p->paths[i].state == HEALTH_DOWN)
			find(j, VERDICT_DEGRADED, "peer %s: path over link %s is down", p->name,
			     p->paths[i].link);
}

static void judge_links(struct judgement *j, const struct network_status *s)
{
	for (size_t i = 0; i < s->n_links; i++)
		if (!s->links[i].is_open)
			find(j, VERDICT_DEGRADED, "link %s has no socket%s%s", s->links[i].name,
			     s->links[i].last_error ? ": " : "",
			     s->links[i].last_error ? strerror(s->links[i].last_error) : "");
}

enum verdict verdict_network(const struct network_status *s, bool is_wanted, verdict_reason tell,
			     void *ctx)
{
	struct judgement j = {.tell = tell, .ctx = ctx, .network = s->name};

	if (!strcmp(s->state, "starting")) {
		find(&j, VERDICT_DEGRADED, "it is starting");
	} else if (strcmp(s->state, "active") != 0) {
		if (is_wanted)
			find(&j, VERDICT_UNHEALTHY, "it is not active (%s)", s->state);
		return j.worst;
	}
	judge_peers(&j, s);
	judge_handshakes(&j, s);
	judge_links(&j, s);
	for (size_t i = 0; i < s->n_peers; i++)
		judge_paths(&j, &s->peers[i]);
	return j.worst;
}
