/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "core/inherited.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/log.h"

#define TUN_VARIABLE "WG_TUN_FD"
#define UAPI_VARIABLE "WG_UAPI_FD"
/* The kernel allows no more. */
#define DESCRIPTOR_MAX (1L << 30)

void inherited_init(struct inherited *i)
{
	*i = (struct inherited){.tun.fd = -1, .uapi.fd = -1};
}

/* 1; 0 where the variable is not set; or -EINVAL. Those below 3 are for messages. */
static int descriptor_of(const char *variable, int *ret)
{
	const char *text = getenv(variable);
	char *end;
	long number;

	if (!text)
		return 0;
	number = strtol(text, &end, 10);
	if (!*text || *end || number <= STDERR_FILENO || number > DESCRIPTOR_MAX) {
		log_error("%s=%s: found no number of a descriptor, allowed: 3 or more", variable,
			  text);
		return -EINVAL;
	}
	*ret = (int)number;
	return 1;
}

static const char *why_no_tun(int r)
{
	switch (r) {
	case -EBADF:
		return "there is no such open descriptor";
	case -ENOTTY:
		return "it is no TUN device";
	case -EBADFD:
		return "it is a TUN device without an interface (TUNSETIFF)";
	case -EACCES:
		return "it is not open for both reading and writing";
	case -EPROTOTYPE:
		return "it is a TAP interface, allowed: IFF_TUN";
	case -EPROTO:
		return "its packets have another header in front, allowed: IFF_NO_PI";
	}
	return strerror(-r);
}

static int take_tun(struct inherited *i)
{
	int fd;
	int r = descriptor_of(TUN_VARIABLE, &fd);

	if (r <= 0)
		return r;
	r = tun_adopt(&i->tun, fd);
	if (r < 0)
		log_error("%s=%d: %s", TUN_VARIABLE, fd, why_no_tun(r));
	else if (!i->tun.has_header)
		log_info("%s=%d: without IFF_VNET_HDR, so packets go one by one", TUN_VARIABLE, fd);
	return r;
}

static const char *why_no_socket(int r)
{
	switch (r) {
	case -EBADF:
		return "there is no such open descriptor";
	case -ENOTSOCK:
		return "it is no socket";
	case -EPROTOTYPE:
		return "it is a socket of another kind, allowed: a Unix stream socket";
	case -EINVAL:
		return "it is a socket that does not listen";
	}
	return strerror(-r);
}

static int take_uapi(struct inherited *i)
{
	int fd;
	int r = descriptor_of(UAPI_VARIABLE, &fd);

	if (r <= 0)
		return r;
	r = control_socket_adopt(&i->uapi, fd);
	if (r < 0)
		log_error("%s=%d: %s", UAPI_VARIABLE, fd, why_no_socket(r));
	return r;
}

int inherited_take(struct inherited *i)
{
	int r = take_tun(i);

	return r < 0 ? r : take_uapi(i);
}

void inherited_close(struct inherited *i)
{
	tun_close(&i->tun);
	if (i->uapi.fd >= 0)
		close(i->uapi.fd);
	i->uapi.fd = -1;
}
