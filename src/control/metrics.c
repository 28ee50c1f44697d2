/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A table for each kind of object says which of its fields is which family. The families are
 * gone through one after the other, and for each all objects of all networks: so a family's
 * samples stand together, as the format asks.
 */
#include "control/metrics.h"
#include "util/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum field_type {
	FIELD_COUNT,	/* uint64_t, a counter; all others are gauges */
	FIELD_NUMBER,	/* uint32_t */
	FIELD_LEARNT,	/* uint32_t; 0: unknown */
	FIELD_SIZE,	/* size_t */
	FIELD_SECONDS,	/* nsec_t; negative: unknown */
	FIELD_MEASURED, /* nsec_t; 0: unknown */
	FIELD_RATIO,	/* double; what is not in 0..1 is unknown */
	FIELD_FLAG,	/* bool */
	FIELD_BITS,	/* uint64_t bits per second, as bytes */
	FIELD_CAP,	/* the same; 0: none */
};

struct family {
	const char *name; /* behind "vtrunkd_", without the "_total" of counters */
	const char *help;
	enum field_type type;
	size_t offset;
	const char *label; /* one more, with its value; NULL: none */
};

#define COUNTER true
#define GAUGE false
#define FIELD(struct_, member_) offsetof(struct struct_, member_)

static const struct family network_families[] = {
	{"network_mtu_bytes", "MTU of the tunnel interface", FIELD_NUMBER,
	 FIELD(network_status, mtu)},
	{"network_buffers", "Buffers for bursts", FIELD_SIZE, FIELD(network_status, buffers)},
	{"network_buffers_free", "Buffers for bursts that are free", FIELD_SIZE,
	 FIELD(network_status, buffers_free)},
	{"network_repair_buffer_bytes", "Room for what may have to be sent again", FIELD_SIZE,
	 FIELD(network_status, repair_buffer)},
	{"network_repair_buffer_used_bytes", "Of it, what is in use", FIELD_SIZE,
	 FIELD(network_status, repair_buffer_used)},
	{NULL},
};

static const struct family queue_families[] = {
	{"queue_packets", "Packets read, of which one may be a piece of 64 KB", FIELD_COUNT,
	 FIELD(queue_status, packets)},
	{"queue_bytes", "Bytes read", FIELD_COUNT, FIELD(queue_status, bytes)},
	{"queue_waits", "How often its thread waited for that of another queue", FIELD_COUNT,
	 FIELD(queue_status, waits)},
	{NULL},
};

static const struct family rule_families[] = {
	{"rule_packets", "Packets to be sent that have met the rule", FIELD_COUNT,
	 FIELD(rule_status, packets)},
	{"rule_bytes", "Bytes of these", FIELD_COUNT, FIELD(rule_status, bytes)},
	{"rule_elsewhere_bytes", "Of these, what came while none of the rule's links worked",
	 FIELD_COUNT, FIELD(rule_status, elsewhere_bytes)},
	{NULL},
};

static const struct family link_families[] = {
	{"link_open", "Whether the link has a socket", FIELD_FLAG, FIELD(link_status, is_open)},
	{"link_carrier", "Whether its interface has a carrier, as far as is known", FIELD_FLAG,
	 FIELD(link_status, has_carrier)},
	{"link_weight", "Configured weight", FIELD_NUMBER, FIELD(link_status, weight)},
	{"link_backup", "Whether it is for when no other link works", FIELD_FLAG,
	 FIELD(link_status, is_backup)},
	{"link_rate_cap_bytes_per_second", "Configured cap of what a path over it sends", FIELD_CAP,
	 FIELD(link_status, rate)},
	{"link_transmit_bytes", "UDP payload sent", FIELD_COUNT, FIELD(link_status, tx_bytes)},
	{"link_receive_bytes", "UDP payload received", FIELD_COUNT, FIELD(link_status, rx_bytes)},
	{"link_transmit_datagrams", "Datagrams sent", FIELD_COUNT,
	 FIELD(link_status, tx_datagrams)},
	{"link_receive_datagrams", "Datagrams received", FIELD_COUNT,
	 FIELD(link_status, rx_datagrams)},
	{NULL},
};

