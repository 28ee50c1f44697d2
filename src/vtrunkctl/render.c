/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "vtrunkctl/render.h"

#include <string.h>

#include "util/drops.h"
#include "vtrunkctl/table.h"
#include "vtrunkctl/text.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* So that no peer's heading outgrows the line. */
#define NAME_WIDTH 24
/* Active paths whose round-trip times differ by both make aggregation a bad bargain. */
#define SPREAD_FACTOR 4
#define SPREAD_US 50000

static struct text name_of(struct json_object *o)
{
	return text_shorten(field_text(o, "name", "-").s, NAME_WIDTH);
}

/* Ends with the table, behind an empty line, if there is anything in it. */
static void print_below(struct table *t, const struct screen *screen)
{
	if (t->n_cells) {
		fputc('\n', screen->out);
		table_print(t, screen, 2);
	}
	table_deinit(t);
}

static bool has_lost_carrier(struct json_object *link)
{
	struct json_object *carrier;

	return json_object_object_get_ex(link, "carrier", &carrier) &&
	       !json_object_get_boolean(carrier);
}

/* What is in force, not what is configured. */
static struct text offloads_of(struct json_object *link)
{
	bool has_gso = field_bool(link, "gso");
	bool has_gro = field_bool(link, "gro");

	return text_format("%s%s%s",
			   has_gso   ? "gso"
			   : has_gro ? ""
				     : "-",
			   has_gso && has_gro ? " " : "", has_gro ? "gro" : "");
}

static void add_link(struct table *t, struct json_object *link)
{
	bool is_open = field_bool(link, "open");
	bool is_good = is_open && !has_lost_carrier(link);
	struct json_object *error = field_object(link, "last_error");

	table_add(t, STYLE_PLAIN, field_text(link, "name", "-"));
	table_add(t, is_good ? STYLE_GOOD : STYLE_BAD,
		  text_format("%s", is_good   ? "open"
				    : is_open ? "no carrier"
					      : "closed"));
	table_add(t, STYLE_PLAIN, field_text(link, "local", "-"));
	table_add(t, STYLE_PLAIN, field_text(link, "device", "-"));
	table_add(t, STYLE_PLAIN, offloads_of(link));
	table_add(t, STYLE_PLAIN, text_bytes(field_count(link, "tx_bytes")));
	table_add(t, STYLE_PLAIN, text_bytes(field_count(link, "rx_bytes")));
	table_add(t, is_open ? STYLE_UNSURE : STYLE_BAD, field_text(error, "text", ""));
}

static void render_links(const struct screen *screen, struct json_object *network)
{
	static const struct table_column columns[] = {
		{.title = "link", .may_shrink = true},	{.title = "state"},
		{.title = "local", .may_shrink = true}, {.title = "device"},
		{.title = "offload", .is_spare = true}, {.title = "tx", .is_right = true},
		{.title = "rx", .is_right = true},	{.title = "last error", .may_shrink = true},
	};
	struct json_object *link;
	struct table t;

	table_init(&t, columns, COUNT_OF(columns));
	for (size_t i = 0; (link = field_entry(network, "links", i)); i++)
		add_link(&t, link);
	table_print(&t, screen, 2);
	table_deinit(&t);
}

static enum style state_style(const char *state)
{
	if (!strcmp(state, "up"))
		return STYLE_GOOD;
	return strcmp(state, "down") ? STYLE_UNSURE : STYLE_BAD;
}

/* Its state, or what keeps a path that is alive from being used. */
static struct text path_state_text(struct json_object *path)
{
	double held;

	if (field_number(path, "held_s", &held))
		return text_format("held %s", text_duration(held).s);
	if (field_bool(path, "poor"))
		return text_format("poor");
	return field_text(path, "state", "-");
}

/* A backup's rank among backups hardly ever matters, that it is one does. */
static struct text weight_text(struct json_object *path)
{
	if (!strcmp(field_text(path, "role", "").s, "backup"))
		return text_format("backup");
	return text_count(field_count(path, "weight"));
}

static struct text mtu_text(struct json_object *path)
{
	double mtu;

	return field_number(path, "mtu", &mtu) ? text_format("%.0f", mtu) : text_format("-");
}

static struct text rtt_text(struct json_object *path)
{
	double us;

	return field_number(path, "rtt_us", &us) ? text_ms(us) : text_format("-");
}

