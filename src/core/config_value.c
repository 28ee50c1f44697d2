/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/config_value.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <syslog.h>

#include "core/config_ini.h"
#include "crypto/aead.h"
#include "dataplane/settings.h"
#include "netlink/route.h"
#include "sandbox/cgroup.h"
#include "sandbox/sandbox.h"

/* A key in base64 has 43 letters and a '='; a mistyped one a few less or more. */
#define KEY_LIKE_MIN 38
/* Bits per second. */
#define RATE_MIN (100 * 1000ULL)
#define RATE_MAX (100 * 1000 * 1000 * 1000ULL)

bool value_is_key_like(const char *text)
{
	size_t run = 0;

	for (; *text; text++) {
		run = isalnum((unsigned char)*text) || strchr("+/", *text) ? run + 1 : 0;
		if (run >= KEY_LIKE_MIN)
			return true;
	}
	return false;
}

int value_refuse(struct value *v, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(v->why, sizeof(v->why), format, args);
	va_end(args);
	return -EINVAL;
}

int value_expected(struct value *v, const char *format, ...)
{
	char allowed[VALUE_WHY_MAX / 2];
	va_list args;

	va_start(args, format);
	vsnprintf(allowed, sizeof(allowed), format, args);
	va_end(args);
	if (value_is_key_like(v->text))
		return value_refuse(v, "found what looks like a key (not shown), allowed: %s",
				    allowed);
	return value_refuse(v, "found '%s', allowed: %s", v->text, allowed);
}

static bool parse_number(const char *text, int base, uint64_t *ret)
{
	unsigned long long n;
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	n = strtoull(text, &end, base);
	if (errno || *end)
		return false;
	*ret = n;
	return true;
}

/* False after saying why. */
static bool ranged_number(struct value *v, uint64_t *ret)
{
	uint64_t n;

	if (!parse_number(v->text, 10, &n) || n < v->min || n > v->max) {
		value_expected(v, "%ju..%ju", (uintmax_t)v->min, (uintmax_t)v->max);
		return false;
	}
	*ret = n;
	return true;
}

int value_u32(struct value *v, void *field)
{
	uint64_t n;

	if (!ranged_number(v, &n))
		return -EINVAL;
	*(uint32_t *)field = (uint32_t)n;
	return 0;
}

int value_power_of_two(struct value *v, void *field)
{
	uint64_t n;

	if (!ranged_number(v, &n))
		return -EINVAL;
	if (n & (n - 1))
		return value_expected(v, "a power of two, %ju..%ju", (uintmax_t)v->min,
				      (uintmax_t)v->max);
	*(uint32_t *)field = (uint32_t)n;
	return 0;
}

int value_mark(struct value *v, void *field)
{
	bool is_hex = !strncmp(v->text, "0x", 2);
	uint64_t n;

	if (!parse_number(v->text, is_hex ? 16 : 10, &n) || n > UINT32_MAX)
		return value_expected(v, "0..4294967295 (0..0xffffffff)");
	*(uint32_t *)field = (uint32_t)n;
	return 0;
}

/* The others of the names in rt_tables are nobody's business here: 0 and 255 are the kernel's. */
int value_table(struct value *v, void *field)
{
	uint64_t n = ROUTE_TABLE_MAIN;

	if (!strcmp(v->text, "off"))
		n = 0;
	else if (!strcmp(v->text, "auto"))
		n = ROUTE_TABLE_AUTO;
	else if (strcmp(v->text, "main") != 0 &&
		 (!parse_number(v->text, 10, &n) || n >= ROUTE_TABLE_AUTO || !n ||
		  n == ROUTE_TABLE_LOCAL))
		return value_expected(v, "off, auto, main, or the number of a table "
					 "(1..4294967294, but not 255)");
	*(uint32_t *)field = (uint32_t)n;
	return 0;
}

/* A name server is not asked again and again for the same answer. */
int value_resolve_interval(struct value *v, void *field)
{
	uint64_t n;

	if (!parse_number(v->text, 10, &n) || (n && (n < 10 || n > 86400)))
		return value_expected(v, "0 or 10..86400");
	*(nsec_t *)field = (nsec_t)n * NSEC_PER_SEC;
	return 0;
}

