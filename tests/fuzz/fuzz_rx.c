/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * A received burst, all the way to the tunnel interface and the monitor: nothing that it holds
 * keeps a buffer. Input: length of a datagram (one byte, times eight), the link, milliseconds
 * since the last one, then the datagrams. One whose first byte is above 127 is sealed by the
 * peer first, so that what lies behind its header comes out as the plaintext.
 */
#include "broker/server.h"
#include "fuzz.h"

#include <fcntl.h>
#include <stdlib.h>

#define must(condition)                                                                            \
	do {                                                                                       \
		if (!(condition))                                                                  \
			abort();                                                                   \
	} while (0)
#include "../unit/handmade.h"
#include "util/log.h"

#define SEALED 0x80
#define SESSION_LASTS (100 * NSEC_PER_SEC)

static struct timerq timers;
static struct resolver *resolver;
static nsec_t now = T0;
static nsec_t session_began;

static void begin(void)
{
	const struct probe_context context = {&net, &timers, &resolver};

	log_init(LOG_SINK_STDERR, LOG_ERR);
	handmade_settings(1, 2);
	handmade_begin();
	close(net.tun.fd);
	net.tun.fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	timerq_init(&timers);
	for (unsigned i = 0; i < 2; i++)
		atomic_store(&net.links[i]->is_open, true);
	if (probe_new(&net.bonds[0]->probe, &context, net.bonds[0], now) < 0)
		abort();
}

static void advance(nsec_t time)
{
	now += time;
	if (session_began && now - session_began < SESSION_LASTS)
		return;
	begin_session(net.bonds[0], now);
	session_began = now;
}

static void seal(uint8_t *datagram, uint32_t len)
{
	struct wg_data header = {
		.type = le32_make(MESSAGE_DATA),
		.receiver_index = le32_make(far[0]->remote_index),
	};
	struct aead_job job = {
		.dst = datagram + sizeof(header),
		.src = datagram + sizeof(header),
		.len = len - MESSAGE_DATA_OVERHEAD,
		/* near the last one, before it or behind it */
		.counter = atomic_fetch_add(&far[0]->tx_counter, 1) + datagram[1] % 8,
	};

	header.counter = le64_make(job.counter);
	memcpy(datagram, &header, sizeof(header));
	if (aead_seal(far[0]->send, &job, 1) != 1)
		abort();
}

static struct burst *make_burst(const uint8_t *data, size_t size, uint32_t stride)
{
	struct burst *b = burst_take(net.bursts);

	if (!b)
		abort();
	b->len = (uint32_t)(size < HANDMADE_BURST_BYTES ? size : HANDMADE_BURST_BYTES);
	b->stride = stride;
	memcpy(b->data, data, b->len);
	burst_count(b);
	for (uint32_t i = 0; i < b->n; i++) {
		uint8_t *datagram = burst_datagram(b, i);
		uint32_t len = burst_datagram_len(b, i);

		if (len >= MESSAGE_DATA_OVERHEAD && (datagram[0] & SEALED))
			seal(datagram, len);
	}
	return b;
}

/* What the monitor answered, and handshake messages, go nowhere. */
static void empty_queues(void)
{
	struct link_tx tx;

	monitor_work(net.monitor, now);
	timerq_run(&timers, now);
	for (unsigned i = 0; i < 2; i++) {
		while (ring_pop(net.links[i]->tx, &tx))
			burst_put(tx.burst);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct link *l;
	struct burst *b;

	if (!net.monitor)
		begin();
	if (size < 3)
		return 0;
	advance(data[2] * NSEC_PER_MSEC);
	l = net.links[data[1] % 2];
	b = make_burst(data + 3, size - 3, data[0] * 8U);
	b->link = l;
	b->from = endpoint_of(data[1] & 2 ? "192.0.2.1" : "192.0.2.2");
	b->received = now;
	b = rx_link_calls.received(&net, &l->workers[0], b);
	if (b)
		rx_link_calls.deliver(&net, &l->workers[0], b, now);
	rx_link_calls.batch_done(&net, &l->workers[0], now);
	empty_queues();
	if (pool_available(net.bursts) != HANDMADE_BURSTS)
		abort();
	return 0;
}
