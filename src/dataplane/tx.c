/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The open burst holds plaintexts; it is closed when the next packet does not fit it (another
 * peer, another size, full), after a shorter packet, and when the interface has nothing more.
 * Counters, cipher and clock are then spent once for all of it.
 *
 * Back-pressure: a sealed burst for which no path has room is kept, and nothing is read until
 * a link tells that it has room again. So the queue builds up where the sender sees it.
 */
#include "dataplane/tx.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "dataplane/network_state.h"
#include "tun/split.h"
#include "util/log.h"
#include "wire/inner.h"

/* A burst that finds no room for so long is dropped: the path is as good as dead. */
#define BLOCKED_MAX (200 * NSEC_PER_MSEC)
/* Bursts that wait for a session, over all peers, and for how long. */
#define STAGED_TOTAL_MAX (BURSTS_SHARED / 2)
#define STAGED_TIME_MAX (10 * NSEC_PER_SEC)
/* The largest super-packet that the kernel hands over. */
#define READ_BYTES 65536
/* Reads between two looks at the clock. */
#define READS_PER_ROUND 16

#define REPORT_SLOTS 256

struct posted_report {
	struct bond *bond;
	struct frame_report report;
};

struct tx {
	struct network *network;
	struct thread thread;
	struct waker waker;
	_Atomic bool stop;
	_Atomic bool has_kick;
	_Atomic bool is_blocked; /* a report may be what we wait for */
	struct ring *reports;
	/* TUN reader */
	nsec_t now;
	struct burst *open;    /* NULL: none is */
	struct burst *blocked; /* sealed, but no path has room: oldest first */
	struct burst **blocked_end;
	nsec_t blocked_since; /* the oldest */
	nsec_t retry_at;      /* when a path may have room for it */
	uint64_t open_limit;  /* bytes that the open burst may have */
	unsigned n_staged;    /* bursts of all bonds that wait for a session */
	bool is_staged_left;  /* some could not be sent when there was one: no path had room */
	struct log_limit no_path_limit;
	struct split split;
	uint8_t packet[READ_BYTES];
};

