/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "control/uapi.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keys.h"

static struct peer_change *last_peer(struct uapi_set *s)
{
	return s->change.n_peers ? &s->change.peers[s->change.n_peers - 1] : NULL;
}

static int parse_number(const char *text, uint64_t max, uint64_t *ret)
{
	char *end;
	uint64_t n;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 0); /* wg(8) writes marks in decimal, others as 0x... */
	if (errno || *end || n > max)
		return -EINVAL;
	*ret = n;
	return 0;
}

static int parse_true(const char *text, bool *ret)
{
	if (strcmp(text, "true") != 0)
		return -EINVAL;
	*ret = true;
	return 0;
}

static int parse_private_key(struct uapi_set *s, const char *text)
{
	int r = keys_from_hex(s->private_key, text);

	if (r == 0)
		s->change.private_key = s->private_key;
	return r;
}

static int parse_listen_port(struct uapi_set *s, const char *text)
{
	uint64_t n;
	int r = parse_number(text, UINT16_MAX, &n);

	if (r == 0) {
		s->listen_port = (uint16_t)n;
		s->has_listen_port = true;
	}
	return r;
}

static int parse_fwmark(struct uapi_set *s, const char *text)
{
	uint64_t n;
	int r = parse_number(text, UINT32_MAX, &n);

	if (r == 0) {
		s->fwmark = (uint32_t)n;
		s->has_fwmark = true;
	}
	return r;
}

static int parse_replace_peers(struct uapi_set *s, const char *text)
{
	return parse_true(text, &s->change.replaces_peers);
}

/* A section of a peer begins. */
static int parse_public_key(struct uapi_set *s, const char *text)
{
	struct peer_change *p;

	if (s->change.n_peers == s->peers_room) {
		size_t room = s->peers_room ? 2 * s->peers_room : 4;

		/* Not realloc: what it leaves behind would not be wiped. */
		p = calloc(room, sizeof(*p));
		if (!p)
			return -ENOMEM;
		if (s->change.peers) {
			memcpy(p, s->change.peers, s->change.n_peers * sizeof(*p));
			keys_wipe(s->change.peers, s->change.n_peers * sizeof(*p));
			free(s->change.peers);
		}
		s->change.peers = p;
		s->peers_room = room;
	}
	p = &s->change.peers[s->change.n_peers];
	*p = (struct peer_change){.is_on_demand = true};
	if (keys_from_hex(p->public_key, text) < 0)
		return -EINVAL;
	s->change.n_peers++;
	return 0;
}

static int parse_preshared_key(struct peer_change *p, const char *text)
{
	p->has_preshared_key = true;
	return keys_from_hex(p->preshared_key, text);
}

static int parse_endpoint(struct peer_change *p, const char *text)
{
	const char *colon = strrchr(text, ':');
	uint64_t port;
	struct addr a;
	size_t len;

	if (!colon || parse_number(colon + 1, UINT16_MAX, &port) < 0 || !port)
		return -EINVAL;
	/* wg(8) looks names up by itself. */
	if (addr_parse(&a, text, 0) < 0)
		return -EINVAL;
	len = (size_t)(colon - text);
	if (*text == '[') {
		text++;
		len -= 2;
	}
	if (len >= sizeof(p->endpoint.host))
		return -EINVAL;
	memcpy(p->endpoint.host, text, len);
	p->endpoint.host[len] = '\0';
	p->endpoint.port = (uint16_t)port;
	p->has_endpoint = true;
	return 0;
}

static int parse_keepalive(struct peer_change *p, const char *text)
{
	uint64_t n;
	int r = parse_number(text, UINT16_MAX, &n);

	if (r == 0) {
		p->persistent_keepalive = (uint16_t)n;
		p->has_persistent_keepalive = true;
	}
	return r;
}