static struct text loss_text(struct json_object *path, const char *key)
{
	double ratio;

	return field_number(path, key, &ratio) ? text_format("%.1f", 100 * ratio)
					       : text_format("-");
}

static void add_path(struct table *t, struct json_object *path)
{
	bool is_active = field_bool(path, "active");
	struct text state = path_state_text(path);

	table_add(t, is_active ? STYLE_NAME : STYLE_PLAIN,
		  text_format("%c %s", is_active ? '*' : ' ', field_text(path, "link", "-").s));
	table_add(t, STYLE_PLAIN, field_text(path, "remote", "-"));
	table_add(t, state_style(state.s), state);
	table_add(t, STYLE_PLAIN, weight_text(path));
	table_add(t, STYLE_PLAIN, mtu_text(path));
	table_add(t, STYLE_PLAIN, rtt_text(path));
	table_add(t, STYLE_PLAIN, loss_text(path, "tx_loss"));
	table_add(t, STYLE_PLAIN, loss_text(path, "rx_loss"));
	table_add(t, STYLE_PLAIN, text_mbit(field_count(path, "tx_bps")));
	table_add(t, STYLE_PLAIN, text_mbit(field_count(path, "rx_bps")));
	table_add(t, STYLE_PLAIN, text_bytes(field_count(path, "tx_bytes")));
	table_add(t, STYLE_PLAIN, text_bytes(field_count(path, "rx_bytes")));
}

static void render_paths(const struct screen *screen, struct json_object *peer)
{
	static const struct table_column columns[] = {
		{.title = "  path", .may_shrink = true},
		{.title = "remote", .may_shrink = true},
		{.title = "state"},
		{.title = "weight", .is_right = true},
		{.title = "mtu", .is_right = true, .is_spare = true},
		{.group = "rtt", .title = "ms", .is_right = true},
		{.group = "loss %", .title = "tx", .is_right = true},
		{.group = "loss %", .title = "rx", .is_right = true},
		{.group = "Mbit/s", .title = "tx", .is_right = true},
		{.group = "Mbit/s", .title = "rx", .is_right = true},
		{.group = "total", .title = "tx", .is_right = true, .is_spare = true},
		{.group = "total", .title = "rx", .is_right = true, .is_spare = true},
	};
	struct json_object *path;
	struct table t;

	table_init(&t, columns, COUNT_OF(columns));
	for (size_t i = 0; (path = field_entry(peer, "paths", i)); i++)
		add_path(&t, path);
	print_below(&t, screen);
}

static struct text session_text(struct json_object *peer)
{
	double age;

	if (!field_number(peer, "handshake_age_s", &age))
		return text_format("no handshake yet");
	if (!field_bool(peer, "session"))
		return text_format("last handshake %s ago", text_duration(age).s);
	return text_format("session %s old", text_duration(age).s);
}

static const char *kind_text(struct json_object *peer)
{
	struct json_object *kind = json_object_object_get(peer, "multilink");

	if (!json_object_is_type(kind, json_type_boolean))
		return "";
	return json_object_get_boolean(kind) ? ", multilink" : ", stock WireGuard";
}

static void render_peer_head(const struct screen *screen, struct json_object *peer)
{
	struct prose p = {.screen = screen, .indent = 4};

	prose_print(&p, STYLE_NAME, "peer %s", name_of(peer).s);
	prose_print(&p, STYLE_PLAIN, ": ");
	prose_print(&p, field_bool(peer, "session") ? STYLE_PLAIN : STYLE_UNSURE, "%s",
		    session_text(peer).s);
	prose_print(&p, STYLE_PLAIN, "%s, tx %s, rx %s", kind_text(peer),
		    text_bytes(field_count(peer, "tx_bytes")).s,
		    text_bytes(field_count(peer, "rx_bytes")).s);
	prose_end(&p);
	screen_print(screen, STYLE_FAINT, "  key %s", field_text(peer, "public_key", "-").s);
	fputc('\n', screen->out);
}

