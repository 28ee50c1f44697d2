/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Devices in one process, joined by their calls, with a clock that jumps from event to event.
 * Each node plays the part of the data plane too: seals, opens, marks. A message takes
 * sim.latency; sim.loses says which ones get lost. Node i is at 192.0.2.i:51820; link 1 is the way
 * that everything takes unless a test carries a message over another.
 */
#pragma once

#include <arpa/inet.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keys.h"
#include "peers/internal.h"
#include "peers/timestamp.h"
#include "util/thread.h"

#define T0 (1000 * NSEC_PER_SEC)
#define WALL (1700000000 * NSEC_PER_SEC)
#define TYPES 5 /* message types 1 to 4 */
#define MESSAGE_MAX 160
#define SECONDS(n) ((n)*NSEC_PER_SEC)

struct node;

struct neighbour {
	struct peer peer;
	struct node *node; /* who it really is */
	_Atomic bool is_poked;
	unsigned n_ready;
	unsigned n_heard;
	struct origin heard; /* the last one */
	unsigned n_initiations;
	unsigned n_trials; /* of these */
	unsigned n_keepalives;
	nsec_t last_initiation;
	nsec_t last_keepalive;
};

struct node {
	struct device *device;
	uint8_t private_key[KEY_LEN];
	uint8_t public_key[KEY_LEN];
	struct addr address;
	struct timestamp stamps;
	nsec_t wall_error;
	bool is_under_load;
	struct neighbour *neighbours;
	size_t n_neighbours;
	unsigned n_sent[TYPES];
	uint8_t last_sent[TYPES][MESSAGE_MAX]; /* the last message of each type */
	struct origin last_reply_to;
	unsigned n_data_received;
	unsigned n_data_refused;
	struct drops drops;
};

struct message {
	nsec_t due;
	struct node *to;
	struct origin from;
	size_t len;
	uint8_t bytes[MESSAGE_MAX];
};

static struct {
	nsec_t now;
	nsec_t latency;
	unsigned n_paths; /* from any node to any other; only counted */
	/* NULL: nothing is lost */
	bool (*loses)(const struct node *from, const struct node *to, unsigned type);
	struct node *nodes;
	size_t n_nodes;
	struct message *queue; /* in the order of sending, which is that of arrival */
	size_t head, tail, room;
} sim;

static struct node *node_at(const struct addr *a)
{
	for (size_t i = 0; i < sim.n_nodes; i++) {
		if (addr_equal(&sim.nodes[i].address, a))
			return &sim.nodes[i];
	}
	return NULL;
}

static void post(struct node *from, struct node *to, uint32_t link, const void *bytes, size_t len)
{
	unsigned type = ((const uint8_t *)bytes)[0];
	struct message *m;

	ck_assert(type < TYPES && len <= MESSAGE_MAX);
	from->n_sent[type]++;
	memcpy(from->last_sent[type], bytes, len);
	if (!to || (sim.loses && sim.loses(from, to, type)))
		return;
	if (sim.tail == sim.room) {
		sim.room = sim.room ? sim.room * 2 : 64;
		sim.queue = realloc(sim.queue, sim.room * sizeof(*sim.queue));
	}
	m = &sim.queue[sim.tail++];
	*m = (struct message){.due = sim.now + sim.latency, .to = to, .len = len};
	m->from = (struct origin){.link = link, .remote = from->address, .local = to->address};
	memcpy(m->bytes, bytes, len);
}

static struct neighbour *neighbour_of(struct peer *p)
{
	return (struct neighbour *)((char *)p - offsetof(struct neighbour, peer));
}

static bool call_send(void *ctx, struct peer *p, unsigned nth, const void *msg, size_t len)
{
	struct neighbour *n = neighbour_of(p);

	n->n_initiations++;
	n->last_initiation = sim.now;
	post(ctx, n->node, 1, msg, len);
	return nth + 1 < sim.n_paths;
}

static void call_send_trial(void *ctx, struct peer *p, const void *msg, size_t len)
{
	neighbour_of(p)->n_trials++;
	call_send(ctx, p, 0, msg, len);
}

static void call_reply(void *ctx, const struct origin *to, const void *msg, size_t len)
{
	struct node *self = ctx;

	self->last_reply_to = *to;
	post(self, node_at(&to->remote), to->link, msg, len);
}

/* Seals `text` on a session into `ret`; returns the length of the message. */
static size_t seal_on(struct keypair *k, const char *text, uint8_t ret[MESSAGE_MAX])
{
	struct wg_data *head = (struct wg_data *)ret;
	struct aead_job job = {.dst = ret + sizeof(*head), .src = (const uint8_t *)text};

	job.len = strlen(text);
	ck_assert(keypair_take_counters(k, 1, &job.counter));
	head->type = le32_make(MESSAGE_DATA);
	head->receiver_index = le32_make(k->remote_index);
	head->counter = le64_make(job.counter);
	ck_assert_uint_eq(aead_seal(k->send, &job, 1), 1);
	return MESSAGE_DATA_OVERHEAD + job.len;
}

