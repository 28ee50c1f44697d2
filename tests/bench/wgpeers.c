/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Plays many WireGuard peers behind one UDP socket, or somebody who only wants to keep a WireGuard
 * busy. IPv4; a tool of scripts/bench and of tests. Peer i (from 0) has the inner address
 * 10.64.0.0 + i.
 *
 *   wgpeers keys N                              prints their public keys, one a line
 *   wgpeers handshakes ADDRESS PORT KEY N SECONDS [WINDOW]
 *                                               each shakes hands again and again; prints
 *                                               "HANDSHAKES SECONDS LOST"
 *   wgpeers ping ADDRESS PORT KEY N INNER       each shakes hands, and pings INNER through the
 *                                               tunnel until it answers or 20 s are over; prints
 *                                               "ANSWERED"
 *   wgpeers flood ADDRESS PORT KEY SECONDS RATE garbage|bad|good|known
 *                                               random bytes; initiations that nobody can open,
 * with a wrong or a right mac1; real ones of peer 0, which come again and again. RATE 0: as many as
 * go; prints "SENT SECONDS" KEY is the public key of the other side.
 */
#include "tool.h"

#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/aead.h"
#include "crypto/cookie.h"
#include "crypto/keys.h"
#include "crypto/noise.h"
#include "util/thread.h"

#define PEERS_MAX 65536
/* A responder takes no more of one peer, and its stamps have to grow by more than their grain. */
#define PEER_INTERVAL (NSEC / INITIATIONS_PER_SECOND + NSEC / 1000)
#define ANSWER_TIMEOUT NSEC
#define PING_TIMEOUT (20 * NSEC)
#define WINDOW 32
#define SOCKET_BUFFER (8 << 20)
#define FLOOD_MESSAGES 4096
#define FLOOD_BATCH 64
#define PACE_NS 100000

struct echo {
	struct iphdr ip;
	struct icmphdr icmp;
	uint8_t padding[4]; /* to a multiple of 16 */
};
_Static_assert(sizeof(struct echo) % MESSAGE_PADDING_MULTIPLE == 0, "goes as it is");

struct player {
	struct noise_identity self;
	struct noise_remote remote;
	struct noise_handshake handshake;
	struct cookie_jar cookies;
	struct aead_key *send;
	uint32_t session; /* the other side's index */
	uint64_t counter;
	int64_t asked_at; /* 0: nothing is awaited */
	int64_t stamp;
	bool is_answered; /* its ping */
};

static struct player *players;
static uint32_t n_players;
static int fd;

static void private_key(uint8_t ret[KEY_LEN], uint32_t i)
{
	memset(ret, 0x42, KEY_LEN);
	memcpy(ret + 8, &i, sizeof(i)); /* not where X25519 ignores bits */
}

static void open_socket(struct sockaddr_in remote)
{
	int size = SOCKET_BUFFER;

	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	need(fd >= 0, "socket");
	need(!setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)), "SO_RCVBUFFORCE");
	need(!setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)), "SO_SNDBUFFORCE");
	need(!connect(fd, (struct sockaddr *)&remote, sizeof(remote)), "connect");
}

static void make_players(uint32_t n, const uint8_t server[KEY_LEN])
{
	uint8_t key[KEY_LEN];

	players = calloc(n, sizeof(*players));
	need(players != NULL, "memory");
	n_players = n;
	for (uint32_t i = 0; i < n; i++) {
		struct player *p = &players[i];

		private_key(key, i);
		noise_identity_set(&p->self, key);
		need(!noise_remote_set(&p->remote, &p->self, server, NULL), "key");
		cookie_jar_init(&p->cookies, server);
		p->stamp = clock_read(CLOCK_REALTIME);
	}
}

/* Whatever the kernel does not take is lost, as on the way. */
static void transmit(const void *msg, size_t len)
{
	if (send(fd, msg, len, 0) < 0)
		need(errno == ENOBUFS || errno == ECONNREFUSED || errno == EINTR, "send");
}

static void compose(uint32_t i, struct wg_initiation *ret)
{
	struct player *p = &players[i];
	uint8_t ephemeral[KEY_LEN], stamp[NOISE_TIMESTAMP_LEN];

	p->stamp += PEER_INTERVAL;
	noise_timestamp(stamp, p->stamp);
	keys_generate(ephemeral);
	need(!noise_create_initiation(&p->handshake, &p->self, &p->remote, ephemeral, i, stamp,
				      ret),
	     "initiation");
	cookie_jar_seal(&p->cookies, ret, sizeof(*ret), now());
}

static void initiate(uint32_t i)
{
	struct wg_initiation msg;

	compose(i, &msg);
	players[i].asked_at = now();
	transmit(&msg, sizeof(msg));
}

