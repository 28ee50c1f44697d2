/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "vtrunkctl/view.h"

#include <stdlib.h>
#include <string.h>

#include "vtrunkctl/table.h"

/* Bars have what a line leaves them beside names of some length. */
#define WIDTH_WITHOUT_BARS 64
#define BAR_WIDTH_MAX 20
/* A slow link's bar is full at this rate at the earliest: idle chatter is no load. */
#define TOP_MIN 1e6
#define SPARK_WIDTH 30

void view_deinit(struct view *v)
{
	for (unsigned i = 0; i < v->n_events; i++)
		free(v->events[i]);
	*v = (struct view){0};
}

void view_add_event(struct view *v, char *line)
{
	if (v->n_events == VIEW_EVENTS) {
		free(v->events[0]);
		memmove(v->events, v->events + 1, (VIEW_EVENTS - 1) * sizeof(*v->events));
		v->n_events--;
	}
	v->events[v->n_events++] = line;
}

static const struct view_history *find_history(const struct view *v, const char *name)
{
	for (unsigned i = 0; i < v->n_histories; i++)
		if (!strcmp(v->histories[i].name.s, name))
			return &v->histories[i];
	return NULL;
}

static struct view_history *history_of(struct view *v, const char *name)
{
	struct view_history *h = (struct view_history *)find_history(v, name);

	if (h || v->n_histories == VIEW_NETWORKS)
		return h;
	h = &v->histories[v->n_histories++];
	h->name = text_format("%s", name);
	return h;
}

static void remember(struct view_history *h, double tx_bps, double rx_bps)
{
	if (h->n == VIEW_SAMPLES) {
		memmove(h->tx_bps, h->tx_bps + 1, (VIEW_SAMPLES - 1) * sizeof(*h->tx_bps));
		memmove(h->rx_bps, h->rx_bps + 1, (VIEW_SAMPLES - 1) * sizeof(*h->rx_bps));
		h->n--;
	}
	h->tx_bps[h->n] = tx_bps;
	h->rx_bps[h->n++] = rx_bps;
}

/* Adds up the rates of all paths, and raises the top to the fastest of them. */
static void add_rates(struct view *v, struct json_object *peer, double *tx, double *rx)
{
	struct json_object *path;
	double path_tx, path_rx;

	for (size_t i = 0; (path = field_entry(peer, "paths", i)); i++) {
		field_number(path, "tx_bps", &path_tx);
		field_number(path, "rx_bps", &path_rx);
		*tx += path_tx;
		*rx += path_rx;
		v->top_bps = path_tx > v->top_bps ? path_tx : v->top_bps;
		v->top_bps = path_rx > v->top_bps ? path_rx : v->top_bps;
	}
}

void view_sample(struct view *v, struct json_object *status)
{
	struct json_object *network, *peer;

	v->top_bps = v->top_bps < TOP_MIN ? TOP_MIN : v->top_bps;
	for (size_t i = 0; (network = field_entry(status, "networks", i)); i++) {
		struct view_history *h = history_of(v, field_text(network, "name", "-").s);
		double tx = 0, rx = 0;

		for (size_t k = 0; (peer = field_entry(network, "peers", k)); k++)
			add_rates(v, peer, &tx, &rx);
		if (h)
			remember(h, tx, rx);
	}
}

struct text view_bar(double part, unsigned width, bool is_utf8)
{
	static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
	unsigned steps = is_utf8 ? 8 : 1;
	unsigned filled;
	struct text t = {0};
	char *at = t.s;

	part = part < 0 ? 0 : part > 1 ? 1 : part;
	filled = (unsigned)(part * width * steps + 0.5);
	/* A little is not nothing. */
	if (!filled && part > 0 && is_utf8 && width)
		filled = 1;
	for (unsigned i = 0; i < filled / steps; i++)
		at = stpcpy(at, is_utf8 ? "█" : "#");
	stpcpy(at, is_utf8 ? eighths[filled % steps] : "");
	return t;
}

/* The newest SPARK_WIDTH samples, each as high as it was beside the highest of them. */
static struct text sparkline(const double *samples, unsigned n, bool is_utf8)
{
	static const char *const heights[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	static const char *const plain[] = {" ", ".", ".", "-", "-", "=", "=", "#", "#"};
	unsigned first = n > SPARK_WIDTH ? n - SPARK_WIDTH : 0;
	double top = TOP_MIN;
	struct text t = {0};
	char *at = t.s;

	for (unsigned i = first; i < n; i++)
		top = samples[i] > top ? samples[i] : top;
	for (unsigned i = first; i < n; i++) {
		unsigned height = (unsigned)(samples[i] / top * 8 + 0.5);

		height += !height && samples[i] > 0;
		at = stpcpy(at, is_utf8 ? heights[height] : plain[height]);
	}
	return t;
}

static enum style state_style(const char *state, bool is_active)
{
	if (!strcmp(state, "up"))
		return is_active ? STYLE_GOOD : STYLE_FAINT;
	return strcmp(state, "down") ? STYLE_UNSURE : STYLE_BAD;
}

static struct text role_text(struct json_object *path, const char *mode)
{
	struct text state = field_text(path, "state", "-");
	double age;