static const struct family peer_families[] = {
	{"peer_session", "Whether there is a session that packets can be sent in", FIELD_FLAG,
	 FIELD(peer_status, has_session)},
	{"peer_handshakes", "Sessions that were made", FIELD_COUNT, FIELD(peer_status, handshakes)},
	{"peer_handshakes_begun", "Handshakes that were begun from here", FIELD_COUNT,
	 FIELD(peer_status, handshakes_begun)},
	{"peer_handshake_age_seconds", "Time since the last complete handshake", FIELD_SECONDS,
	 FIELD(peer_status, handshake_age)},
	{"peer_transmit_bytes", "Bytes of inner packets sent", FIELD_COUNT,
	 FIELD(peer_status, tx_bytes)},
	{"peer_receive_bytes", "Bytes of inner packets received", FIELD_COUNT,
	 FIELD(peer_status, rx_bytes)},
	{"peer_transmit_packets", "Inner packets sent", FIELD_COUNT,
	 FIELD(peer_status, tx_packets)},
	{"peer_receive_packets", "Inner packets received", FIELD_COUNT,
	 FIELD(peer_status, rx_packets)},
	{"peer_resequencer_packets", "Packets by what the resequencer did with them", FIELD_COUNT,
	 FIELD(peer_status, reseq.in_order), "outcome=\"in_order\""},
	{"peer_resequencer_packets", NULL, FIELD_COUNT, FIELD(peer_status, reseq.held),
	 "outcome=\"held\""},
	{"peer_resequencer_packets", NULL, FIELD_COUNT, FIELD(peer_status, reseq.released_late),
	 "outcome=\"late\""},
	{"peer_resequencer_packets", NULL, FIELD_COUNT, FIELD(peer_status, reseq.proven_lost),
	 "outcome=\"lost\""},
	{"peer_resequencer_deadlines", "Gaps given up without proof", FIELD_COUNT,
	 FIELD(peer_status, reseq.deadlines)},
	{"peer_resequencer_asked_packets", "Lost packets that the peer was asked for", FIELD_COUNT,
	 FIELD(peer_status, reseq.asked)},
	{"peer_resequencer_repaired_packets", "Of these, those that came in time", FIELD_COUNT,
	 FIELD(peer_status, reseq.repaired)},
	{"peer_resequencer_hold_seconds", "The longest that a packet is held just now",
	 FIELD_SECONDS, FIELD(peer_status, reseq.hold)},
	{"peer_resent_packets", "Packets sent again, which a path had lost or taken along",
	 FIELD_COUNT, FIELD(peer_status, resend.packets)},
	{"peer_resent_bytes", "Bytes of these", FIELD_COUNT, FIELD(peer_status, resend.bytes)},
	{"peer_resend_refused_packets", "Packets that the peer asked for in vain", FIELD_COUNT,
	 FIELD(peer_status, resend.refused)},
	{"peer_copied_packets", "Urgent packets that went over a second path too", FIELD_COUNT,
	 FIELD(peer_status, copied.packets)},
	{"peer_copied_bytes", "Bytes of these", FIELD_COUNT, FIELD(peer_status, copied.bytes)},
	{"peer_copies_refused_packets", "Urgent packets beyond the copies' share", FIELD_COUNT,
	 FIELD(peer_status, copied.refused)},
	{NULL},
};

