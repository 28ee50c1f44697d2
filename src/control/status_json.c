/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "control/status_json.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crypto/keys.h"
#include "util/utf8.h"

static const char *const mode_names[] = {
	[BOND_AGGREGATE] = "aggregate",
	[BOND_REDUNDANT] = "redundant",
	[BOND_FAILOVER] = "failover",
	[BOND_AUTO] = "auto",
};

static void add_count(struct json_object *o, const char *key, uint64_t value)
{
	json_object_object_add(o, key, json_object_new_uint64(value));
}

/* Null for 0, which is none, or unknown. */
static void add_count_or_null(struct json_object *o, const char *key, uint64_t value)
{
	if (value)
		add_count(o, key, value);
	else
		json_object_object_add(o, key, NULL);
}

static void add_bool(struct json_object *o, const char *key, bool value)
{
	json_object_object_add(o, key, json_object_new_boolean(value));
}

/* Null for an empty text. A peer may send any bytes as a name; JSON is UTF-8. */
static void add_text(struct json_object *o, const char *key, const char *text)
{
	char valid[256];
	size_t len = utf8_make_valid(valid, sizeof(valid), text);

	json_object_object_add(o, key, len ? json_object_new_string_len(valid, (int)len) : NULL);
}

static void add_key(struct json_object *o, const char *key, const uint8_t public_key[KEY_LEN])
{
	char text[KEY_BASE64_LEN + 1];

	keys_to_base64(text, public_key);
	json_object_object_add(o, key, json_object_new_string(text));
}

static void add_addr(struct json_object *o, const char *key, const struct addr *a)
{
	char text[ADDR_TEXT_MAX];

	json_object_object_add(
		o, key, addr_is_set(a) ? json_object_new_string(addr_format(a, text)) : NULL);
}

/* With few decimals; json-c alone would write 0.10000000000000001. */
static void add_decimal(struct json_object *o, const char *key, double value, int decimals)
{
	char text[64];

	snprintf(text, sizeof(text), "%.*f", decimals, value);
	json_object_object_add(o, key, json_object_new_double_s(value, text));
}

/* Null where it is negative: unknown. */
static void add_age(struct json_object *o, const char *key, nsec_t age)
{
	if (age < 0)
		json_object_object_add(o, key, NULL);
	else
		add_decimal(o, key, (double)age / NSEC_PER_SEC, 3);
}

/* Null where it is negative, unknown, or not a number. */
static void add_ratio(struct json_object *o, const char *key, double ratio)
{
	if (ratio >= 0 && ratio <= 1)
		add_decimal(o, key, ratio, 6);
	else
		json_object_object_add(o, key, NULL);
}

/* Null where it is 0: not measured yet. */
static void add_rtt(struct json_object *o, const char *key, nsec_t rtt)
{
	json_object_object_add(o, key, rtt > 0 ? json_object_new_int64(rtt / NSEC_PER_USEC) : NULL);
}

static void add_drops(struct json_object *o, const struct drops *drops)
{
	struct json_object *counts = json_object_new_object();

	if (counts)
		for (enum drop_reason i = 0; i < DROP_REASON_COUNT; i++)
			add_count(counts, drop_reason_name(i), drops_get(drops, i));
	json_object_object_add(o, "drops", counts);
}

static void add_error(struct json_object *o, int error)
{
	struct json_object *details = error ? json_object_new_object() : NULL;

	if (details) {
		json_object_object_add(details, "errno", json_object_new_int(error));
		json_object_object_add(details, "text", json_object_new_string(strerror(error)));
	}
	json_object_object_add(o, "last_error", details);
}

static const char *role_name(bool is_backup)
{
	return is_backup ? "backup" : "primary";
}

static struct json_object *link_json(const struct link_status *s)
{
	struct json_object *o = json_object_new_object();