static int parse_prefix(struct prefix *ret, char *text)
{
	char *slash = strchr(text, '/');
	unsigned bits = strchr(text, ':') ? 128 : 32;
	uint64_t len;

	if (!slash || parse_number(slash + 1, bits, &len) < 0)
		return -EINVAL;
	*slash = '\0';
	*ret = (struct prefix){.family = bits == 32 ? AF_INET : AF_INET6, .len = (uint8_t)len};
	if (inet_pton(ret->family, text, ret->bytes) != 1)
		return -EINVAL;
	for (unsigned i = (unsigned)len; i < bits; i++)
		ret->bytes[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	return 0;
}

static int parse_allowed_ip(struct peer_change *p, char *text)
{
	size_t n = p->n_allowed_ips;
	struct prefix_change c = {.is_removed = *text == '-'};

	if (parse_prefix(&c.prefix, text + c.is_removed) < 0)
		return -EINVAL;
	if (!(n & (n - 1))) { /* full: its room is a power of two */
		struct prefix_change *room =
			realloc(p->allowed_ips, (n ? 2 * n : 1) * sizeof(*room));

		if (!room)
			return -ENOMEM;
		p->allowed_ips = room;
	}
	p->allowed_ips[p->n_allowed_ips++] = c;
	return 0;
}

static int parse_peer_line(struct peer_change *p, const char *key, char *value)
{
	if (!strcmp(key, "preshared_key"))
		return parse_preshared_key(p, value);
	if (!strcmp(key, "endpoint"))
		return parse_endpoint(p, value);
	if (!strcmp(key, "persistent_keepalive_interval"))
		return parse_keepalive(p, value);
	if (!strcmp(key, "replace_allowed_ips"))
		return parse_true(value, &p->replaces_allowed_ips);
	if (!strcmp(key, "allowed_ip"))
		return parse_allowed_ip(p, value);
	if (!strcmp(key, "remove"))
		return parse_true(value, &p->is_removed);
	if (!strcmp(key, "update_only"))
		return parse_true(value, &p->is_update_only);
	if (!strcmp(key, "protocol_version"))
		return strcmp(value, "1") ? -EINVAL : 0;
	return -EPROTO;
}

static int parse_device_line(struct uapi_set *s, const char *key, const char *value)
{
	if (!strcmp(key, "private_key"))
		return parse_private_key(s, value);
	if (!strcmp(key, "listen_port"))
		return parse_listen_port(s, value);
	if (!strcmp(key, "fwmark"))
		return parse_fwmark(s, value);
	if (!strcmp(key, "replace_peers"))
		return parse_replace_peers(s, value);
	return -EPROTO;
}

static int parse_line(struct uapi_set *s, char *line)
{
	char *equals = strchr(line, '=');

	if (!equals)
		return -EPROTO;
	*equals = '\0';
	if (!strcmp(line, "public_key"))
		return parse_public_key(s, equals + 1);
	return last_peer(s) ? parse_peer_line(last_peer(s), line, equals + 1)
			    : parse_device_line(s, line, equals + 1);
}

int uapi_set_parse(struct uapi_set *ret, char *text)
{
	char *line;
	int r = 0;

	memset(ret, 0, sizeof(*ret));
	while (r == 0 && (line = strsep(&text, "\n"))) {
		if (*line)
			r = parse_line(ret, line);
	}
	return r;
}

void uapi_set_deinit(struct uapi_set *s)
{
	for (size_t i = 0; i < s->change.n_peers; i++)
		free(s->change.peers[i].allowed_ips);
	if (s->change.peers)
		keys_wipe(s->change.peers, s->peers_room * sizeof(*s->change.peers));
	free(s->change.peers);
	keys_wipe(s, sizeof(*s));
}

__attribute__((format(printf, 2, 3))) static int write_line(struct buffer *to, const char *format,
							    ...)
{
	char line[256];
	va_list args;
	int len;
	int r;

	va_start(args, format);
	len = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	r = buffer_append(to, line, (size_t)len);
	keys_wipe(line, sizeof(line));
	return r;
}

static int write_key(struct buffer *to, const char *name, const uint8_t key[KEY_LEN])
{
	char hex[KEY_HEX_LEN + 1];
	int r;

	keys_to_hex(hex, key);
	r = write_line(to, "%s=%s\n", name, hex);
	keys_wipe(hex, sizeof(hex));
	return r;
}

int uapi_write_device(struct buffer *to, const struct uapi_device *d)
{
	int r = 0;

	if (!keys_is_zero(d->private_key))
		r = write_key(to, "private_key", d->private_key);
	if (r == 0)
		r = write_line(to, "listen_port=%u\n", d->listen_port);
	if (r == 0)
		r = write_line(to, "fwmark=%" PRIu32 "\n", d->fwmark);
	return r;
}

/* A stock peer has one endpoint: where data goes to now, or would. */
static const struct path_status *endpoint_of(const struct peer_status *s)
{
	for (size_t i = 0; i < s->n_paths; i++) {
		if (s->paths[i].is_active)
			return &s->paths[i];
	}
	return s->n_paths ? s->paths : NULL;
}

static int write_counters(struct buffer *to, const struct peer_status *s)
{
	uint64_t sent = 0;
	uint64_t received = 0;

	for (size_t i = 0; i < s->n_paths; i++) {
		sent += s->paths[i].tx_bytes;
		received += s->paths[i].rx_bytes;
	}
	return write_line(to,
			  "last_handshake_time_sec=%lld\nlast_handshake_time_nsec=%lld\n"
			  "rx_bytes=%" PRIu64 "\ntx_bytes=%" PRIu64 "\n",
			  (long long)(s->handshake_at / NSEC_PER_SEC),
			  (long long)(s->handshake_at % NSEC_PER_SEC), received, sent);
}

int uapi_write_peer(struct buffer *to, const struct peer_settings *settings,
		    const struct peer_status *status)
{
	const struct path_status *path = endpoint_of(status);
	char text[ADDR_TEXT_MAX > PREFIX_TEXT_MAX ? ADDR_TEXT_MAX : PREFIX_TEXT_MAX];
	int r = write_key(to, "public_key", settings->public_key);

	if (r == 0 && !keys_is_zero(settings->preshared_key))
		r = write_key(to, "preshared_key", settings->preshared_key);
	if (r == 0)
		r = write_line(to, "protocol_version=1\n");
	if (r == 0 && path && addr_is_set(&path->remote))
		r = write_line(to, "endpoint=%s\n", addr_format(&path->remote, text));
	if (r == 0)
		r = write_counters(to, status);
	if (r == 0)
		r = write_line(to, "persistent_keepalive_interval=%u\n",
			       settings->persistent_keepalive);
	for (size_t i = 0; r == 0 && i < settings->n_allowed_ips; i++)
		r = write_line(to, "allowed_ip=%s\n",
			       prefix_format(&settings->allowed_ips[i], text));
	return r;
}

int uapi_write_result(struct buffer *to, int r)
{
	return write_line(to, "errno=%d\n\n", r);
}