/* As many as fit into the line, and how many more there are. */
static void render_prefixes(const struct screen *screen, const char *label, struct json_object *o,
			    const char *key)
{
	static const char tail[] = ", and 1000 more";
	struct json_object *all = json_object_object_get(o, key);
	size_t n = json_object_is_type(all, json_type_array) ? json_object_array_length(all) : 0;
	unsigned used = (unsigned)strlen(label);
	struct json_object *entry;
	size_t shown;

	if (!n)
		return;
	screen_print(screen, STYLE_FAINT, "%s", label);
	for (shown = 0; shown < n; shown++) {
		entry = json_object_array_get_idx(all, shown);
		if (!json_object_is_type(entry, json_type_string))
			break;
		used += (unsigned)json_object_get_string_len(entry) + 2;
		if (shown && used + strlen(tail) > screen->width)
			break;
		screen_print(screen, STYLE_FAINT, "%s %s", shown ? "," : "",
			     json_object_get_string(entry));
	}
	if (shown < n)
		screen_print(screen, STYLE_FAINT, ", and %zu more", n - shown);
	fputc('\n', screen->out);
}

/* Nothing is said of a resequencer that has had nothing to do. */
static void render_reseq(const struct screen *screen, struct json_object *peer)
{
	struct json_object *reseq = field_object(peer, "reseq");
	struct prose p = {.screen = screen, .indent = 4};
	double hold_us;

	field_number(reseq, "hold_us", &hold_us);
	if (!field_count(reseq, "in_order") && !field_count(reseq, "held"))
		return;
	prose_print(&p, STYLE_PLAIN,
		    "  reordering: %s in order, %s held, %s late, %s lost, %s deadlines of %s ms",
		    text_count(field_count(reseq, "in_order")).s,
		    text_count(field_count(reseq, "held")).s,
		    text_count(field_count(reseq, "released_late")).s,
		    text_count(field_count(reseq, "proven_lost")).s,
		    text_count(field_count(reseq, "deadlines")).s, text_ms(hold_us).s);
	prose_end(&p);
}

static void render_resend(const struct screen *screen, struct json_object *peer)
{
	struct json_object *resend = field_object(peer, "resend");

	if (!field_count(resend, "packets") && !field_count(resend, "refused"))
		return;
	fprintf(screen->out, "  sent again: %s packets, %s, %s refused\n",
		text_count(field_count(resend, "packets")).s,
		text_bytes(field_count(resend, "bytes")).s,
		text_count(field_count(resend, "refused")).s);
}

static void render_copied(const struct screen *screen, struct json_object *peer)
{
	struct json_object *copied = field_object(peer, "copied");

	if (!field_count(copied, "packets"))
		return;
	fprintf(screen->out, "  sent twice, as urgent: %s packets, %s, %s refused\n",
		text_count(field_count(copied, "packets")).s,
		text_bytes(field_count(copied, "bytes")).s,
		text_count(field_count(copied, "refused")).s);
}

static void render_spread(const struct screen *screen, struct json_object *peer, const char *mode)
{
	struct prose p = {.screen = screen, .indent = 4};
	struct json_object *path;
	double least = 0, most = 0;
	double rtt;

	for (size_t i = 0; (path = field_entry(peer, "paths", i)); i++) {
		if (!field_bool(path, "active") || !field_number(path, "rtt_us", &rtt))
			continue;
		least = least == 0 || rtt < least ? rtt : least;
		most = rtt > most ? rtt : most;
	}
	if (most - least <= SPREAD_US || most <= SPREAD_FACTOR * least)
		return;
	prose_print(&p, STYLE_UNSURE,
		    "  warning: round-trip times from %s to %s ms are far apart for %s mode",
		    text_ms(least).s, text_ms(most).s, mode);
	prose_end(&p);
}

static void render_peer(const struct screen *screen, struct json_object *peer, const char *mode)
{
	fputc('\n', screen->out);
	render_peer_head(screen, peer);
	render_prefixes(screen, "  allowed", peer, "allowed_ips");
	render_paths(screen, peer);
	render_reseq(screen, peer);
	render_resend(screen, peer);
	render_copied(screen, peer);
	if (!strcmp(mode, "aggregate") || !strcmp(mode, "auto"))
		render_spread(screen, peer, mode);
}

/* Lower effort, which nobody has made a rule for, is only worth a line if it is sent. */
static void add_rule(struct table *t, struct json_object *rule)
{
	struct text name = field_text(rule, "name", "");

	if (!*name.s && !field_count(rule, "packets"))
		return;
	table_add(t, STYLE_PLAIN, *name.s ? name : text_format("(lower effort)"));
	table_add(t, STYLE_PLAIN, text_count(field_count(rule, "packets")));
	table_add(t, STYLE_PLAIN, text_bytes(field_count(rule, "bytes")));
	table_add(t, STYLE_PLAIN, text_bytes(field_count(rule, "elsewhere_bytes")));
}