int tx_new(struct tx **ret, struct network *n)
{
	struct tx *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->network = n;
	t->blocked_end = &t->blocked;
	t->waker.fd = -1;
	r = ring_new(&t->reports, REPORT_SLOTS, sizeof(struct posted_report));
	if (r == 0)
		r = waker_init(&t->waker);
	if (r < 0) {
		tx_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

static void drop_chain(struct burst **first)
{
	struct burst *b;

	while ((b = *first)) {
		*first = b->next;
		burst_put(b);
	}
}

void tx_free(struct tx *t)
{
	if (!t)
		return;
	if (t->open)
		burst_put(t->open);
	drop_chain(&t->blocked);
	for (size_t i = 0; i < t->network->n_bonds; i++)
		drop_chain(&t->network->bonds[i].staged_first);
	waker_deinit(&t->waker);
	ring_free(t->reports);
	free(t);
}

void tx_kick(struct tx *t)
{
	atomic_store_explicit(&t->has_kick, true, memory_order_release);
	waker_wake(&t->waker);
}

bool tx_post_report(struct tx *t, struct bond *bond, const struct frame_report *report)
{
	const struct posted_report p = {bond, *report};

	if (!ring_push(t->reports, &p))
		return false;
	if (atomic_load_explicit(&t->is_blocked, memory_order_relaxed))
		waker_wake(&t->waker);
	return true;
}

static void take_reports(struct tx *t)
{
	struct posted_report p;

	if (!ring_used(t->reports))
		return;
	rcu_begin();
	while (ring_pop(t->reports, &p))
		spread_report_rcu(&p.bond->spread, rcu_read(&p.bond->paths), &p.report, t->now);
	rcu_end();
}

static void drop(struct tx *t, enum drop_reason reason, struct burst *b)
{
	drops_add(&t->network->drops, reason, b->n);
	burst_put(b);
}

static void warn_no_path(struct tx *t, const struct bond *bond)
{
	unsigned suppressed;

	if (log_limit_pass(&t->no_path_limit, t->now, 30 * NSEC_PER_SEC, &suppressed))
		log_warn("network %s: peer %s: no remote endpoints to send to; packets are dropped",
			 t->network->settings->name, bond->settings->name);
}

/* Keeps a sealed burst until a path has room. */
static void block(struct tx *t, struct burst *b)
{
	if (!t->blocked)
		t->blocked_since = t->now;
	b->next = NULL;
	*t->blocked_end = b;
	t->blocked_end = &b->next;
}

/* Sends a sealed burst. False: no path has room, it is still the caller's. */
static bool try_transmit_rcu(struct tx *t, struct burst *b)
{
	const struct path_set *set = rcu_read(&b->bond->paths);

	switch (spread_send_rcu(&b->bond->spread, set, b, t->now, &t->retry_at)) {
	case SPREAD_FULL:
		return false;
	case SPREAD_NO_PATH:
		warn_no_path(t, b->bond);
		drop(t, DROP_tx_no_path, b);
		return true;
	case SPREAD_SENT:
		break;
	}
	burst_put(b);
	return true;
}

/* Seals a burst of plaintexts and sends it. False: there is no session, the burst is untouched. */
static bool send_rcu(struct tx *t, struct burst *b)
{
	struct bond *bond = b->bond;
	struct keypair *k = peer_send_session_rcu(&bond->peer, t->now);
	uint64_t inner = b->len - (uint64_t)b->n * MESSAGE_DATA_OVERHEAD;

	if (!k)
		return false;
	if (!bond_seal(b, k)) {
		drop(t, DROP_tx_no_session, b);
		return true;
	}
	path_count_add(&bond->inner_sent, b->n, inner);
	/* Behind what is blocked already, so that nothing overtakes. */
	if (t->blocked || !try_transmit_rcu(t, b))
		block(t, b);
	peer_mark_sent(&bond->peer, t->now, true);
	peer_check_rekey_sent(&bond->peer, k, t->now);
	return true;
}

/* Takes the oldest staged burst out; there is one. */
static struct burst *unstage(struct tx *t, struct bond *bond)
{
	struct burst *b = bond->staged_first;

	bond->staged_first = b->next;
	if (!bond->staged_first)
		bond->staged_end = &bond->staged_first;
	bond->n_staged--;
	t->n_staged--;
	return b;
}

/* Keeps a burst of plaintexts until the peer has a session. */
static void stage(struct tx *t, struct burst *b)
{
	struct bond *bond = b->bond;

	peer_poke(&bond->peer, POKE_HANDSHAKE);
	if (t->n_staged == STAGED_TOTAL_MAX && !bond->n_staged) {
		/* Peers that are away must not take the buffers of those that are there. */
		drop(t, DROP_tx_no_session, b);
		return;
	}
	if (bond->n_staged == STAGED_BURSTS_MAX || t->n_staged == STAGED_TOTAL_MAX)
		drop(t, DROP_tx_no_session, unstage(t, bond));
	b->received = t->now;
	b->next = NULL;
	*bond->staged_end = b;
	bond->staged_end = &b->next;
	bond->n_staged++;
	t->n_staged++;
}

/* Sends what has waited for a session, unless it has waited so long that nobody wants it. */
static void send_staged(struct tx *t, struct bond *bond)
{
	struct burst *b;

	rcu_begin();
	while (!t->blocked && (b = bond->staged_first) &&
	       peer_send_session_rcu(&bond->peer, t->now)) {
		unstage(t, bond);
		if (t->now - b->received > STAGED_TIME_MAX)
			drop(t, DROP_tx_no_session, b);
		else if (!send_rcu(t, b))
			drop(t, DROP_tx_no_session, b); /* the session ended just now */
	}
	rcu_end();
	t->is_staged_left |= t->blocked && bond->staged_first;
}

static void close_burst(struct tx *t)
{
	struct burst *b = t->open;

	if (!b)
		return;
	t->open = NULL;
	if (b->bond->n_staged)
		send_staged(t, b->bond);
	rcu_begin();
	if (b->bond->n_staged || !send_rcu(t, b))
		stage(t, b);
	rcu_end();
}

static uint64_t burst_limit(const struct tx *t, const struct bond *bond)
{
	uint64_t limit;

	rcu_begin();
	limit = spread_burst_bytes_rcu(&bond->spread, rcu_read(&bond->paths));
	rcu_end();
	return limit < t->network->burst_bytes ? limit : t->network->burst_bytes;
}

static bool fits_open(const struct tx *t, const struct bond *bond, uint32_t len)
{
	const struct burst *b = t->open;

	return b && b->bond == bond && len <= b->stride && b->n < BURST_DATAGRAMS &&
	       b->len + len <= t->open_limit;
}

/* Puts one inner packet into the open burst. */
static void add_packet(struct tx *t, struct bond *bond, const uint8_t *packet, size_t len)
{
	size_t padded = wg_padded_len(len, t->network->settings->mtu);
	uint32_t datagram = datagram_len(padded);
	uint8_t *payload;

	if (datagram > t->network->burst_bytes) {
		drops_add(&t->network->drops, DROP_tx_too_big, 1);
		return;
	}
	if (!fits_open(t, bond, datagram)) {
		close_burst(t);
		t->open = burst_take(t->network->bursts);
		if (!t->open) {
			drops_add(&t->network->drops, DROP_tx_no_buffer, 1);
			return;
		}
		t->open->bond = bond;
		t->open_limit = burst_limit(t, bond);
		t->open->stride = datagram;
	}
	payload = t->open->data + t->open->len + sizeof(struct wg_data);
	memcpy(payload, packet, len);
	memset(payload + len, 0, padded - len);
	t->open->len += datagram;
	t->open->n++;
	if (datagram < t->open->stride)
		close_burst(t); /* only the last may be shorter */
}

static struct bond *route(struct tx *t, const uint8_t *packet, size_t len)
{
	struct inner inner;
	struct bond *bond;

	if (inner_parse(&inner, packet, len) < 0) {
		drops_add(&t->network->drops, DROP_tx_malformed, 1);
		return NULL;
	}
	rcu_begin();
	bond = allowedips_find(rcu_read(&t->network->allowed_ips), inner.family, inner.destination);
	rcu_end();
	if (!bond)
		drops_add(&t->network->drops, DROP_tx_no_peer, 1);
	return bond;
}

static void take_read(struct tx *t, const struct virtio_net_hdr *header, size_t len)
{
	struct bond *bond = route(t, t->packet, len);
	size_t packet_len;
	uint8_t *packet;

	if (!bond)
		return;
	if (split_begin(&t->split, header, t->packet, len) < 0) {
		drops_add(&t->network->drops, DROP_tx_malformed, 1);
		return;
	}
	while ((packet = split_next(&t->split, &packet_len)))
		add_packet(t, bond, packet, packet_len);
}

/* 1: read something; 0: nothing there; -errno: the interface is gone. */
static int read_tun(struct tx *t)
{
	struct virtio_net_hdr header;
	struct iovec iov[2] = {{&header, sizeof(header)}, {t->packet, sizeof(t->packet)}};
	ssize_t n = readv(t->network->tun.fd, iov, 2);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if ((size_t)n <= sizeof(header)) {
		drops_add(&t->network->drops, DROP_tx_malformed, 1);
		return 1;
	}
	take_read(t, &header, (size_t)n - sizeof(header));
	return 1;
}

/* Is it sent, or has it waited too long? The second try is the one that misses no room made. */
static bool is_unblocked_rcu(struct tx *t, struct burst *b)
{
	if (try_transmit_rcu(t, b))
		return true;
	spread_want_room_rcu(rcu_read(&b->bond->paths));
	if (try_transmit_rcu(t, b))
		return true;
	if (t->now - t->blocked_since <= BLOCKED_MAX)
		return false;
	drop(t, DROP_tx_ring_full, b);
	return true;
}

/* Tries once more what found no room; true if nothing is blocked any more. */
static bool unblock(struct tx *t)
{
	struct burst *next;

	if (!t->blocked)
		return true;
	rcu_begin();
	for (; t->blocked; t->blocked = next) {
		next = t->blocked->next;
		if (!is_unblocked_rcu(t, t->blocked))
			break;
		t->blocked_since = t->now;
	}
	if (!t->blocked)
		t->blocked_end = &t->blocked;
	rcu_end();
	return !t->blocked;
}

static void wait_for_work(struct tx *t)
{
	bool is_reading = !t->blocked && !atomic_load(&t->network->has_failed);
	struct pollfd fds[2] = {
		{.fd = t->waker.fd, .events = POLLIN},
		{.fd = is_reading ? t->network->tun.fd : -1, .events = POLLIN},
	};
	nsec_t left = nsec_max(nsec_min(t->retry_at - t->now, BLOCKED_MAX), 0);
	struct timespec timeout = {.tv_nsec = left};

	atomic_store_explicit(&t->is_blocked, t->blocked != NULL, memory_order_relaxed);
	waker_sleep(&t->waker);
	if (!atomic_load(&t->stop) && !atomic_load(&t->has_kick) &&
	    !(t->blocked && ring_used(t->reports)))
		ppoll(fds, 2, t->blocked ? &timeout : NULL, NULL);
	waker_awake(&t->waker);
	/* A vanished interface shows as an error condition that never goes away. */
	if (fds[1].revents & (POLLERR | POLLHUP | POLLNVAL))
		network_fail(t->network, "the tunnel interface has vanished");
}

static void run(void *arg)
{
	struct tx *t = arg;
	struct network *n = t->network;
	int r = 0;

	/* Pacing wants to wake up in time. */
	prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
	while (!atomic_load_explicit(&t->stop, memory_order_relaxed)) {
		t->now = clock_now();
		take_reports(t);
		if (atomic_exchange_explicit(&t->has_kick, false, memory_order_acquire) ||
		    (t->is_staged_left && unblock(t))) {
			t->is_staged_left = false;
			for (size_t i = 0; i < n->n_bonds; i++)
				send_staged(t, &n->bonds[i]);
		}
		r = 1;
		for (int i = 0; i < READS_PER_ROUND && r > 0 && unblock(t); i++)
			r = read_tun(t);
		if (r == 0)
			close_burst(t);
		if (r < 0)
			network_fail(n, "the tunnel interface has vanished");
		if (!unblock(t) || r <= 0)
			wait_for_work(t);
	}
}

int tx_start(struct tx *t)
{
	return thread_start(&t->thread, "vt-tun", run, t);
}

void tx_stop(struct tx *t)
{
	atomic_store(&t->stop, true);
	waker_wake(&t->waker);
	thread_join(&t->thread);
}
