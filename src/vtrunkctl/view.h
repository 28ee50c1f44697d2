/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The live view as text: a status together with what it remembers of those before it (rates of the
 * last minute) and the newest events. Knows nothing of terminals; see live.h.
 */
#pragma once

#include <json-c/json.h>

#include "vtrunkctl/screen.h"
#include "vtrunkctl/text.h"

#define VIEW_EVENTS 6
#define VIEW_SAMPLES 60
#define VIEW_NETWORKS 16

/* One network's rates, oldest first. */
struct view_history {
	struct text name;
	double tx_bps[VIEW_SAMPLES], rx_bps[VIEW_SAMPLES];
	unsigned n;
};

struct view {
	bool is_utf8;	/* bars of eighths of a column; else of whole ones */
	double top_bps; /* the highest rate of a path so far: a full bar */
	struct view_history histories[VIEW_NETWORKS];
	unsigned n_histories;
	char *events[VIEW_EVENTS]; /* oldest first; they are the view's */
	unsigned n_events;
};

void view_deinit(struct view *v);
/* Remembers the rates of a status, once for each. */
void view_sample(struct view *v, struct json_object *status);
/* Takes `line` over. */
void view_add_event(struct view *v, char *line);
void view_render(const struct view *v, const struct screen *screen, struct json_object *status);

/* A bar of `width` columns, `part` of it (0 to 1) filled. */
struct text view_bar(double part, unsigned width, bool is_utf8);
