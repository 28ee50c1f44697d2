/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Values of the configuration: each parser takes the text of one key strictly (no sign, no
 * unit, nothing behind it) and stores what it means in `field`, whose type it names.
 * 0; -EINVAL, with the reason in `why`; or -ENOMEM. `field` is untouched on failure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "links/settings.h"

#define VALUE_WHY_MAX 512
/* Every path of the configuration fits in one line of it. */
#define CONFIG_PATH_MAX 200

/*
 * A word and what it stands for. Arrays of them end with a NULL name; the first word for a value
 * is its proper one.
 */
struct choice {
	const char *name;
	int value;
};

struct value {
	const char *key;	      /* its proper name */
	const char *text;	      /* not empty */
	uint64_t min, max;	      /* of numbers */
	const struct choice *choices; /* the words for it */
	char why[VALUE_WHY_MAX];
};

typedef int value_parse(struct value *v, void *field);

extern const struct choice log_levels[]; /* syslog priorities */

value_parse value_u32;		    /* uint32_t, min..max */
value_parse value_power_of_two;	    /* uint32_t, min..max */
value_parse value_mark;		    /* uint32_t, decimal or after 0x hexadecimal */
value_parse value_resolve_interval; /* nsec_t, at least 10 seconds, or 0 */
value_parse value_table; /* uint32_t, the number of a routing table, or ROUTE_TABLE_AUTO; 0: off */
value_parse value_seconds;	/* nsec_t, min..max */
value_parse value_milliseconds; /* nsec_t, min..max */
value_parse value_keepalive;	/* uint16_t seconds, or "off" for 0 */
value_parse value_choice;	/* int or enum, one of the choices */
value_parse value_bool;	       /* bool: on, off and such, or one of the choices if there are some */
value_parse value_rate;	       /* uint64_t bits per second: 500kbit, 50mbit, 1gbit, or 0 */
value_parse value_aead;	       /* const char *, AEAD_AUTO or a back-end that is built in */
value_parse value_interface;   /* char[IFNAMSIZ] */
value_parse value_user;	       /* char[SANDBOX_USER_MAX] */
value_parse value_group;       /* char[SANDBOX_USER_MAX] */
value_parse value_cgroup;      /* char[CGROUP_NAME_MAX], a relative path */
value_parse value_bytes;       /* uint64_t, min..max: 67108864, 64M */
value_parse value_percent;     /* uint32_t, min..max: 150% */
value_parse value_network;     /* char[NETWORK_NAME_MAX + 1] */
value_parse value_path;	       /* char[CONFIG_PATH_MAX], absolute */
value_parse value_socket_path; /* the same, short enough for a Unix socket */
value_parse value_loopback;    /* struct addr of 127.0.0.0/8 or ::1, with a port */
value_parse value_port;	       /* uint16_t, 0: any */
value_parse value_bind;	       /* struct addr */
value_parse value_endpoint;    /* struct endpoint_name */
value_parse value_ip;	       /* struct prefix of one address */
value_parse value_netmask;     /* uint8_t, the length of the prefix */
value_parse value_prefix;      /* struct prefix, the bits behind it cleared */
value_parse value_host_prefix; /* struct prefix with its host bits */

/* Sets `why` and returns -EINVAL. */
__attribute__((format(printf, 2, 3))) int value_refuse(struct value *v, const char *format, ...);
/* The same, beginning with what was found (hidden where it could be a key). */
__attribute__((format(printf, 2, 3))) int value_expected(struct value *v, const char *format, ...);

/* Does it look so much like a key that it must not be shown? */
bool value_is_key_like(const char *text);

/* Takes one item of a list, parsed from v->text; fails as a parser does. */
typedef int value_add(struct value *v, const void *item, void *list);
/* Parses each item of a comma-separated list by `parse` into `item` and gives it to `add`. */
int value_list(struct value *v, value_parse *parse, void *item, value_add *add, void *list);

/* AF_INET, AF_INET6, or AF_UNSPEC where the host is a name or not given. */
int endpoint_family(const struct endpoint_name *e);
bool network_name_is_valid(const char *name);