/* The empty text is a keepalive. False: no session, which the device has been told. */
static bool send_data(struct node *self, struct neighbour *to, const char *text)
{
	uint8_t bytes[MESSAGE_MAX];
	struct keypair *k;
	size_t len;

	rcu_begin();
	k = peer_send_session_rcu(&to->peer, sim.now);
	if (k) {
		len = seal_on(k, text, bytes);
		post(self, to->node, 1, bytes, len);
		peer_mark_sent(&to->peer, sim.now, *text);
		peer_check_rekey_sent(&to->peer, k, sim.now);
	} else {
		peer_poke(&to->peer, POKE_HANDSHAKE);
	}
	rcu_end();
	return k;
}

static bool open_data(struct node *self, const uint8_t *bytes, size_t len)
{
	const struct wg_data *head = (const struct wg_data *)bytes;
	uint8_t text[MESSAGE_MAX];
	struct aead_job job = {.dst = text, .src = bytes + sizeof(*head)};
	struct keypair *k = device_session_rcu(self->device, le32_get(head->receiver_index));

	job.len = len - MESSAGE_DATA_OVERHEAD;
	job.counter = le64_get(head->counter);
	if (!k || !keypair_can_receive(k, sim.now) || !aead_open(k->recv, &job, 1))
		return false;
	peer_mark_received(k->peer, sim.now, job.len > 0);
	peer_check_rekey_received(k->peer, k, sim.now);
	return true;
}

static void receive_data(struct node *self, const uint8_t *bytes, size_t len)
{
	rcu_begin();
	if (!open_data(self, bytes, len))
		self->n_data_refused++;
	else if (len > MESSAGE_DATA_OVERHEAD)
		self->n_data_received++;
	rcu_end();
}

static void call_keepalive(void *ctx, struct peer *p)
{
	struct neighbour *n = neighbour_of(p);

	n->n_keepalives++;
	n->last_keepalive = sim.now;
	ck_assert(send_data(ctx, n, ""));
}

static void call_ready(void *ctx, struct peer *p)
{
	(void)ctx;
	neighbour_of(p)->n_ready++;
}

static void call_heard(void *ctx, struct peer *p, const struct origin *from)
{
	(void)ctx;
	neighbour_of(p)->n_heard++;
	neighbour_of(p)->heard = *from;
}

static void call_timestamp(void *ctx, uint8_t ret[NOISE_TIMESTAMP_LEN])
{
	struct node *self = ctx;

	timestamp_next(&self->stamps, WALL + sim.now + self->wall_error, ret);
}

static void call_poke(void *ctx, struct peer *p)
{
	(void)ctx;
	ck_assert(!neighbour_of(p)->is_poked); /* it is told once until it is handled */
	neighbour_of(p)->is_poked = true;
}

static const struct device_calls calls = {
	.send = call_send,
	.send_trial = call_send_trial,
	.reply = call_reply,
	.send_keepalive = call_keepalive,
	.session_ready = call_ready,
	.heard_from = call_heard,
	.timestamp = call_timestamp,
	.poke = call_poke,
};

static void start_node(struct node *n)
{
	ck_assert_int_eq(device_new(&n->device, n->private_key, &calls, n), 0);
	ck_assert_int_eq(timestamp_init(&n->stamps, 0, NULL, NULL, WALL), 0);
}

static void sim_begin(size_t n_nodes)
{
	size_t room;

	memset(&sim, 0, sizeof(sim));
	sim.now = T0;
	sim.latency = 10 * NSEC_PER_MSEC;
	sim.n_paths = 1;
	sim.nodes = calloc(n_nodes, sizeof(*sim.nodes));
	sim.n_nodes = n_nodes;
	for (size_t i = 0; i < n_nodes; i++) {
		struct node *n = &sim.nodes[i];

		n->address.v4.sin_family = AF_INET;
		n->address.v4.sin_port = htons(51820);
		n->address.v4.sin_addr.s_addr = htonl(0xc0000200 + (uint32_t)i);
		keys_generate(n->private_key);
		keys_public(n->public_key, n->private_key);
		start_node(n);
		/* node 0 may know all, the others a few; a peer lies on cache lines */
		room = (i ? 4 : n_nodes) * sizeof(struct neighbour);
		n->neighbours = aligned_alloc(_Alignof(struct neighbour), room);
		memset(n->neighbours, 0, room);
	}
}

/* In the next free place of `n`. */
static struct neighbour *add_neighbour(struct node *n, struct node *other, const uint8_t *psk,
				       uint16_t keepalive, bool is_wanted_up)
{
	struct neighbour *nb = &n->neighbours[n->n_neighbours++];

	nb->node = other;
	ck_assert_int_eq(
		noise_remote_set(&nb->peer.remote, &n->device->identity, other->public_key, psk),
		0);
	ck_assert_int_eq(device_insert_peer(n->device, &nb->peer, keepalive, is_wanted_up), 0);
	return nb;
}

