/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "broker/lookup.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>

#include "broker/channel.h"

struct answer {
	int32_t error; /* getaddrinfo()'s */
	struct addr addr;
};

static struct addr addr_of(const struct addrinfo *info, uint16_t port)
{
	struct addr a = {0};

	memcpy(&a, info->ai_addr, info->ai_addrlen < sizeof(a) ? info->ai_addrlen : sizeof(a));
	addr_set_port(&a, port);
	return a;
}

int lookup(const struct lookup_request *q, struct addr *ret)
{
	const struct addrinfo hints = {
		.ai_family = q->family,
		.ai_socktype = SOCK_DGRAM,
		.ai_flags = AI_ADDRCONFIG,
	};
	struct addrinfo *list;
	int r = getaddrinfo(q->name.host, NULL, &hints, &list);

	if (r != 0)
		return r;
	*ret = addr_of(list, q->name.port);
	for (struct addrinfo *i = list; i && addr_equal(ret, &q->avoid); i = i->ai_next)
		*ret = addr_of(i, q->name.port);
	freeaddrinfo(list);
	return 0;
}

static int receive_exactly(int channel, void *message, size_t size)
{
	size_t len = 0;
	int fd;
	int r = channel_receive(channel, message, size, &len, &fd);

	if (r < 0)
		return r;
	if (fd >= 0)
		close(fd);
	return len == size ? 0 : -EBADMSG;
}

int lookup_ask(int channel, const struct lookup_request *q, struct addr *ret, int *ret_error)
{
	struct answer answer;
	int r = channel_send(channel, q, sizeof(*q), -1);

	if (r == 0)
		r = receive_exactly(channel, &answer, sizeof(answer));
	if (r < 0)
		return r;
	*ret = answer.addr;
	*ret_error = answer.error;
	return 0;
}

static bool is_sound(const struct lookup_request *q)
{
	return memchr(q->name.host, 0, sizeof(q->name.host)) &&
	       (q->family == AF_INET || q->family == AF_INET6 || q->family == AF_UNSPEC);
}

void lookup_serve(int channel)
{
	struct lookup_request q;

	while (receive_exactly(channel, &q, sizeof(q)) == 0 && is_sound(&q)) {
		struct answer answer = {0};

		answer.error = lookup(&q, &answer.addr);
		if (channel_send(channel, &answer, sizeof(answer), -1) < 0)
			break;
	}
}