static void send_data(struct player *p, const void *packet, size_t len)
{
	uint8_t msg[MESSAGE_DATA_OVERHEAD + sizeof(struct echo)];
	struct wg_data *header = (void *)msg;
	struct aead_job job = {
		.dst = msg + sizeof(*header), .src = packet, .len = len, .counter = p->counter};

	*header = (struct wg_data){.type = le32_make(MESSAGE_DATA),
				   .receiver_index = le32_make(p->session),
				   .counter = le64_make(p->counter++)};
	need(aead_seal(p->send, &job, 1) == 1, "seal");
	transmit(msg, len + MESSAGE_DATA_OVERHEAD);
}

/* True if that was a handshake that `p` waited for; the keepalive confirms it. */
static bool take_response(struct player *p, const struct wg_response *msg)
{
	struct noise_session_keys keys;

	if (!p->asked_at || noise_consume_response(&p->handshake, &p->self, &p->remote, msg, &keys))
		return false;
	aead_key_free(p->send);
	need(!aead_key_new(&p->send, keys.send), "key");
	p->session = le32_get(msg->sender_index);
	p->counter = 0;
	p->asked_at = 0;
	send_data(p, NULL, 0);
	return true;
}

/* The next message that is for one of us, or NULL if none comes in time. */
static struct player *receive(uint8_t *msg, size_t room, size_t *ret_len, int wait_ms)
{
	struct pollfd wanted = {.fd = fd, .events = POLLIN};
	/* the index of a response and of data */
	size_t at;
	uint32_t i;
	ssize_t len = recv(fd, msg, room, MSG_DONTWAIT);

	if (len < 0 && wait_ms && poll(&wanted, 1, wait_ms) > 0)
		len = recv(fd, msg, room, MSG_DONTWAIT);
	if (len < 16)
		return NULL;
	at = msg[0] == MESSAGE_HANDSHAKE_RESPONSE ? 8 : 4;
	memcpy(&i, msg + at, sizeof(i));
	*ret_len = (size_t)len;
	return i < n_players ? &players[i] : NULL;
}

/* Those that had no answer in time may ask again; returns how many. */
static uint32_t give_up(int64_t at)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < n_players; i++) {
		if (!players[i].asked_at || at - players[i].asked_at < ANSWER_TIMEOUT)
			continue;
		players[i].asked_at = 0;
		n++;
	}
	return n;
}

static int handshakes(double seconds, uint32_t window)
{
	int64_t begin = now(), end = begin + (int64_t)(seconds * NSEC), looked = begin;
	uint32_t n_done = 0, n_lost = 0, n_open = 0, next = 0, n;
	int64_t *last = calloc(n_players, sizeof(*last));
	uint8_t msg[256];
	struct player *p;
	size_t len;

	need(last != NULL, "memory");
	while (!is_stopped && now() < end) {
		if (n_open < window && !players[next].asked_at &&
		    now() - last[next] > PEER_INTERVAL) {
			last[next] = now();
			initiate(next);
			next = (next + 1) % n_players;
			n_open++;
		}
		p = receive(msg, sizeof(msg), &len, n_open < window ? 0 : 10);
		if (p && len == sizeof(struct wg_response) && take_response(p, (void *)msg)) {
			n_done++;
			n_open--;
		}
		if (now() - looked < NSEC / 10)
			continue;
		looked = now();
		n = give_up(looked);
		n_lost += n;
		n_open -= n;
	}
	printf("%u %.6f %u\n", n_done, (double)(now() - begin) / NSEC, n_lost);
	free(last);
	return EXIT_SUCCESS;
}

static uint16_t checksum(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)(bytes[i] << 8 | bytes[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t) ~(sum + (sum >> 16)));
}

static void ping(uint32_t i, struct in_addr to)
{
	struct echo e = {
		.ip = {.version = 4,
		       .ihl = 5,
		       .ttl = 64,
		       .protocol = IPPROTO_ICMP,
		       .tot_len = htons(sizeof(e)),
		       .saddr = htonl((10U << 24 | 64U << 16) + i),
		       .daddr = to.s_addr},
		.icmp = {.type = ICMP_ECHO, .un.echo = {.id = htons(1), .sequence = htons(1)}},
	};

	e.ip.check = checksum(&e.ip, sizeof(e.ip));
	e.icmp.checksum = checksum(&e.icmp, sizeof(e.icmp) + sizeof(e.padding));
	send_data(&players[i], &e, sizeof(e));
}

/* An answer is known by its length: control frames and keepalives have another. */
static bool is_reply(const uint8_t *msg, size_t len)
{
	return msg[0] == MESSAGE_DATA && len == MESSAGE_DATA_OVERHEAD + sizeof(struct echo);
}

static int ping_all(struct in_addr inner)
{
	int64_t begin = now(), looked = begin;
	uint32_t n_answered = 0, n_open = 0, next = 0;
	uint8_t msg[2048];
	struct player *p;
	size_t len;

	while (!is_stopped && n_answered < n_players && now() - begin < PING_TIMEOUT) {
		for (; n_open < WINDOW && next < n_players; next++, n_open++)
			initiate(next);
		p = receive(msg, sizeof(msg), &len, 10);
		if (p && len == sizeof(struct wg_response) && take_response(p, (void *)msg)) {
			ping((uint32_t)(p - players), inner);
		} else if (p && is_reply(msg, len) && !p->is_answered) {
			p->is_answered = true;
			n_answered++;
			n_open--;
		}
		if (now() - looked < NSEC)
			continue;
		looked = now();
		for (uint32_t i = 0; i < next; i++) {
			if (players[i].is_answered)
				continue;
			if (players[i].asked_at)
				initiate(i);
			else
				ping(i, inner);
		}
	}
	printf("%u\n", n_answered);
	return EXIT_SUCCESS;
}