static const struct family path_families[] = {
	{"path_active", "Whether data goes over the path", FIELD_FLAG,
	 FIELD(path_status, is_active)},
	{"path_weight", "Weight in force", FIELD_NUMBER, FIELD(path_status, weight)},
	{"path_state_age_seconds", "Time in the present state", FIELD_SECONDS,
	 FIELD(path_status, state_age)},
	{"path_downs", "How often the path went down", FIELD_COUNT, FIELD(path_status, n_downs)},
	{"path_flaps", "How often of these soon after it came up", FIELD_COUNT,
	 FIELD(path_status, n_flaps)},
	{"path_held_seconds", "How long it is held down yet because it flaps", FIELD_SECONDS,
	 FIELD(path_status, hold)},
	{"path_poor", "Whether its loss or latency is beyond the thresholds", FIELD_FLAG,
	 FIELD(path_status, is_poor)},
	{"path_backup", "Whether it is a backup, for either end", FIELD_FLAG,
	 FIELD(path_status, is_backup)},
	{"path_mtu_bytes", "The largest IP packet that the path carries", FIELD_LEARNT,
	 FIELD(path_status, mtu)},
	{"path_rtt_seconds", "Smoothed round-trip time", FIELD_MEASURED, FIELD(path_status, rtt)},
	{"path_rtt_min_seconds", "Least round-trip time", FIELD_MEASURED,
	 FIELD(path_status, rtt_min)},
	{"path_transmit_loss_ratio", "Of what was sent lately, the part that was lost", FIELD_RATIO,
	 FIELD(path_status, tx_loss)},
	{"path_receive_loss_ratio", "Of what the peer sent lately, the part that was lost",
	 FIELD_RATIO, FIELD(path_status, rx_loss)},
	{"path_transmit_bytes", "Bytes sent", FIELD_COUNT, FIELD(path_status, tx_bytes)},
	{"path_receive_bytes", "Bytes received", FIELD_COUNT, FIELD(path_status, rx_bytes)},
	{"path_transmit_packets", "Packets sent", FIELD_COUNT, FIELD(path_status, tx_packets)},
	{"path_receive_packets", "Packets received", FIELD_COUNT, FIELD(path_status, rx_packets)},
	{"path_transmit_bytes_per_second", "Sent over the last second", FIELD_BITS,
	 FIELD(path_status, tx_bps)},
	{"path_receive_bytes_per_second", "Received over the last second", FIELD_BITS,
	 FIELD(path_status, rx_bps)},
	{"path_learnt_bytes_per_second", "What it carries, as learnt from the peer's reports",
	 FIELD_CAP, FIELD(path_status, learnt_bps)},
	{"path_queue_seconds", "How long packets wait in queues on the way there", FIELD_SECONDS,
	 FIELD(path_status, queue)},
	{"path_duplicates", "Packets that another path had delivered before", FIELD_COUNT,
	 FIELD(path_status, duplicates)},
	{NULL},
};

/* What is being written; after a failure nothing more is. */
struct writer {
	struct buffer *out;
	const struct network_status *networks;
	size_t n;
	int error;
};

__attribute__((format(printf, 2, 3))) static void put(struct writer *w, const char *format, ...)
{
	char text[1024];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!w->error)
		w->error = buffer_append(
			w->out, text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
}

/* Labels of an object, such as `network="home",link="wifi"`. */
struct labels {
	char text[640];
	size_t len;
};

/* A value may hold any bytes that a peer has sent. */
static void add_label(struct labels *l, const char *key, const char *value)
{
	char valid[128];
	int n = snprintf(l->text + l->len, sizeof(l->text) - l->len, "%s%s=\"", l->len ? "," : "",
			 key);

	l->len += (size_t)n;
	utf8_make_valid(valid, sizeof(valid), value);
	for (const char *c = valid; *c && l->len + 4 < sizeof(l->text); c++) {
		if (*c == '"' || *c == '\\' || *c == '\n')
			l->text[l->len++] = '\\';
		l->text[l->len++] = *c == '\n' ? 'n' : *c;
	}
	l->text[l->len++] = '"';
	l->text[l->len] = '\0';
}

static struct labels network_labels(const struct network_status *s)
{
	struct labels l = {.len = 0};

	add_label(&l, "network", s->name);
	return l;
}

static struct labels queue_labels(const struct network_status *n, size_t queue)
{
	struct labels l = network_labels(n);
	char number[24];

	snprintf(number, sizeof(number), "%zu", queue);
	add_label(&l, "queue", number);
	return l;
}

static struct labels link_labels(const struct network_status *n, const struct link_status *s)
{
	struct labels l = network_labels(n);

	add_label(&l, "link", s->name);
	return l;
}

static struct labels peer_labels(const struct network_status *n, const struct peer_status *s)
{
	struct labels l = network_labels(n);

	add_label(&l, "peer", s->name);
	return l;
}

static struct labels path_labels(const struct network_status *n, const struct peer_status *p,
				 const struct path_status *s)
{
	struct labels l = peer_labels(n, p);
	char id[16];

	snprintf(id, sizeof(id), "%u", s->id);
	add_label(&l, "link", s->link);
	add_label(&l, "path", id);
	return l;
}

