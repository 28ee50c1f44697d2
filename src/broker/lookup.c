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
	struct lookup_addresses addresses;
};

static struct addr addr_of(const struct addrinfo *info, uint16_t port)
{
	struct addr a = {0};

	memcpy(&a, info->ai_addr, info->ai_addrlen < sizeof(a) ? info->ai_addrlen : sizeof(a));
	addr_set_port(&a, port);
	return a;
}

static const struct addrinfo *next_of(const struct addrinfo *i, bool is_v6)
{
	while (i && (i->ai_family == AF_INET6) != is_v6)
		i = i->ai_next;
	return i;
}

static void take_by_turns(const struct addrinfo *first, uint16_t port, struct lookup_addresses *ret)
{
	bool is_v6 = first->ai_family == AF_INET6;
	const struct addrinfo *next[2] = {first, next_of(first, !is_v6)};

	*ret = (struct lookup_addresses){0};
	for (unsigned turn = 0; (next[0] || next[1]) && ret->n < LOOKUP_ADDRESSES_MAX; turn ^= 1) {
		if (!next[turn])
			continue;
		ret->list[ret->n++] = addr_of(next[turn], port);
		next[turn] = next_of(next[turn]->ai_next, turn ? !is_v6 : is_v6);
	}
}

int lookup(const struct lookup_request *q, struct lookup_addresses *ret)
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
	take_by_turns(list, q->name.port, ret);
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

int lookup_ask(int channel, const struct lookup_request *q, struct lookup_addresses *ret,
	       int *ret_error)
{
	struct answer answer;
	int r = channel_send(channel, q, sizeof(*q), -1);

	if (r == 0)
		r = receive_exactly(channel, &answer, sizeof(answer));
	if (r < 0)
		return r;
	if (answer.addresses.n > LOOKUP_ADDRESSES_MAX)
		return -EBADMSG;
	*ret = answer.addresses;
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

		answer.error = lookup(&q, &answer.addresses);
		if (channel_send(channel, &answer, sizeof(answer), -1) < 0)
			break;
	}
}