/* Opaque but for what makes it worth looking at. */
static void compose_sham(struct cookie_jar *jar, bool is_good, struct wg_initiation *ret)
{
	ret->type = le32_make(MESSAGE_HANDSHAKE_INITIATION);
	cookie_jar_seal(jar, ret, sizeof(*ret), now());
	ret->macs.mac1[0] ^= !is_good;
}

static struct wg_initiation *make_flood(const uint8_t server[KEY_LEN], const char *kind)
{
	struct wg_initiation *msgs = calloc(FLOOD_MESSAGES, sizeof(*msgs));
	struct cookie_jar jar;

	need(msgs != NULL, "memory");
	make_players(1, server);
	cookie_jar_init(&jar, server);
	keys_random(msgs, FLOOD_MESSAGES * sizeof(*msgs));
	for (size_t i = 0; i < FLOOD_MESSAGES; i++) {
		if (!strcmp(kind, "known"))
			compose(0, &msgs[i]);
		else if (strcmp(kind, "garbage") != 0)
			compose_sham(&jar, !strcmp(kind, "good"), &msgs[i]);
	}
	return msgs;
}

static int flood(const uint8_t server[KEY_LEN], double seconds, uint64_t rate, const char *kind)
{
	struct wg_initiation *msgs = make_flood(server, kind);
	int64_t begin = now(), end = begin + (int64_t)(seconds * NSEC);
	const struct timespec pace = {.tv_nsec = PACE_NS};
	struct mmsghdr batch[FLOOD_BATCH] = {0};
	struct iovec iov[FLOOD_BATCH];
	uint64_t n_sent = 0;
	int n;

	while (!is_stopped && now() < end) {
		if (rate && (uint64_t)(now() - begin) * rate / NSEC < n_sent) {
			nanosleep(&pace, NULL);
			continue;
		}
		for (size_t i = 0; i < FLOOD_BATCH; i++) {
			iov[i] =
				(struct iovec){&msgs[(n_sent + i) % FLOOD_MESSAGES], sizeof(*msgs)};
			batch[i].msg_hdr.msg_iov = &iov[i];
			batch[i].msg_hdr.msg_iovlen = 1;
		}
		n = sendmmsg(fd, batch, FLOOD_BATCH, 0);
		n_sent += n > 0 ? (uint64_t)n : 0;
	}
	printf("%llu %.6f\n", (unsigned long long)n_sent, (double)(now() - begin) / NSEC);
	free(msgs);
	return EXIT_SUCCESS;
}

static int print_keys(uint32_t n)
{
	uint8_t key[KEY_LEN];
	char text[KEY_BASE64_LEN + 1];

	for (uint32_t i = 0; i < n; i++) {
		private_key(key, i);
		keys_public(key, key);
		keys_to_base64(text, key);
		puts(text);
	}
	return EXIT_SUCCESS;
}

static int usage(void)
{
	fputs("usage: wgpeers keys N\n"
	      "       wgpeers handshakes ADDRESS PORT KEY N SECONDS [WINDOW]\n"
	      "       wgpeers ping ADDRESS PORT KEY N INNER\n"
	      "       wgpeers flood ADDRESS PORT KEY SECONDS RATE garbage|bad|good|known\n",
	      stderr);
	return 2;
}

static uint32_t parse_count(const char *text)
{
	unsigned long n = strtoul(text, NULL, 10);

	errno = ERANGE;
	need(n > 0 && n <= PEERS_MAX, text);
	return (uint32_t)n;
}

int main(int argc, char **argv)
{
	uint8_t server[KEY_LEN];
	struct in_addr inner;

	if (argc == 3 && !strcmp(argv[1], "keys"))
		return print_keys(parse_count(argv[2]));
	if (argc < 7 || keys_from_base64(server, argv[4], NULL))
		return usage();
	stop_on_signals();
	need(!thread_adopt(), "thread");
	open_socket(parse_address(argv[2], argv[3]));
	if (!strcmp(argv[1], "flood") && argc == 8)
		return flood(server, atof(argv[5]), strtoull(argv[6], NULL, 10), argv[7]);
	make_players(parse_count(argv[5]), server);
	if (!strcmp(argv[1], "handshakes"))
		return handshakes(atof(argv[6]), argc > 7 ? parse_count(argv[7]) : WINDOW);
	if (!strcmp(argv[1], "ping") && inet_pton(AF_INET, argv[6], &inner) == 1)
		return ping_all(inner);
	return usage();
}
