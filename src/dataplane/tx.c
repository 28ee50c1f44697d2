/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Packets are sealed from where they were read into the open burst, which is the only time that
 * they are copied: cut, sealed, and the headers of the next are written over the tail of what has
 * been sealed (tun/split.h). The burst is closed when the next packet does not fit it (another
 * peer, session or size, full), when somebody else has taken a counter in between, after a shorter
 * packet, and when the interface has nothing more.
 *
 * A sealed burst that finds no room on any path is kept by its bond; until it has left, that
 * bond's packets wait in its flow queues (as they do without a session), and the bond is busy.
 * With a single peer whose queues are full, nothing is read, so that the sender is held up;
 * with several, that one's packets are dropped, so that the others are not.
 */
#include "dataplane/tx.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "crypto/keys.h"
#include "dataplane/filling.h"
#include "dataplane/network_state.h"
#include "dataplane/sparse.h"
#include "tun/split.h"
#include "util/log.h"
#include "wire/inner.h"
#include "wire/mss.h"

/*
 * A burst that finds no room for so long is dropped: the path is as good as dead. Nor may there
 * be a path yet: a peer that has just been heard for the first time waits for the monitor.
 */
#define WAITING_MAX (200 * NSEC_PER_MSEC)
/* Packets that wait for a session longer than this are of no use to anybody. */
#define SESSION_WAIT_MAX (10 * NSEC_PER_SEC)
/* Cells that what is read at once may take in a flow queue. */
#define READ_CELLS 4
/* Reads between two looks at the clock. */
#define READS_PER_ROUND 16

struct posted_frame {
	struct bond *bond;
	struct frame frame;
	nsec_t at;
};

struct tx {
	struct network *network;
	struct thread thread;
	struct waker waker;
	struct errands errands;
	_Atomic bool stop;
	_Atomic bool has_kick;
	_Atomic bool is_waiting; /* a report may be what we wait for */
	struct ring *frames;
	/* TUN reader */
	nsec_t now;
	struct filling open; /* the burst that packets are sealed into */
	struct bond *busy;   /* bonds with something waiting, through next_busy */
	struct log_limit no_path_limit;
	struct parcel *read; /* what the interface is read into */
	size_t read_bytes;
};