int value_seconds(struct value *v, void *field)
{
	uint64_t n;

	if (!ranged_number(v, &n))
		return -EINVAL;
	*(nsec_t *)field = (nsec_t)n * NSEC_PER_SEC;
	return 0;
}

int value_milliseconds(struct value *v, void *field)
{
	uint64_t n;

	if (!ranged_number(v, &n))
		return -EINVAL;
	*(nsec_t *)field = (nsec_t)n * NSEC_PER_MSEC;
	return 0;
}

int value_keepalive(struct value *v, void *field)
{
	uint64_t n = 0;

	if (strcmp(v->text, "off") != 0 && (!parse_number(v->text, 10, &n) || n > UINT16_MAX))
		return value_expected(v, "0..65535 (seconds) or off");
	*(uint16_t *)field = (uint16_t)n;
	return 0;
}

/* One of `choices`. */
static int choose(struct value *v, const struct choice *choices, int *ret)
{
	char allowed[128] = "";

	for (const struct choice *c = choices; c->name; c++) {
		size_t len = strlen(allowed);

		if (!strcmp(v->text, c->name)) {
			*ret = c->value;
			return 0;
		}
		snprintf(allowed + len, sizeof(allowed) - len, "%s%s", len ? ", " : "", c->name);
	}
	value_expected(v, "%s", allowed);
	return -EINVAL;
}

/* All our enums are as wide as an int. */
int value_choice(struct value *v, void *field)
{
	return choose(v, v->choices, field);
}

int value_bool(struct value *v, void *field)
{
	static const struct choice switches[] = {
		{"true", 1}, {"false", 0}, {"yes", 1}, {"no", 0}, {"on", 1},
		{"off", 0},  {"1", 1},	   {"0", 0},   {NULL, 0},
	};
	int choice;
	int r = choose(v, v->choices ? v->choices : switches, &choice);

	if (r == 0)
		*(bool *)field = choice;
	return r;
}

int value_rate(struct value *v, void *field)
{
	static const struct {
		const char *unit;
		uint64_t bits;
	} units[] = {{"kbit", 1000}, {"mbit", 1000000}, {"gbit", 1000000000}, {"", 0}};
	size_t digits = strspn(v->text, "0123456789");
	char number[16];
	uint64_t n;

	snprintf(number, sizeof(number), "%.*s", (int)digits, v->text);
	for (unsigned i = 0; digits && digits < sizeof(number) && i < 4; i++) {
		if (strcmp(v->text + digits, units[i].unit) != 0 || !parse_number(number, 10, &n) ||
		    (!units[i].bits && n))
			continue;
		if (n && (n * units[i].bits < RATE_MIN || n > RATE_MAX / units[i].bits))
			break;
		*(uint64_t *)field = n * units[i].bits;
		return 0;
	}
	return value_expected(v, "0, or 100kbit..100gbit, as in 500kbit, 50mbit, 1gbit");
}

const struct choice log_levels[] = {
	{"error", LOG_ERR}, {"warning", LOG_WARNING}, {"info", LOG_INFO}, {"debug", LOG_DEBUG},
	{NULL, 0},
};

int value_aead(struct value *v, void *field)
{
	struct choice choices[AEAD_BACKENDS_MAX + 2] = {{AEAD_AUTO, 0}};
	const char *const *names = aead_backends();
	int choice;

	for (int i = 0; names[i]; i++)
		choices[i + 1] = (struct choice){names[i], i + 1};
	if (choose(v, choices, &choice) < 0)
		return -EINVAL;
	*(const char **)field = choices[choice].name;
	return 0;
}

static bool is_plain_name(const char *name, size_t len_max)
{
	size_t len = strlen(name);

	/* "." and ".." are names of other things in /sys and in paths. */
	if (!len || len > len_max || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("_.-", *name))
			return false;
	return true;
}

bool network_name_is_valid(const char *name)
{
	return is_plain_name(name, NETWORK_NAME_MAX);
}

int value_interface(struct value *v, void *field)
{
	if (!is_plain_name(v->text, IFNAMSIZ - 1))
		return value_expected(v, "1..%d characters of A-Z, a-z, 0-9, '_', '.' and '-'",
				      IFNAMSIZ - 1);
	strcpy(field, v->text);
	return 0;
}

