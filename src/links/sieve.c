/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "links/sieve.h"

#include <linux/filter.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "wire/wg.h"

/* With a fair share of a sample divided by this, a class floods: who is left is a quarter. */
#define HOT_SHARE 4
#define HOT_COUNT (SIEVE_SAMPLE / SIEVE_CLASSES / HOT_SHARE)
#define CLASS_BITS 5

/* Of a packet, as a filter sees it: loads are big-endian, and begin at the UDP header. */
#define AT_SOURCE_PORT 0
#define AT_TYPE sizeof(struct udphdr)
#define TYPE(type) ((uint32_t)(type) << 24)
/* An IPv4 source; the lower half of the network in an IPv6 source. */
#define AT_SOURCE ((uint32_t)SKF_NET_OFF + 12)
#define RANDOM ((uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM))
#define WHOLE 0xffffffff

_Static_assert(SIEVE_CLASSES == 1 << CLASS_BITS, "one bit of a word for each");

/* As the filter does it. */
static uint32_t class_of(const struct sieve *s, const struct addr *from)
{
	uint32_t word = from->v4.sin_addr.s_addr;

	if (from->sa.sa_family == AF_INET6)
		memcpy(&word, &from->v6.sin6_addr.s6_addr[4], sizeof(word));
	return ((ntohl(word) ^ addr_port(from)) * s->seed) >> (32 - CLASS_BITS);
}

static int attach(const struct sieve *s, int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT_TYPE),
		BPF_JUMP(BPF_JMP | BPF_JEQ, TYPE(MESSAGE_DATA), 15, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ, TYPE(MESSAGE_HANDSHAKE_INITIATION), 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ, TYPE(MESSAGE_HANDSHAKE_RESPONSE), 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ, TYPE(MESSAGE_HANDSHAKE_COOKIE), 0, 13),
		/* the class */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT_SOURCE),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, AT_SOURCE_PORT),
		BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0),
		BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, s->seed),
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 32 - CLASS_BITS),
		/* its bit */
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_IMM, s->hot),
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_X, 0),
		BPF_JUMP(BPF_JMP | BPF_JSET, 1, 0, 2),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, RANDOM),
		BPF_JUMP(BPF_JMP | BPF_JGT, s->chance, 1, 0),
		BPF_STMT(BPF_RET, WHOLE),
		BPF_STMT(BPF_RET, 0),
	};
	const struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static void begin_sample(struct sieve *s, nsec_t now)
{
	s->begun = now;
	s->n = 0;
	memset(s->counts, 0, sizeof(s->counts));
	/* Nobody else can tell our clock to the nanosecond. */
	if (!s->until)
		s->seed = (uint32_t)now | 1;
}

/* All datagrams of a message from the kernel count as what the first is. */
static bool is_data(const struct burst *b)
{
	return wg_message_type(b->data, b->len) == MESSAGE_DATA;
}

/* With a full sample in so short a time: those who are found in it often are let through less. */
static void narrow(struct sieve *s, nsec_t taken)
{
	uint64_t chance, wanted = 0;
	uint32_t seen = 0;
	uint32_t hot = 0;

	for (int i = 0; i < SIEVE_CLASSES; i++) {
		if (s->counts[i] < HOT_COUNT)
			continue;
		hot |= 1U << i;
		seen += s->counts[i];
		wanted += SIEVE_RATE * (uint64_t)taken;
	}
	wanted /= NSEC_PER_SEC;
	chance = wanted < seen ? (wanted << 32) / seen : UINT32_MAX;
	s->chance = s->until && s->chance < chance ? s->chance : (uint32_t)chance;
	s->hot = s->until ? s->hot | hot : hot;
}

void sieve_look(struct sieve *s, int fd, struct burst *const *bursts, int n, nsec_t now)
{
	s->may_have_dropped = s->until;
	for (int i = 0; i < n; i++) {
		if (is_data(bursts[i]))
			continue;
		s->counts[class_of(s, &bursts[i]->from.remote)] += bursts[i]->n;
		s->n += bursts[i]->n;
	}
	if (now - s->begun > SIEVE_SPAN) {
		begin_sample(s, now);
	} else if (s->n >= SIEVE_SAMPLE) {
		narrow(s, now - s->begun);
		if (!s->until)
			s->until = now + SIEVE_HOLD;
		attach(s, fd);
		begin_sample(s, now);
	}
}

nsec_t sieve_lift(struct sieve *s, int fd, nsec_t now)
{
	int unused = 0;

	if (s->until && now >= s->until) {
		setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
		s->until = 0;
		begin_sample(s, now);
	}
	return s->until ? s->until : NSEC_NEVER;
}