	if (!o)
		return NULL;
	add_text(o, "name", s->name);
	add_text(o, "device", s->device);
	add_count(o, "fwmark", s->fwmark);
	add_addr(o, "local", &s->local);
	add_bool(o, "open", s->is_open);
	add_bool(o, "carrier", s->has_carrier);
	add_bool(o, "gso", s->has_gso);
	add_bool(o, "gro", s->has_gro);
	add_text(o, "gso_setting", offload_name(s->gso));
	add_text(o, "gro_setting", offload_name(s->gro));
	add_count(o, "gso_refused", s->gso_refused);
	add_error(o, s->last_error);
	add_count(o, "weight", s->weight);
	add_text(o, "role", role_name(s->is_backup));
	add_count_or_null(o, "rate_bps", s->rate);
	add_count(o, "receive_buffer", s->receive_buffer);
	add_count(o, "send_buffer", s->send_buffer);
	add_count(o, "tx_datagrams", s->tx_datagrams);
	add_count(o, "tx_bytes", s->tx_bytes);
	add_count(o, "rx_datagrams", s->rx_datagrams);
	add_count(o, "rx_bytes", s->rx_bytes);
	add_drops(o, &s->drops);
	return o;
}

static struct json_object *path_json(const struct path_status *s)
{
	struct json_object *o = json_object_new_object();

	if (!o)
		return NULL;
	add_count(o, "id", s->id);
	add_text(o, "link", s->link);
	add_text(o, "remote_link", s->remote_link);
	add_addr(o, "remote", &s->remote);
	add_text(o, "state", health_state_name(s->state));
	add_age(o, "state_age_s", s->state_age);
	add_bool(o, "active", s->is_active);
	add_count(o, "weight", s->weight);
	add_rtt(o, "rtt_us", s->rtt);
	add_rtt(o, "rtt_min_us", s->rtt_min);
	add_ratio(o, "tx_loss", s->tx_loss);
	add_ratio(o, "rx_loss", s->rx_loss);
	add_count(o, "tx_packets", s->tx_packets);
	add_count(o, "tx_bytes", s->tx_bytes);
	add_count(o, "rx_packets", s->rx_packets);
	add_count(o, "rx_bytes", s->rx_bytes);
	add_count(o, "tx_bps", s->tx_bps);
	add_count(o, "rx_bps", s->rx_bps);
	add_count_or_null(o, "learnt_bps", s->learnt_bps);
	add_count(o, "queue_us", (uint64_t)(s->queue / NSEC_PER_USEC));
	add_count(o, "duplicates", s->duplicates);
	add_count(o, "downs", s->n_downs);
	add_count(o, "flaps", s->n_flaps);
	add_age(o, "held_s", s->hold ? s->hold : -1);
	add_text(o, "role", role_name(s->is_backup));
	add_bool(o, "poor", s->is_poor);
	add_count_or_null(o, "mtu", s->mtu);
	return o;
}

static void add_reseq(struct json_object *o, const struct peer_status *s)
{
	struct json_object *reseq = json_object_new_object();

	if (reseq) {
		add_count(reseq, "in_order", s->reseq.in_order);
		add_count(reseq, "held", s->reseq.held);
		add_count(reseq, "released_late", s->reseq.released_late);
		add_count(reseq, "proven_lost", s->reseq.proven_lost);
		add_count(reseq, "deadlines", s->reseq.deadlines);
		add_count(reseq, "asked", s->reseq.asked);
		add_count(reseq, "repaired", s->reseq.repaired);
		add_count(reseq, "hold_us", (uint64_t)(s->reseq.hold / NSEC_PER_USEC));
	}
	json_object_object_add(o, "reseq", reseq);
}

static void add_resend(struct json_object *o, const struct peer_status *s)
{
	struct json_object *resend = json_object_new_object();

	if (resend) {
		add_count(resend, "packets", s->resend.packets);
		add_count(resend, "bytes", s->resend.bytes);
		add_count(resend, "refused", s->resend.refused);
	}
	json_object_object_add(o, "resend", resend);
}