int value_user(struct value *v, void *field)
{
	if (!is_plain_name(v->text, SANDBOX_USER_MAX - 1))
		return value_expected(v, "the name of a user");
	strcpy(field, v->text);
	return 0;
}

int value_group(struct value *v, void *field)
{
	if (!is_plain_name(v->text, SANDBOX_USER_MAX - 1))
		return value_expected(v, "the name of a group");
	strcpy(field, v->text);
	return 0;
}

int value_cgroup(struct value *v, void *field)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-/";
	const char *text = v->text;

	if (strlen(text) >= CGROUP_NAME_MAX || text[strspn(text, allowed)] || *text == '/' ||
	    text[strlen(text) - 1] == '/' || strstr(text, "..") || strstr(text, "//"))
		return value_expected(v,
				      "a path below the root of all groups, as in vpn/bond, of at "
				      "most %d characters",
				      CGROUP_NAME_MAX - 1);
	strcpy(field, text);
	return 0;
}

/* A number, and behind it `unit` or nothing else; `v` says what is allowed. */
static bool parse_with_unit(const struct value *v, const char *unit, uint64_t factor, uint64_t *ret)
{
	size_t digits = strspn(v->text, "0123456789");
	char number[24];
	uint64_t n;

	if (!digits || digits >= sizeof(number) || strcmp(v->text + digits, unit) != 0)
		return false;
	snprintf(number, sizeof(number), "%.*s", (int)digits, v->text);
	if (!parse_number(number, 10, &n) || n > v->max / factor || n * factor < v->min)
		return false;
	*ret = n * factor;
	return true;
}

int value_bytes(struct value *v, void *field)
{
	if (parse_with_unit(v, "", 1, field) || parse_with_unit(v, "K", 1 << 10, field) ||
	    parse_with_unit(v, "M", 1 << 20, field) || parse_with_unit(v, "G", 1 << 30, field))
		return 0;
	return value_expected(v, "%" PRIu64 "..%" PRIu64 " bytes, as in 67108864, 65536K, 64M, 1G",
			      v->min, v->max);
}

int value_percent(struct value *v, void *field)
{
	uint64_t n;

	if (!parse_with_unit(v, "%", 1, &n))
		return value_expected(v, "%" PRIu64 "%%..%" PRIu64 "%%, 100%% being one processor",
				      v->min, v->max);
	*(uint32_t *)field = (uint32_t)n;
	return 0;
}

int value_network(struct value *v, void *field)
{
	if (!network_name_is_valid(v->text))
		return value_expected(v, "the name of a [network]");
	strcpy(field, v->text);
	return 0;
}

/* Absolute, since the daemon changes its directory. */
static int parse_path(struct value *v, char *field, size_t size)
{
	if (v->text[0] != '/' || strlen(v->text) >= size)
		return value_expected(v, "an absolute path of at most %zu characters", size - 1);
	strcpy(field, v->text);
	return 0;
}

int value_path(struct value *v, void *field)
{
	return parse_path(v, field, CONFIG_PATH_MAX);
}

int value_socket_path(struct value *v, void *field)
{
	return parse_path(v, field, sizeof(((struct sockaddr_un *)0)->sun_path));
}

int value_loopback(struct value *v, void *field)
{
	struct addr a;

	if (addr_parse(&a, v->text, 0) < 0 || !addr_port(&a) ||
	    !(a.sa.sa_family == AF_INET ? ntohl(a.v4.sin_addr.s_addr) >> 24 == 127
					: IN6_IS_ADDR_LOOPBACK(&a.v6.sin6_addr)))
		return value_expected(v, "127.0.0.1:PORT or [::1]:PORT: others could read along");
	*(struct addr *)field = a;
	return 0;
}

int value_port(struct value *v, void *field)
{
	uint64_t n;

	if (!parse_number(v->text, 10, &n) || n > UINT16_MAX)
		return value_expected(v, "0..65535");
	*(uint16_t *)field = (uint16_t)n;
	return 0;
}

int value_bind(struct value *v, void *field)
{
	struct addr a;

	if (addr_parse(&a, v->text, 0) < 0)
		return value_expected(v, "ADDRESS, IPV4:PORT or [IPV6]:PORT, the port 0..65535");
	addr_unmap(&a);
	*(struct addr *)field = a;
	return 0;
}