int tx_new(struct tx **ret, struct network *n)
{
	struct tx *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return -ENOMEM;
	t->network = n;
	t->waker.fd = -1;
	r = ring_new(&t->frames, n->settings->sizes.event_queue / 2, sizeof(struct posted_frame));
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

/* Gives back what the way out keeps for a bond. */
static void forget(struct bond *bond)
{
	drop_chain(&bond->waiting);
	flowq_free(bond->queue);
	bond->queue = NULL;
	spread_free(bond->spread);
	bond->spread = NULL;
}

void tx_free(struct tx *t)
{
	if (!t)
		return;
	filling_drop(&t->open);
	for (size_t i = 0; i < t->network->n_bonds; i++)
		forget(t->network->bonds[i]);
	if (t->read)
		pool_give(t->network->bursts, t->read);
	waker_deinit(&t->waker);
	ring_free(t->frames);
	free(t);
}

void tx_kick(struct tx *t)
{
	atomic_store_explicit(&t->has_kick, true, memory_order_release);
	waker_wake(&t->waker);
}

bool tx_post_frame(struct tx *t, struct bond *bond, const struct frame *frame, nsec_t at)
{
	const struct posted_frame p = {bond, *frame, at};

	if (!ring_push(t->frames, &p))
		return false;
	if (frame->type == FRAME_REPAIR ||
	    atomic_load_explicit(&t->is_waiting, memory_order_relaxed))
		waker_wake(&t->waker);
	return true;
}

static void make_busy(struct tx *t, struct bond *bond)
{
	if (bond->is_busy)
		return;
	bond->is_busy = true;
	bond->next_busy = t->busy;
	t->busy = bond;
}

static void take_frames(struct tx *t)
{
	struct posted_frame p;

	if (!ring_used(t->frames))
		return;
	rcu_begin();
	while (ring_pop(t->frames, &p)) {
		struct spread *s = p.bond->spread;

		if (!s)
			continue; /* it is told of what we never sent */
		if (p.frame.type == FRAME_REPORT)
			spread_report_rcu(s, rcu_read(&p.bond->paths), &p.frame.report, p.at);
		else if (spread_want(s, &p.frame.repair))
			make_busy(t, p.bond);
	}
	rcu_end();
}

void tx_remove_bonds(struct tx *t, struct bond **bonds, size_t n)
{
	struct bond **at = &t->busy;
	struct bond *bond;

	take_frames(t); /* after this nobody posts any of these */
	if (t->open.burst && t->open.burst->bond->is_removed)
		filling_drop(&t->open);
	while ((bond = *at)) {
		if (bond->is_removed)
			*at = bond->next_busy;
		else
			at = &bond->next_busy;
	}
	for (size_t i = 0; i < n; i++)
		forget(bonds[i]);
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
static void keep_waiting(struct tx *t, struct burst *b)
{
	struct bond *bond = b->bond;

	if (!bond->waiting) {
		bond->waiting_since = t->now;
		bond->waiting_end = &bond->waiting;
	}
	b->next = NULL;
	*bond->waiting_end = b;
	bond->waiting_end = &b->next;
	make_busy(t, bond);
}

/* Sends a sealed burst, or leaves it the caller's. */
static enum spread_result try_transmit_rcu(struct tx *t, struct burst *b)
{
	struct bond *bond = b->bond;
	enum spread_result result =
		spread_send_rcu(bond->spread, rcu_read(&bond->paths), b, t->now, &bond->retry_at);

	if (result != SPREAD_SENT)
		return result;
	if (spread_deadline(bond->spread, t->now) != NSEC_NEVER)
		make_busy(t, bond);
	burst_put(b);
	return result;
}

/* Is it sent, or has it waited too long? The second try is the one that misses no room made. */
static bool is_off_our_hands_rcu(struct tx *t, struct burst *b)
{
	enum spread_result result = try_transmit_rcu(t, b);

	if (result == SPREAD_SENT)
		return true;
	spread_want_room_rcu(rcu_read(&b->bond->paths));
	result = try_transmit_rcu(t, b);
	if (result == SPREAD_SENT)
		return true;
	if (t->now - b->bond->waiting_since <= WAITING_MAX)
		return false;
	if (result == SPREAD_NO_PATH)
		warn_no_path(t, b->bond);
	drop(t, result == SPREAD_NO_PATH ? DROP_tx_no_path : DROP_tx_ring_full, b);
	return true;
}

/* Tries once more what found no room; true if nothing of it waits any more. */
static bool send_waiting(struct tx *t, struct bond *bond)
{
	struct burst *next;

	rcu_begin();
	for (; bond->waiting; bond->waiting = next) {
		next = bond->waiting->next;
		if (!is_off_our_hands_rcu(t, bond->waiting))
			break;
		bond->waiting_since = t->now;
	}
	rcu_end();
	return !bond->waiting;
}

static uint64_t burst_limit(const struct tx *t, struct bond *bond)
{
	uint64_t limit;

	rcu_begin();
	limit = spread_burst_bytes_rcu(bond->spread, rcu_read(&bond->paths), t->now);
	rcu_end();
	return limit < t->network->burst_bytes ? limit : t->network->burst_bytes;
}

static void tune_queue(const struct tx *t, struct bond *bond)
{
	nsec_t round_trip;
	bool is_fast;

	rcu_begin();
	round_trip = spread_round_trip_rcu(bond->spread, rcu_read(&bond->paths), t->now, &is_fast);
	rcu_end();
	flowq_set_timing(bond->queue, round_trip, is_fast);
	flowq_set_turn(bond->queue, burst_limit(t, bond), network_mtu(t->network));
}

/* Sends the open burst. */
static void close_burst(struct tx *t)
{
	struct burst *b = t->open.burst;
	struct keypair *k;

	if (!b)
		return;
	if (!b->n) {
		filling_drop(&t->open); /* libcrypto has refused what it was opened for */
		return;
	}
	t->open.burst = NULL;
	k = b->session;
	b->session = NULL;
	path_count_add(&b->bond->inner_sent, b->n, b->len - (uint64_t)b->n * MESSAGE_DATA_OVERHEAD);
	peer_mark_sent(&b->bond->peer, t->now, true);
	peer_check_rekey_sent(&b->bond->peer, k, t->now);
	keypair_put(k);
	rcu_begin();
	/* Behind what waits already, so that nothing overtakes. */
	if (b->bond->waiting || try_transmit_rcu(t, b) != SPREAD_SENT)
		keep_waiting(t, b);
	rcu_end();
}

/* Puts one inner packet into the open burst; inside a read section. */
static void add_packet(struct tx *t, struct bond *bond, struct keypair *k, uint8_t *packet,
		       size_t len)
{
	uint32_t mtu = network_mtu(t->network);
	size_t padded = wg_padded_len(len, mtu);
	uint32_t datagram = datagram_len(padded);
	bool is_urgent =
		spread_is_urgent_rcu(bond->spread, rcu_read(&bond->paths), packet, len, t->now);
	uint64_t counter;

	if (network_clamps_mss(t->network))
		mss_clamp(packet, len, mtu);
	if (datagram > t->network->burst_bytes) {
		drops_add(&t->network->drops, DROP_tx_too_big, 1);
		return;
	}
	if (!keypair_take_counters(k, 1, &counter)) {
		drops_add(&t->network->drops, DROP_tx_no_session, 1);
		return;
	}
	if (!filling_fits(&t->open, bond, k, counter, datagram, is_urgent)) {
		close_burst(t);
		if (!filling_open(&t->open, bond, k, burst_limit(t, bond), is_urgent)) {
			drops_add(&t->network->drops, DROP_tx_no_buffer, 1);
			return;
		}
	}
	if (!filling_seal(&t->open, counter, packet, len, padded)) {
		drops_add(&t->network->drops, DROP_tx_no_session, 1);
		return;
	}
	if (datagram < t->open.burst->stride)
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

/* What the links need to receive and send is not for the flow queues to fill. */
static bool is_pool_low(const struct network *n, size_t needed)
{
	return pool_available(n->bursts) < n->n_links * network_bursts_per_link(n) + needed;
}

/* Queues the read as it is; false if that is not worth its cell, or there is no room. */
static bool enqueue_whole(struct tx *t, struct flowq *q)
{
	struct pool *pool = t->network->bursts;
	struct parcel *fresh;

	if (split_bytes_left(&t->read->split) < PARCEL_WHOLE_MIN || is_pool_low(t->network, 1))
		return false;
	fresh = pool_take(pool);
	if (!fresh)
		return false;
	if (!flowq_push_whole(q, t->read, t->now)) {
		pool_give(pool, fresh);
		return false;
	}
	t->read = fresh;
	return true;
}

/* Queues what is left of the read and cannot leave now. */
static void enqueue(struct tx *t, struct bond *bond)
{
	struct network *n = t->network;
	uint8_t *packet;
	uint64_t key;
	size_t len;

	if (!bond->queue) {
		keys_random(&key, sizeof(key));
		if (flowq_new(&bond->queue, n->bursts, n->settings->sizes.queue_buffers,
			      n->cell_room, key) < 0)
			bond->queue = NULL;
	}
	if (!bond->queue || !enqueue_whole(t, bond->queue)) {
		while ((packet = split_next(&t->read->split, &len))) {
			if (!bond->queue || is_pool_low(n, 0) ||
			    !flowq_push(bond->queue, packet, len, t->now))
				drops_add(&n->drops, DROP_tx_queue_full, 1);
		}
	}
	if (!flowq_is_empty(bond->queue))
		make_busy(t, bond);
}

/* Sends what was read, as far as nothing waits before it. */
static void send_read(struct tx *t, struct bond *bond)
{
	struct split *s = &t->read->split;
	struct keypair *k;
	uint8_t *packet;
	size_t len;

	rcu_begin();
	k = peer_send_session_rcu(&bond->peer, t->now);
	while (k && !bond->waiting && flowq_is_empty(bond->queue) && (packet = split_next(s, &len)))
		add_packet(t, bond, k, packet, len);
	rcu_end();
	if (!k)
		peer_poke(&bond->peer, POKE_HANDSHAKE);
	if (split_bytes_left(s))
		enqueue(t, bond);
}

/* It comes with the first packet to the peer. */
static bool has_spread(struct tx *t, struct bond *bond)
{
	struct spread *s;

	if (bond->spread)
		return true;
	if (spread_new(&s, t->network->sent) < 0)
		return false;
	/* release: status reads through it */
	atomic_store_explicit(&bond->spread, s, memory_order_release);
	return true;
}

static void take_read(struct tx *t, const struct virtio_net_hdr *header, size_t len)
{
	struct bond *bond = route(t, t->read->data, len);

	if (!bond)
		return;
	if (!has_spread(t, bond)) {
		drops_add(&t->network->drops, DROP_tx_no_buffer, 1);
		return;
	}
	if (len <= SPARSE_BYTES)
		bond->spread->small_at = t->now;
	if (split_begin(&t->read->split, header, t->read->data, len) < 0)
		drops_add(&t->network->drops, DROP_tx_malformed, 1);
	else
		send_read(t, bond);
}

/* The peer need not wait for what it asked for and we have not kept. */
static void tell_gone_rcu(struct tx *t, struct bond *bond)
{
	const struct keypair *k = peer_send_session_rcu(&bond->peer, t->now);
	uint8_t payload[FRAME_PACKET_MAX];
	struct resend_gone gone;
	struct frame f = {.type = FRAME_APART};
	int len;

	while (resend_take_gone(&bond->spread->resend, &gone)) {
		if (!k || k->remote_index != gone.session)
			continue;
		f.apart.counter = gone.first;
		f.apart.n = gone.n;
		len = frame_write(&f, payload, sizeof(payload));
		if (len > 0)
			bond_send_control_rcu(bond, NULL, payload, (size_t)len, t->now);
	}
}

/* What is to be sent again comes before all that waits; false if there is no room for it. */
static bool send_again(struct tx *t, struct bond *bond)
{
	bool is_done;

	rcu_begin();
	is_done = spread_resend_rcu(bond->spread, rcu_read(&bond->paths), t->network->bursts,
				    t->now, &bond->retry_at);
	if (!is_done)
		spread_want_room_rcu(rcu_read(&bond->paths));
	tell_gone_rcu(t, bond);
	rcu_end();
	return is_done;
}

/* Sends what waits, as far as there is room. */
static void progress(struct tx *t, struct bond *bond)
{
	struct flowq_stats stats;
	struct keypair *k;
	uint8_t *packet;
	size_t len;

	bond->is_resending = !send_again(t, bond);
	if (bond->is_resending || !send_waiting(t, bond) || flowq_is_empty(bond->queue))
		return;
	tune_queue(t, bond);
	rcu_begin();
	k = peer_send_session_rcu(&bond->peer, t->now);
	while (k && send_waiting(t, bond) && (packet = flowq_pop(bond->queue, t->now, &len))) {
		add_packet(t, bond, k, packet, len);
		/* The receiver joins best what comes in one burst. */
		if (flowq_is_turn_over(bond->queue))
			close_burst(t);
	}
	rcu_end();
	if (!k)
		flowq_expire(bond->queue, t->now, SESSION_WAIT_MAX);
	stats = flowq_take_stats(bond->queue);
	if (stats.dropped)
		drops_add(&t->network->drops, DROP_tx_queue, stats.dropped);
}

static bool is_waiting(const struct bond *bond)
{
	return bond->waiting || bond->is_resending || !flowq_is_empty(bond->queue);
}

static void progress_all(struct tx *t)
{
	struct bond *bond = t->busy;
	struct bond *next;

	t->busy = NULL;
	for (; bond; bond = next) {
		next = bond->next_busy;
		bond->is_busy = false;
		progress(t, bond);
		if (is_waiting(bond) || spread_deadline(bond->spread, t->now) != NSEC_NEVER)
			make_busy(t, bond);
	}
}

/* Would reading more only fill the queues of our one peer further? */
static bool is_held_up(const struct tx *t)
{
	return t->busy && t->network->n_bonds == 1 && is_waiting(t->busy) &&
	       (flowq_is_full(t->busy->queue) || is_pool_low(t->network, READ_CELLS));
}

/* 1: read something; 0: nothing there; -errno: the interface is gone. */
static int read_tun(struct tx *t)
{
	struct virtio_net_hdr header = {0};
	size_t header_len = t->network->tun.has_header ? sizeof(header) : 0;
	struct iovec iov[2] = {{&header, header_len}, {t->read->data, t->read_bytes}};
	ssize_t n = readv(t->network->tun.fd, iov, 2);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if ((size_t)n <= header_len) {
		drops_add(&t->network->drops, DROP_tx_malformed, 1);
		return 1;
	}
	take_read(t, &header, (size_t)n - header_len);
	return 1;
}

/* When the first of the busy bonds is to be looked at again. */
static nsec_t next_retry(const struct tx *t)
{
	nsec_t at = NSEC_NEVER;

	for (const struct bond *bond = t->busy; bond; bond = bond->next_busy) {
		at = nsec_min(at, spread_deadline(bond->spread, t->now));
		if (bond->waiting || bond->is_resending)
			at = nsec_min(at, nsec_min(bond->retry_at, t->now + WAITING_MAX));
		else
			at = nsec_min(at, t->now + NSEC_PER_SEC); /* for a session; tx_kick() */
	}
	return at;
}

static void wait_for_work(struct tx *t)
{
	bool is_reading = !is_held_up(t) && !atomic_load(&t->network->has_failed);
	struct pollfd fds[2] = {
		{.fd = t->waker.fd, .events = POLLIN},
		{.fd = is_reading ? t->network->tun.fd : -1, .events = POLLIN},
	};
	nsec_t left = nsec_max(next_retry(t) - t->now, 0);
	struct timespec timeout = {.tv_sec = left / NSEC_PER_SEC, .tv_nsec = left % NSEC_PER_SEC};

	atomic_store_explicit(&t->is_waiting, t->busy != NULL, memory_order_relaxed);
	waker_sleep(&t->waker);
	if (!atomic_load(&t->stop) && !atomic_load(&t->has_kick) && !errands_wait(&t->errands) &&
	    !(t->busy && ring_used(t->frames)))
		ppoll(fds, 2, t->busy ? &timeout : NULL, NULL);
	waker_awake(&t->waker);
	/* A vanished interface shows as an error condition that never goes away. */
	if (fds[1].revents & (POLLERR | POLLHUP | POLLNVAL))
		network_fail(t->network, "the tunnel interface has vanished");
}

static void run(void *arg)
{
	struct tx *t = arg;
	int r;

	/* Pacing wants to wake up in time. */
	prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
	while (!atomic_load_explicit(&t->stop, memory_order_relaxed)) {
		t->now = clock_now();
		errands_do(&t->errands);
		take_frames(t);
		/* The kick itself says nothing: all that waits is looked at in any case. */
		atomic_store_explicit(&t->has_kick, false, memory_order_relaxed);
		atomic_thread_fence(memory_order_seq_cst);
		progress_all(t);
		r = 1;
		for (int i = 0; i < READS_PER_ROUND && r > 0 && !is_held_up(t); i++)
			r = read_tun(t);
		if (r == 1 && !is_held_up(t))
			continue;
		/* What found no room on closing gets its second look before we sleep. */
		do {
			close_burst(t);
			progress_all(t);
		} while (t->open.burst);
		if (r < 0)
			network_fail(t->network, "the tunnel interface has vanished");
		wait_for_work(t);
	}
}

int tx_start(struct tx *t)
{
	const struct network *n = t->network;
	int r;

	t->read = pool_take(n->bursts);
	t->read_bytes = n->cell_room - sizeof(*t->read) - PARCEL_SLACK;
	r = t->read ? thread_start(&t->thread, "vt-tun", run, t) : -ENOMEM;
	if (r == 0)
		errands_open(&t->errands);
	return r;
}

void tx_stop(struct tx *t)
{
	atomic_store(&t->stop, true);
	waker_wake(&t->waker);
	thread_join(&t->thread);
	errands_close(&t->errands);
}

void tx_visit(struct tx *t, errand_fn visit, void *arg)
{
	errands_send(&t->errands, &t->waker, visit, arg);
}