static void add_copied(struct json_object *o, const struct peer_status *s)
{
	struct json_object *copied = json_object_new_object();

	if (copied) {
		add_count(copied, "packets", s->copied.packets);
		add_count(copied, "bytes", s->copied.bytes);
		add_count(copied, "refused", s->copied.refused);
	}
	json_object_object_add(o, "copied", copied);
}

/* A new array under `key`; NULL without memory. */
static struct json_object *add_array(struct json_object *o, const char *key)
{
	struct json_object *array = json_object_new_array();

	json_object_object_add(o, key, array);
	return array;
}

static void add_prefixes(struct json_object *o, const char *key, const struct prefix *prefixes,
			 size_t n)
{
	struct json_object *array = add_array(o, key);
	char text[PREFIX_TEXT_MAX];

	for (size_t i = 0; array && i < n; i++)
		json_object_array_add(array,
				      json_object_new_string(prefix_format(&prefixes[i], text)));
}

static void add_paths(struct json_object *o, const struct peer_status *s)
{
	struct json_object *array = add_array(o, "paths");

	for (size_t i = 0; array && i < s->n_paths; i++)
		json_object_array_add(array, path_json(&s->paths[i]));
}

static struct json_object *peer_json(const struct peer_status *s)
{
	struct json_object *o = json_object_new_object();

	if (!o)
		return NULL;
	add_text(o, "name", s->name);
	add_key(o, "public_key", s->public_key);
	add_bool(o, "session", s->has_session);
	if (s->is_multilink_known)
		add_bool(o, "multilink", s->is_multilink);
	else
		json_object_object_add(o, "multilink", NULL);
	add_count(o, "handshakes", s->handshakes);
	add_count(o, "handshakes_begun", s->handshakes_begun);
	add_age(o, "handshake_age_s", s->handshake_age);
	add_count(o, "persistent_keepalive_s", s->persistent_keepalive);
	add_prefixes(o, "allowed_ips", s->allowed_ips, s->n_allowed_ips);
	add_count(o, "tx_packets", s->tx_packets);
	add_count(o, "tx_bytes", s->tx_bytes);
	add_count(o, "rx_packets", s->rx_packets);
	add_count(o, "rx_bytes", s->rx_bytes);
	add_reseq(o, s);
	add_resend(o, s);
	add_copied(o, s);
	add_paths(o, s);
	return o;
}

static void add_totals(struct json_object *o, const struct network_status *s)
{
	struct json_object *totals = json_object_new_object();
	uint64_t active = 0, healthy = 0, tx_bytes = 0, rx_bytes = 0, tx_packets = 0,
		 rx_packets = 0;

	for (size_t i = 0; i < s->n_peers; i++) {
		const struct peer_status *p = &s->peers[i];

		active += p->has_session;
		healthy += p->handshake_age >= 0 && p->handshake_age < STATUS_HEALTHY_AGE;
		tx_packets += p->tx_packets;
		tx_bytes += p->tx_bytes;
		rx_packets += p->rx_packets;
		rx_bytes += p->rx_bytes;
	}
	json_object_object_add(o, "totals", totals);
	if (!totals)
		return;
	add_count(totals, "peers", s->n_peers);
	add_count(totals, "peers_active", active);
	add_count(totals, "peers_healthy", healthy);
	add_count(totals, "tx_packets", tx_packets);
	add_count(totals, "tx_bytes", tx_bytes);
	add_count(totals, "rx_packets", rx_packets);
	add_count(totals, "rx_bytes", rx_bytes);
}

/* By the names of the keys that set them. */
static void add_sizes(struct json_object *o, const struct network_sizes *s)
{
	struct json_object *sizes = json_object_new_object();

	if (!sizes)
		return;
	add_count(sizes, "buffers", s->buffers);
	add_count(sizes, "queue_buffers", s->queue_buffers);
	add_count(sizes, "receive_batch", s->link.receive_batch);
	add_count(sizes, "link_queue", s->link.queue);
	add_count(sizes, "reorder_packets", s->reorder_packets);
	add_count(sizes, "handshake_queue", s->handshake_queue);
	add_count(sizes, "event_queue", s->event_queue);
	json_object_object_add(o, "sizes", sizes);
}