/* False where it is not known. */
static bool read_field(const void *object, const struct family *f, double *ret)
{
	const char *at = (const char *)object + f->offset;

	switch (f->type) {
	case FIELD_COUNT:
		*ret = (double)*(const uint64_t *)at;
		return true;
	case FIELD_NUMBER:
	case FIELD_LEARNT:
		*ret = *(const uint32_t *)at;
		return *ret > 0 || f->type == FIELD_NUMBER;
	case FIELD_SIZE:
		*ret = (double)*(const size_t *)at;
		return true;
	case FIELD_SECONDS:
	case FIELD_MEASURED:
		*ret = (double)*(const nsec_t *)at / NSEC_PER_SEC;
		return *ret > 0 || (*ret == 0 && f->type == FIELD_SECONDS);
	case FIELD_RATIO:
		*ret = *(const double *)at;
		return *ret >= 0 && *ret <= 1;
	case FIELD_FLAG:
		*ret = *(const bool *)at;
		return true;
	case FIELD_BITS:
	case FIELD_CAP:
		*ret = (double)*(const uint64_t *)at / 8;
		return *ret > 0 || f->type == FIELD_BITS;
	}
	return false;
}

static void put_head(struct writer *w, const char *name, bool is_counter, const char *help)
{
	const char *suffix = is_counter ? "_total" : "";

	put(w, "# HELP vtrunkd_%s%s %s.\n# TYPE vtrunkd_%s%s %s\n", name, suffix, help, name,
	    suffix, is_counter ? "counter" : "gauge");
}

static void put_sample(struct writer *w, const struct family *f, const struct labels *l,
		       const void *object)
{
	const char *suffix = f->type == FIELD_COUNT ? "_total" : "";
	double value;

	if (!read_field(object, f, &value))
		return;
	put(w, "vtrunkd_%s%s{%s%s%s} ", f->name, suffix, l->text, f->label ? "," : "",
	    f->label ? f->label : "");
	if (f->type == FIELD_COUNT) /* a double would round the large ones */
		put(w, "%" PRIu64 "\n", *(const uint64_t *)((const char *)object + f->offset));
	else
		put(w, "%.9g\n", value);
}

static void put_network_samples(struct writer *w, const struct family *f)
{
	for (size_t i = 0; i < w->n; i++) {
		struct labels l = network_labels(&w->networks[i]);

		put_sample(w, f, &l, &w->networks[i]);
	}
}

static void put_queue_samples(struct writer *w, const struct family *f)
{
	for (size_t i = 0; i < w->n; i++)
		for (size_t j = 0; j < w->networks[i].n_queues; j++) {
			struct labels l = queue_labels(&w->networks[i], j);

			put_sample(w, f, &l, &w->networks[i].queues[j]);
		}
}

static void put_rule_samples(struct writer *w, const struct family *f)
{
	for (size_t i = 0; i < w->n; i++)
		for (size_t j = 0; j < w->networks[i].n_rules; j++) {
			struct labels l = network_labels(&w->networks[i]);

			add_label(&l, "rule", w->networks[i].rules[j].name);
			put_sample(w, f, &l, &w->networks[i].rules[j]);
		}
}

static void put_link_samples(struct writer *w, const struct family *f)
{
	for (size_t i = 0; i < w->n; i++)
		for (size_t j = 0; j < w->networks[i].n_links; j++) {
			const struct link_status *link = &w->networks[i].links[j];
			struct labels l = link_labels(&w->networks[i], link);

			put_sample(w, f, &l, link);
		}
}

static void put_peer_samples(struct writer *w, const struct family *f)
{
	for (size_t i = 0; i < w->n; i++)
		for (size_t j = 0; j < w->networks[i].n_peers; j++) {
			const struct peer_status *peer = &w->networks[i].peers[j];
			struct labels l = peer_labels(&w->networks[i], peer);

			put_sample(w, f, &l, peer);
		}
}

/* Calls put() for each path. */
static void each_path(struct writer *w, const void *arg,
		      void (*call)(struct writer *w, const void *arg, const struct labels *l,
				   const struct path_status *path))
{
	for (size_t i = 0; i < w->n; i++)
		for (size_t j = 0; j < w->networks[i].n_peers; j++) {
			const struct peer_status *peer = &w->networks[i].peers[j];

			for (size_t k = 0; k < peer->n_paths; k++) {
				struct labels l =
					path_labels(&w->networks[i], peer, &peer->paths[k]);

				call(w, arg, &l, &peer->paths[k]);
			}
		}
}