static void remove_peer(struct node *n, struct peer *p)
{
	device_unlink_peer(n->device, p);
	rcu_drain();
	device_wipe_peer(p);
}

static void stop_node(struct node *n)
{
	for (size_t i = 0; i < n->n_neighbours; i++)
		remove_peer(n, &n->neighbours[i].peer);
	memset(n->neighbours, 0, n->n_neighbours * sizeof(struct neighbour));
	n->n_neighbours = 0;
	device_free(n->device);
}

static void sim_end(void)
{
	for (size_t i = 0; i < sim.n_nodes; i++) {
		stop_node(&sim.nodes[i]);
		free(sim.nodes[i].neighbours);
	}
	free(sim.nodes);
	free(sim.queue);
}

static void handle_pokes(struct node *n)
{
	for (size_t i = 0; i < n->n_neighbours; i++) {
		if (!n->neighbours[i].is_poked)
			continue;
		n->neighbours[i].is_poked = false;
		device_handle_pokes(&n->neighbours[i].peer, sim.now);
	}
}

/* Hands a message to a node as if it had come from there, and lets it react. */
static void deliver(struct node *to, const void *bytes, size_t len, const struct origin *from)
{
	if (((const uint8_t *)bytes)[0] == MESSAGE_DATA)
		receive_data(to, bytes, len);
	else if (((const uint8_t *)bytes)[0] == MESSAGE_HANDSHAKE_COOKIE ||
		 device_check_mac1(to->device, bytes, len))
		device_receive(to->device, bytes, len, from, to->is_under_load, sim.now,
			       &to->drops);
	handle_pokes(to);
}

/* Runs timers and pokes of all nodes; returns when something happens next. */
static nsec_t run_nodes(void)
{
	nsec_t next = NSEC_NEVER;

	for (size_t i = 0; i < sim.n_nodes; i++) {
		handle_pokes(&sim.nodes[i]);
		next = nsec_min(next, device_run_timers(sim.nodes[i].device, sim.now));
		ck_assert_int_gt(next, sim.now); /* nothing spins */
	}
	return next;
}

/* Lets everything happen that is due up to `until`. */
static void run_until(nsec_t until)
{
	for (;;) {
		nsec_t next = run_nodes();

		if (sim.head < sim.tail)
			next = nsec_min(next, sim.queue[sim.head].due);
		if (next > until)
			break;
		sim.now = next;
		while (sim.head < sim.tail && sim.queue[sim.head].due <= sim.now) {
			struct message m = sim.queue[sim.head++];

			deliver(m.to, m.bytes, m.len, &m.from);
		}
	}
	sim.now = until;
}

static void run_for(nsec_t time)
{
	run_until(sim.now + time);
}

static struct keypair *session_of(struct neighbour *n)
{
	return peer_send_session_rcu(&n->peer, sim.now);
}

/* What most tests begin with: two nodes, and what each knows of the other. */
static struct node *a, *b;
static struct neighbour *ab, *ba;

static void setup(void)
{
	ck_assert_int_eq(thread_adopt(), 0);
	sim_begin(3);
	a = &sim.nodes[0];
	b = &sim.nodes[1];
}

static void teardown(void)
{
	sim_end();
	thread_disown();
}

/* `a` wants the session up, `b` waits for it. */
static void introduce(uint16_t keepalive, bool is_wanted_up)
{
	ab = add_neighbour(a, b, NULL, keepalive, is_wanted_up);
	ba = add_neighbour(b, a, NULL, 0, false);
}

static void join(void)
{
	introduce(0, false);
	send_data(a, ab, "first");
	run_for(SECONDS(1));
	ck_assert_ptr_nonnull(session_of(ab));
	ck_assert_ptr_nonnull(session_of(ba));
}

static bool loses_all(const struct node *from, const struct node *to, unsigned type)
{
	(void)from, (void)to, (void)type;
	return true;
}

static void ck_assert_same_session(struct neighbour *x, struct neighbour *y)
{
	ck_assert_ptr_nonnull(session_of(x));
	ck_assert_ptr_nonnull(session_of(y));
	ck_assert_uint_eq(session_of(x)->local_index, session_of(y)->remote_index);
	ck_assert_uint_eq(session_of(y)->local_index, session_of(x)->remote_index);
}

static bool loses_responses(const struct node *from, const struct node *to, unsigned type)
{
	(void)from, (void)to;
	return type == MESSAGE_HANDSHAKE_RESPONSE;
}

static struct origin origin_of(const struct node *n, uint32_t link)
{
	return (struct origin){.link = link, .remote = n->address};
}