static void render_rules(const struct screen *screen, struct json_object *network)
{
	static const struct table_column columns[] = {
		{.title = "rule", .may_shrink = true},
		{.title = "packets", .is_right = true},
		{.title = "bytes", .is_right = true},
		{.title = "elsewhere", .is_right = true},
	};
	struct json_object *rule;
	struct table t;

	table_init(&t, columns, COUNT_OF(columns));
	for (size_t i = 0; (rule = field_entry(network, "rules", i)); i++)
		add_rule(&t, rule);
	print_below(&t, screen);
}

/* What a reason means; the daemon may know more reasons than we do. */
static const char *drop_text(const char *name)
{
	for (enum drop_reason i = 0; i < DROP_REASON_COUNT; i++)
		if (!strcmp(drop_reason_name(i), name))
			return drop_reason_text(i);
	return name;
}

static void add_drops(struct table *t, struct json_object *o, const char *place)
{
	struct json_object *drops = field_object(o, "drops");

	if (!drops)
		return;
	json_object_object_foreach(drops, name, count)
	{
		uint64_t n = json_object_get_uint64(count);

		if (!n)
			continue;
		table_add(t, STYLE_PLAIN, text_count(n));
		table_add(t, STYLE_PLAIN, text_format("%s", place));
		table_add(t, STYLE_PLAIN, text_format("%s", drop_text(name)));
	}
}

static void render_drops(const struct screen *screen, struct json_object *network)
{
	static const struct table_column columns[] = {
		{.title = "dropped", .is_right = true},
		{.title = "on", .may_shrink = true},
		{.title = "why", .may_shrink = true},
	};
	struct json_object *link;
	struct table t;

	table_init(&t, columns, COUNT_OF(columns));
	add_drops(&t, network, "network");
	for (size_t i = 0; (link = field_entry(network, "links", i)); i++)
		add_drops(&t, link, name_of(link).s);
	print_below(&t, screen);
}

/* Nothing is said of a network that runs as it should. */
static void render_state(struct prose *p, struct json_object *network)
{
	struct text state = field_text(network, "state", "active");
	struct text reason = field_text(network, "reason", "");

	if (!strcmp(state.s, "active"))
		return;
	prose_print(p, strcmp(state.s, "error") ? STYLE_UNSURE : STYLE_BAD, "%s%s%s%s, ", state.s,
		    *reason.s ? " (" : "", reason.s, *reason.s ? ")" : "");
}

static void render_network(const struct screen *screen, struct json_object *network)
{
	struct text mode = field_text(network, "mode", "-");
	struct json_object *offloads = field_object(network, "offloads");
	struct prose p = {.screen = screen, .indent = 4};
	struct json_object *peer;

	prose_print(&p, STYLE_NAME, "network %s", field_text(network, "name", "-").s);
	prose_print(&p, STYLE_PLAIN, ": ");
	render_state(&p, network);
	prose_print(&p, STYLE_PLAIN, "%s, %s, mtu %u, AEAD %s%s%s",
		    field_text(network, "interface", "-").s, mode.s,
		    (unsigned)field_count(network, "mtu"), field_text(network, "aead", "-").s,
		    field_bool(offloads, "tso") ? ", TSO" : "",
		    field_bool(offloads, "uso") ? ", USO" : "");
	prose_end(&p);
	screen_print(screen, STYLE_FAINT, "  key %s", field_text(network, "public_key", "-").s);
	fputc('\n', screen->out);
	render_prefixes(screen, "  address", network, "addresses");
	fputc('\n', screen->out);
	if (field_entry(network, "links", 0))
		render_links(screen, network);
	for (size_t i = 0; (peer = field_entry(network, "peers", i)); i++)
		render_peer(screen, peer, mode.s);
	render_rules(screen, network);
	render_drops(screen, network);
}

void render_status(const struct screen *screen, struct json_object *status)
{
	struct json_object *network;

	for (size_t i = 0; (network = field_entry(status, "networks", i)); i++) {
		if (i)
			fputc('\n', screen->out);
		render_network(screen, network);
	}
}