static void put_path_sample(struct writer *w, const void *family, const struct labels *l,
			    const struct path_status *path)
{
	put_sample(w, family, l, path);
}

static void put_path_samples(struct writer *w, const struct family *f)
{
	each_path(w, f, put_path_sample);
}

static void put_families(struct writer *w, const struct family *families,
			 void (*put_samples)(struct writer *w, const struct family *f))
{
	for (const struct family *f = families; f->name; f++) {
		if (f->help)
			put_head(w, f->name, f->type == FIELD_COUNT, f->help);
		put_samples(w, f);
	}
}

static void put_path_state(struct writer *w, const void *arg, const struct labels *l,
			   const struct path_status *path)
{
	static const enum health_state states[] = {HEALTH_PROBING, HEALTH_UP, HEALTH_DOWN};

	(void)arg;
	for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
		put(w, "vtrunkd_path_state{%s,state=\"%s\"} %d\n", l->text,
		    health_state_name(states[i]), path->state == states[i]);
}

static void put_drops(struct writer *w, const char *name, const struct labels *l,
		      const struct drops *drops)
{
	for (enum drop_reason i = 0; i < DROP_REASON_COUNT; i++)
		put(w, "vtrunkd_%s_total{%s,reason=\"%s\"} %" PRIu64 "\n", name, l->text,
		    drop_reason_name(i), drops_get(drops, i));
}

static void put_all_drops(struct writer *w)
{
	put_head(w, "network_dropped_packets", COUNTER, "Packets dropped that belong to no link");
	for (size_t i = 0; i < w->n; i++) {
		struct labels l = network_labels(&w->networks[i]);

		put_drops(w, "network_dropped_packets", &l, &w->networks[i].drops);
	}
	put_head(w, "link_dropped_packets", COUNTER, "Packets dropped on the link");
	for (size_t i = 0; i < w->n; i++)
		for (size_t j = 0; j < w->networks[i].n_links; j++) {
			const struct link_status *link = &w->networks[i].links[j];
			struct labels l = link_labels(&w->networks[i], link);

			put_drops(w, "link_dropped_packets", &l, &link->drops);
		}
}

/* Names, and what they stand for: to be joined with the numbers. */
static void put_infos(struct writer *w)
{
	put(w, "# HELP vtrunkd_network_info What the network is.\n"
	       "# TYPE vtrunkd_network_info gauge\n");
	for (size_t i = 0; i < w->n; i++) {
		struct labels l = network_labels(&w->networks[i]);

		add_label(&l, "interface", w->networks[i].interface);
		add_label(&l, "state", w->networks[i].state);
		put(w, "vtrunkd_network_info{%s} 1\n", l.text);
	}
	put(w, "# HELP vtrunkd_network_up Whether the network is active.\n"
	       "# TYPE vtrunkd_network_up gauge\n");
	for (size_t i = 0; i < w->n; i++) {
		struct labels l = network_labels(&w->networks[i]);

		put(w, "vtrunkd_network_up{%s} %d\n", l.text,
		    !strcmp(w->networks[i].state, "active"));
	}
}

int metrics_write(struct buffer *out, const struct network_status *networks, size_t n,
		  enum verdict verdict)
{
	struct writer w = {.out = out, .networks = networks, .n = n};

	put(&w,
	    "# HELP vtrunkd_build_info The version that runs.\n# TYPE vtrunkd_build_info gauge\n"
	    "vtrunkd_build_info{version=\"" VERSION "\"} 1\n");
	put_head(&w, "health", GAUGE, "0 healthy, 1 degraded, 2 unhealthy");
	put(&w, "vtrunkd_health %d\n", verdict);
	put_infos(&w);
	put_families(&w, network_families, put_network_samples);
	put_families(&w, queue_families, put_queue_samples);
	put_families(&w, rule_families, put_rule_samples);
	put_families(&w, link_families, put_link_samples);
	put_families(&w, peer_families, put_peer_samples);
	put_families(&w, path_families, put_path_samples);
	put_head(&w, "path_state", GAUGE, "The state that the path is in is 1, the others 0");
	each_path(&w, NULL, put_path_state);
	put_all_drops(&w);
	return w.error ? w.error : buffer_append(out, "", 1);
}
