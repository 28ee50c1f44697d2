/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/config_starter.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/config_file.h"
#include "core/config_secret.h"
#include "core/config_value.h"
#include "crypto/keys.h"

/* What the two files say: each end's own private key, the other's public key. */
struct pair {
	const struct pair_options *options;
	char host[HOST_NAME_MAX_LEN + 3]; /* in brackets, if it is an IPv6 address */
	bool is_ipv6;
	char client_private[KEY_BASE64_LEN + 1];
	char client_public[KEY_BASE64_LEN + 1];
	char server_private[KEY_BASE64_LEN + 1];
	char server_public[KEY_BASE64_LEN + 1];
	char preshared[KEY_BASE64_LEN + 1];
};

static const char starter[] =
	"# vtrunkd: one WireGuard tunnel over several links. See vtrunkd.conf(5).\n"
	"# Replace REPLACE_ME and example.com, then: vtrunkd check -c FILE\n"
	"\n"
	"[network]\n"
	"interface = tun0\n"
	"# The tunnel's own addresses, separated by commas; IPv6 too.\n"
	"address = 10.10.0.2/24\n"
	"mtu = auto\n"
	"# Bytes read from the interface at once; at least the mtu.\n"
	"buffer_size = 65536\n"
	"\n"
	"[wireguard]\n"
	"# From `vtrunkd genkey`; or private_key_file = /etc/vtrunkd/private.key\n"
	"private_key = " KEY_PLACEHOLDER "\n"
	"# The peer's public key: `vtrunkd pubkey` prints that of a private key.\n"
	"peer_public_key = " KEY_PLACEHOLDER "\n"
	"# The same at both ends, from `vtrunkd genpsk`; optional.\n"
	"# preshared_key = " KEY_PLACEHOLDER "\n"
	"persistent_keepalive = 25\n"
	"# aggregate: all links at once; auto: the same, with urgent packets on two of them;\n"
	"# redundant: every packet on all; failover: the working link of the highest weight.\n"
	"bonding_mode = aggregate\n"
	"error_backoff_secs = 5\n"
	"health_check_interval_ms = 1000\n"
	"# Must exceed the interval.\n"
	"health_check_timeout_ms = 5000\n"
	"\n"
	"# One section per uplink; add [link link-1] and so on.\n"
	"[link link-0]\n"
	"# An address of this machine (port 0: any port); or name the uplink's device.\n"
	"bind = 0.0.0.0:0\n"
	"# device = eth0\n"
	"endpoint = example.com:51820\n"
	"weight = 1\n";

static void write_starter(FILE *f, const void *arg)
{
	(void)arg;
	fputs(starter, f);
}

static void write_client(FILE *f, const void *arg)
{
	const struct pair *p = arg;

	fprintf(f,
		"# vtrunkd, client side; server.conf is the other. See vtrunkd.conf(5).\n"
		"# This file holds secrets: keep its mode at 0600.\n"
		"\n"
		"[network]\n"
		"interface = tun0\n"
		"address = 10.10.0.2/24\n"
		"mtu = auto\n"
		"\n"
		"[wireguard]\n"
		"private_key = %s\n"
		"peer_public_key = %s\n"
		"preshared_key = %s\n"
		"persistent_keepalive = 25\n"
		"bonding_mode = aggregate\n"
		"# Without allowed_ips, everything is routed to the only peer, and it may send "
		"anything.\n"
		"\n"
		"# All links go to the same port: the server tells them apart by where they come\n"
		"# from. Name each link's device or bind address, or all take the default route.\n",
		p->client_private, p->server_public, p->preshared);
	for (unsigned i = 0; i < p->options->n_links; i++)
		fprintf(f,
			"\n"
			"[link link-%u]\n"
			"# device = eth%u\n"
			"endpoint = %s:%u\n",
			i, i, p->host, p->options->port);
}