/* An IPv6 address, the zone of which need not exist yet. */
static bool is_ipv6(const char *host)
{
	char address[INET6_ADDRSTRLEN];
	size_t len = strcspn(host, "%");
	struct in6_addr in6;

	if (len >= sizeof(address) || (host[len] && !host[len + 1]))
		return false;
	memcpy(address, host, len);
	address[len] = '\0';
	return inet_pton(AF_INET6, address, &in6) == 1;
}

int endpoint_family(const struct endpoint_name *e)
{
	struct in_addr in;

	if (strchr(e->host, ':'))
		return AF_INET6;
	return inet_pton(AF_INET, e->host, &in) == 1 ? AF_INET : AF_UNSPEC;
}

/* A host name (its last label has a letter, or it would be a bad IPv4 address) or an address. */
static bool is_host(const struct endpoint_name *e)
{
	const char *label = strrchr(e->host, '.');
	size_t len = strlen(e->host);

	if (strchr(e->host, ':'))
		return is_ipv6(e->host);
	if (endpoint_family(e) == AF_INET)
		return true;
	for (const char *c = e->host; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("._-", *c))
			return false;
	if (e->host[0] == '.' || e->host[0] == '-' || strstr(e->host, ".."))
		return false;
	label = label && label[1] ? label + 1 : e->host;
	return len && strspn(label, "0123456789.") != strlen(label);
}

int value_endpoint(struct value *v, void *field)
{
	struct endpoint_name e = {0};

	if (addr_split_host_port(v->text, e.host, sizeof(e.host), &e.port) < 0 || !is_host(&e))
		return value_expected(v, "HOST:PORT or [IPV6]:PORT, the port 1..65535");
	*(struct endpoint_name *)field = e;
	return 0;
}

int value_ip(struct value *v, void *field)
{
	if (strchr(v->text, '/') || prefix_parse(field, v->text) < 0)
		return value_expected(v, "an IPv4 or IPv6 address");
	return 0;
}

int value_netmask(struct value *v, void *field)
{
	struct in_addr in;
	uint32_t host_bits;

	if (inet_pton(AF_INET, v->text, &in) != 1)
		return value_expected(v, "an IPv4 netmask such as 255.255.255.0");
	host_bits = ~ntohl(in.s_addr);
	if (host_bits & (host_bits + 1) || host_bits == UINT32_MAX)
		return value_expected(v, "an IPv4 netmask such as 255.255.255.0");
	*(uint8_t *)field = (uint8_t)(32 - __builtin_popcount(host_bits));
	return 0;
}

int value_prefix(struct value *v, void *field)
{
	if (prefix_parse(field, v->text) < 0)
		return value_expected(v, "ADDRESS or ADDRESS/LENGTH, the length 0..32 (IPv4) or "
					 "0..128 (IPv6)");
	return 0;
}

int value_host_prefix(struct value *v, void *field)
{
	struct prefix whole;
	struct prefix address;
	char host[INET6_ADDRSTRLEN];
	size_t len = strcspn(v->text, "/");

	/* Parsed twice, since prefix_parse() clears what lies behind the prefix. */
	if (prefix_parse(&whole, v->text) < 0 || !whole.len || len >= sizeof(host))
		return value_expected(v, "ADDRESS or ADDRESS/LENGTH, the length 1..32 (IPv4) or "
					 "1..128 (IPv6)");
	memcpy(host, v->text, len);
	host[len] = '\0';
	if (prefix_parse(&address, host) < 0)
		return -EINVAL;
	address.len = whole.len;
	*(struct prefix *)field = address;
	return 0;
}

int value_list(struct value *v, value_parse *parse, void *item, value_add *add, void *list)
{
	char *copy = strdup(v->text);
	char *rest = copy;
	char *text;
	int r = copy ? 0 : -ENOMEM;

	while (!r && (text = strsep(&rest, ","))) {
		struct value one = *v;

		one.text = config_strip(text);
		r = parse(&one, item);
		if (!r)
			r = add(&one, item, list);
		if (r < 0)
			strcpy(v->why, one.why);
	}
	free(copy);
	return r;
}