	field_number(path, "state_age_s", &age);
	if (!strcmp(state.s, "down"))
		return text_format("down for %s", text_duration(age).s);
	if (!field_bool(path, "active"))
		return text_format("%s", strcmp(state.s, "up") ? state.s : "standby");
	return text_format("%s", strcmp(mode, "redundant") ? "carries data" : "carries copies");
}

static unsigned bar_width(const struct screen *screen)
{
	unsigned width =
		screen->width < WIDTH_WITHOUT_BARS ? 0 : (screen->width - WIDTH_WITHOUT_BARS) / 2;

	return width < BAR_WIDTH_MAX ? width : BAR_WIDTH_MAX;
}

static void add_rate(struct table *t, const struct view *v, struct json_object *path,
		     const char *key, unsigned width, enum style style)
{
	double bps;

	field_number(path, key, &bps);
	table_add(t, STYLE_PLAIN, text_mbit((uint64_t)bps));
	table_add(t, style, view_bar(bps / v->top_bps, width, v->is_utf8));
}

static struct text loss_text(struct json_object *path)
{
	double tx, rx;
	bool has_tx = field_number(path, "tx_loss", &tx);
	bool has_rx = field_number(path, "rx_loss", &rx);

	if (!has_tx && !has_rx)
		return text_format("-");
	return text_format("%.1f", 100 * (tx > rx ? tx : rx));
}

static void add_path(struct table *t, const struct view *v, struct json_object *path,
		     const char *mode, unsigned width)
{
	struct text state = field_text(path, "state", "-");
	enum style style = state_style(state.s, field_bool(path, "active"));
	double rtt_us;

	table_add(t, style,
		  text_format("%s %s",
			      !v->is_utf8		? "*"
			      : strcmp(state.s, "down") ? "●"
							: "○",
			      field_text(path, "link", "-").s));
	add_rate(t, v, path, "tx_bps", width, style);
	add_rate(t, v, path, "rx_bps", width, style);
	table_add(t, STYLE_PLAIN,
		  field_number(path, "rtt_us", &rtt_us) ? text_ms(rtt_us) : text_format("-"));
	table_add(t, STYLE_PLAIN, loss_text(path));
	table_add(t, style, role_text(path, mode));
}

static void render_paths(const struct view *v, const struct screen *screen,
			 struct json_object *peer, const char *mode)
{
	const unsigned width = bar_width(screen);
	/* The bars' titles are as wide as they can get, so that the columns stand still. */
	const struct text blank = text_format("%*s", (int)width, "");
	const struct table_column columns[] = {
		{.title = "  link", .may_shrink = true},
		{.group = "sends", .title = " Mbit/s", .is_right = true},
		{.group = "sends", .title = blank.s},
		{.group = "receives", .title = " Mbit/s", .is_right = true},
		{.group = "receives", .title = blank.s},
		{.title = "rtt ms", .is_right = true},
		{.title = "loss %", .is_right = true},
		{.title = "", .may_shrink = true},
	};
	struct json_object *path;
	struct table t;

	table_init(&t, columns, sizeof(columns) / sizeof(*columns));
	for (size_t i = 0; (path = field_entry(peer, "paths", i)); i++)
		add_path(&t, v, path, mode, width);
	if (t.n_cells)
		table_print(&t, screen, 2);
	table_deinit(&t);
}

static void render_peer(const struct view *v, const struct screen *screen, struct json_object *peer,
			const char *mode)
{
	bool has_session = field_bool(peer, "session");
	double age;

	screen_print(screen, STYLE_NAME, "\n%s",
		     text_shorten(field_text(peer, "name", "-").s, 40).s);
	if (!field_number(peer, "handshake_age_s", &age))
		screen_print(screen, STYLE_UNSURE, "  no handshake yet");
	else
		screen_print(screen, has_session ? STYLE_FAINT : STYLE_BAD, "  %s %s",
			     has_session ? "session of" : "no session; last handshake before",
			     text_duration(age).s);
	fputc('\n', screen->out);
	render_paths(v, screen, peer, mode);
}

static void render_history(const struct view *v, const struct screen *screen, const char *label,
			   const double *samples, unsigned n)
{
	fprintf(screen->out, "  %-8s %8s Mbit/s  ", label,
		text_mbit(n ? (uint64_t)samples[n - 1] : 0).s);
	screen_print(screen, STYLE_GOOD, "%s", sparkline(samples, n, v->is_utf8).s);
	fputc('\n', screen->out);
}

static void render_network(const struct view *v, const struct screen *screen,
			   struct json_object *network)
{
	struct text name = field_text(network, "name", "-");
	struct text state = field_text(network, "state", "active");
	struct text mode = field_text(network, "mode", "-");
	const struct view_history *h = find_history(v, name.s);
	struct json_object *peer;

	screen_print(screen, STYLE_NAME, "network %s", name.s);
	fprintf(screen->out, "  %s, %s", field_text(network, "interface", "-").s, mode.s);
	if (strcmp(state.s, "active") != 0)
		screen_print(screen, STYLE_BAD, "  %s", state.s);
	fputc('\n', screen->out);
	if (h) {
		render_history(v, screen, "sends", h->tx_bps, h->n);
		render_history(v, screen, "receives", h->rx_bps, h->n);
	}
	for (size_t i = 0; (peer = field_entry(network, "peers", i)); i++)
		render_peer(v, screen, peer, mode.s);
}

void view_render(const struct view *v, const struct screen *screen, struct json_object *status)
{
	struct json_object *network;

	for (size_t i = 0; (network = field_entry(status, "networks", i)); i++) {
		if (i)
			fputc('\n', screen->out);
		render_network(v, screen, network);
	}
	if (v->n_events)
		fputc('\n', screen->out);
	for (unsigned i = 0; i < v->n_events; i++) {
		screen_print(screen, STYLE_FAINT, "%.*s", text_prefix(v->events[i], screen->width),
			     v->events[i]);
		fputc('\n', screen->out);
	}
}