static void write_server(FILE *f, const void *arg)
{
	const struct pair *p = arg;

	fprintf(f,
		"# vtrunkd, server side; client.conf is the other. See vtrunkd.conf(5).\n"
		"# This file holds secrets: keep its mode at 0600.\n"
		"\n"
		"[network]\n"
		"interface = tun0\n"
		"address = 10.10.0.1/24\n"
		"mtu = auto\n"
		"\n"
		"[wireguard]\n"
		"private_key = %s\n"
		"bonding_mode = aggregate\n"
		"\n"
		"# One port serves all links of all peers: it answers to the address they send "
		"from.\n"
		"[link public]\n"
		"bind = %s:%u\n"
		"\n"
		"[peer client]\n"
		"public_key = %s\n"
		"preshared_key = %s\n"
		"# The client's tunnel address; add the networks behind it.\n"
		"allowed_ips = 10.10.0.2/32\n",
		p->server_private, p->is_ipv6 ? "[::]" : "0.0.0.0", p->options->port,
		p->client_public, p->preshared);
}

int starter_write(const char *path, bool is_forced)
{
	return config_file_write(path, write_starter, NULL, is_forced);
}

static void make_key_pair(char *ret_private, char *ret_public)
{
	uint8_t private_key[KEY_LEN];
	uint8_t public_key[KEY_LEN];

	keys_generate(private_key);
	keys_public(public_key, private_key);
	keys_to_base64(ret_private, private_key);
	keys_to_base64(ret_public, public_key);
	keys_wipe(private_key, sizeof(private_key));
}

static void make_preshared(char *ret)
{
	uint8_t key[KEY_LEN];

	keys_random(key, sizeof(key));
	keys_to_base64(ret, key);
	keys_wipe(key, sizeof(key));
}

/* The endpoint's host as the file shows it. It must be one that the file's reader takes. */
static int choose_host(struct pair *p)
{
	const char *host = p->options->endpoint;
	struct endpoint_name e;
	struct value v = {.key = "endpoint"};
	char text[sizeof(p->host) + 8];
	bool is_bare_ipv6 = strchr(host, ':') && host[0] != '[';

	if (strlen(host) + 3 > sizeof(p->host))
		return -EINVAL;
	snprintf(p->host, sizeof(p->host), is_bare_ipv6 ? "[%s]" : "%s", host);
	snprintf(text, sizeof(text), "%s:%u", p->host, p->options->port);
	v.text = text;
	if (value_endpoint(&v, &e) < 0)
		return -EINVAL;
	p->is_ipv6 = endpoint_family(&e) == AF_INET6;
	return 0;
}

static int write_pair(const struct pair *p, const char *directory, bool is_forced)
{
	char client[PATH_MAX];
	char server[PATH_MAX];
	int r;

	if (snprintf(client, sizeof(client), "%s/client.conf", directory) >= PATH_MAX ||
	    snprintf(server, sizeof(server), "%s/server.conf", directory) >= PATH_MAX)
		return -ENAMETOOLONG;
	if (mkdir(directory, 0700) < 0 && errno != EEXIST)
		return -errno;
	/* A pair is only of use whole, so neither is written where either is in the way. */
	if (!is_forced && (access(client, F_OK) == 0 || access(server, F_OK) == 0))
		return -EEXIST;
	r = config_file_write(client, write_client, p, is_forced);
	if (r < 0)
		return r;
	r = config_file_write(server, write_server, p, is_forced);
	if (r < 0)
		unlink(client);
	return r;
}

int pair_write(const char *directory, const struct pair_options *options, bool is_forced)
{
	struct pair p = {.options = options};
	int r;

	r = choose_host(&p);
	if (r < 0)
		return r;
	make_key_pair(p.client_private, p.client_public);
	make_key_pair(p.server_private, p.server_public);
	make_preshared(p.preshared);
	r = write_pair(&p, directory, is_forced);
	keys_wipe(&p, sizeof(p));
	return r;
}