static void add_machine(struct json_object *o, const struct network_status *s)
{
	struct json_object *offloads = json_object_new_object();
	struct json_object *buffers = json_object_new_object();

	add_text(o, "aead", s->aead);
	if (offloads) {
		add_bool(offloads, "tso", s->can_tso);
		add_bool(offloads, "uso", s->can_uso);
		add_text(offloads, "tso_setting", offload_name(s->tso));
		add_text(offloads, "uso_setting", offload_name(s->uso));
	}
	if (buffers) {
		add_count(buffers, "total", s->buffers);
		add_count(buffers, "free", s->buffers_free);
		add_count(buffers, "repair_bytes", s->repair_buffer);
		add_count(buffers, "repair_used_bytes", s->repair_buffer_used);
	}
	add_sizes(o, &s->sizes);
	json_object_object_add(o, "offloads", offloads);
	json_object_object_add(o, "buffers", buffers);
}

static struct json_object *queue_json(const struct queue_status *s)
{
	struct json_object *o = json_object_new_object();

	if (!o)
		return NULL;
	add_count(o, "packets", s->packets);
	add_count(o, "bytes", s->bytes);
	add_count(o, "waits", s->waits);
	return o;
}

static struct json_object *rule_json(const struct rule_status *s)
{
	struct json_object *o = json_object_new_object();

	if (!o)
		return NULL;
	add_text(o, "name", s->name);
	add_count(o, "packets", s->packets);
	add_count(o, "bytes", s->bytes);
	add_count(o, "elsewhere_bytes", s->elsewhere_bytes);
	return o;
}

struct json_object *status_json(const struct network_status *s)
{
	struct json_object *o = json_object_new_object();
	struct json_object *array;

	if (!o)
		return NULL;
	add_text(o, "name", s->name);
	add_text(o, "state", s->state);
	add_text(o, "reason", s->why ? s->why : "");
	add_text(o, "interface", s->interface);
	add_prefixes(o, "addresses", s->addresses, s->n_addresses);
	add_text(o, "mode", mode_names[s->mode]);
	add_count(o, "mtu", s->mtu);
	add_key(o, "public_key", s->public_key);
	add_totals(o, s);
	add_machine(o, s);
	add_drops(o, &s->drops);
	array = add_array(o, "queues");
	for (size_t i = 0; array && i < s->n_queues; i++)
		json_object_array_add(array, queue_json(&s->queues[i]));
	array = add_array(o, "rules");
	for (size_t i = 0; array && i < s->n_rules; i++)
		json_object_array_add(array, rule_json(&s->rules[i]));
	array = add_array(o, "links");
	for (size_t i = 0; array && i < s->n_links; i++)
		json_object_array_add(array, link_json(&s->links[i]));
	array = add_array(o, "peers");
	for (size_t i = 0; array && i < s->n_peers; i++)
		json_object_array_add(array, peer_json(&s->peers[i]));
	return o;
}

struct json_object *status_json_new_answer(pid_t pid)
{
	struct json_object *o = json_object_new_object();

	if (!o)
		return NULL;
	json_object_object_add(o, "schema", json_object_new_int(STATUS_SCHEMA));
	json_object_object_add(o, "version", json_object_new_string(VERSION));
	json_object_object_add(o, "pid", json_object_new_int(pid));
	if (add_array(o, "networks"))
		return o;
	json_object_put(o);
	return NULL;
}

int status_json_add_network(struct json_object *answer, const struct network_status *s)
{
	struct json_object *network = status_json(s);

	if (!network)
		return -ENOMEM;
	if (!json_object_array_add(json_object_object_get(answer, "networks"), network))
		return 0;
	json_object_put(network);
	return -ENOMEM;
}
