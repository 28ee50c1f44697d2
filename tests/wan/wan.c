/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * WAN emulator: joins two interfaces of a network namespace like a link with the properties of
 * settings.h. See docs/design/wan-emulator.md.
 *
 * One thread turns: take in what has come, send what has arrived, sleep until the next packet
 * is due or comes in. Turns are paced to one in TURN on average, so that a dense flow is
 * handled in batches while a lone packet is handled at once.
 */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "control.h"
#include "oneway.h"
#include "options.h"
#include "port.h"
#include "util/clock.h"

#define TURN (250 * NSEC_PER_USEC)
#define TURNS_AT_ONCE 4 /* after a pause */

struct wire {
	struct options options;
	struct port ports[WAYS]; /* the one where that direction comes in */
	struct oneway *ways[WAYS];
	struct control control;
	nsec_t started;
	nsec_t now;   /* of this turn */
	nsec_t paced; /* no turn before it */
};

struct incoming {
	struct oneway *way;
	nsec_t now;
};

static volatile sig_atomic_t is_stopping;

static void stop(int number)
{
	(void)number;
	is_stopping = 1;
}

static void send_to_port(void *port, struct packet *const *packets, size_t n)
{
	port_send(port, packets, n);
}

static void take_frame(void *context, const struct virtio_net_hdr *vnet, const uint8_t *frame,
		       size_t len)
{
	struct incoming *in = context;

	oneway_receive(in->way, in->now, vnet, frame, len);
}

static void apply_settings(struct wire *w)
{
	for (int way = 0; way < WAYS; way++)
		oneway_set(w->ways[way], w->now, &w->options.settings[way]);
}

static void report_way(struct wire *w, int way, FILE *to)
{
	const struct oneway_counters *c = oneway_counters(w->ways[way]);

	port_count_overruns(&w->ports[way]);
	fprintf(to, "{");
#define X(name) fprintf(to, "\"" #name "\": %llu, ", (unsigned long long)c->name);
	ONEWAY_COUNTERS(X)
#undef X
	fprintf(to, "\"queued_bytes\": %llu, \"overruns\": %llu, \"send_failures\": %llu}",
		(unsigned long long)oneway_queued_bytes(w->ways[way]),
		(unsigned long long)w->ports[way].overruns,
		(unsigned long long)w->ports[!way].send_failures);
}

static void report(struct wire *w, FILE *to)
{
	fprintf(to, "{\"seconds\": %.6f, \"cpu_seconds\": %.6f, \"up\": ",
		(double)(clock_now() - w->started) / 1e9,
		(double)clock_read(CLOCK_PROCESS_CPUTIME_ID) / 1e9);
	report_way(w, UP, to);
	fprintf(to, ", \"down\": ");
	report_way(w, DOWN, to);
	fprintf(to, "}\n");
}

static void obey(void *context, const char *line, FILE *answer)
{
	struct wire *w = context;
	char wrong[SETTINGS_WORD_MAX];

	if (strcmp(line, "stats") == 0) {
		report(w, answer);
		return;
	}
	if (strcmp(line, "restart") == 0) {
		schedule_start(&w->options.schedule, w->now);
	} else if (settings_assign(w->options.settings, line, wrong) < 0) {
		fprintf(answer, "no such setting: '%s'\n", wrong);
		return;
	}
	apply_settings(w);
	fprintf(answer, "ok\n");
}

static void follow_schedule(struct wire *w)
{
	char wrong[SETTINGS_WORD_MAX];
	const char *line;

	while ((line = schedule_due(&w->options.schedule, w->now))) {
		/* Has been tried when it was added. */
		(void)settings_assign(w->options.settings, line, wrong);
		apply_settings(w);
	}
}

static void turn(struct wire *w)
{
	w->now = clock_now();
	w->paced = nsec_max(w->paced, w->now - TURNS_AT_ONCE * TURN) + TURN;
	follow_schedule(w);
	if (w->control.fd >= 0)
		control_serve(&w->control, obey, w);
	for (int way = 0; way < WAYS; way++)
		port_receive(&w->ports[way], take_frame, &(struct incoming){w->ways[way], w->now});
	for (int way = 0; way < WAYS; way++)
		oneway_run(w->ways[way], w->now);
}

static struct timespec until(nsec_t deadline, nsec_t now)
{
	nsec_t left = nsec_max(deadline - now, 0);

	return (struct timespec){left / NSEC_PER_SEC, left % NSEC_PER_SEC};
}

/* Returns early for what comes in, unless turns have been too many; and for signals always. */
static void wait_for_turn(struct wire *w, const sigset_t *signals)
{
	struct pollfd fds[] = {
		{.fd = w->ports[UP].fd, .events = POLLIN},
		{.fd = w->ports[DOWN].fd, .events = POLLIN},
		{.fd = w->control.fd, .events = POLLIN},
	};
	bool is_pausing = w->paced > clock_now();
	nsec_t deadline = w->paced;
	struct timespec timeout;

	if (!is_pausing)
		deadline = nsec_min(schedule_next(&w->options.schedule),
				    nsec_min(oneway_next(w->ways[UP]), oneway_next(w->ways[DOWN])));
	timeout = until(deadline, clock_now());
	(void)ppoll(fds, is_pausing ? 0 : sizeof(fds) / sizeof(fds[0]),
		    deadline == NSEC_NEVER ? NULL : &timeout, signals);
}

static const struct port *gone_port(const struct wire *w)
{
	for (int way = 0; way < WAYS; way++)
		if (w->ports[way].is_gone)
			return &w->ports[way];
	return NULL;
}

static void run(struct wire *w, const sigset_t *signals)
{
	w->started = clock_now();
	schedule_start(&w->options.schedule, w->started);
	while (!is_stopping && !gone_port(w)) {
		turn(w);
		wait_for_turn(w, signals);
	}
	if (gone_port(w))
		fprintf(stderr, "wan: %s has vanished\n", gone_port(w)->name);
}

static void fail(const char *what, int r)
{
	fprintf(stderr, "wan: %s: %s\n", what, strerror(-r));
	exit(1);
}

static void open_way(struct wire *w, int way)
{
	struct port *to = &w->ports[!way], *from = &w->ports[way];
	size_t frame_max = to->frame_max > from->frame_max ? to->frame_max : from->frame_max;
	struct oneway_options o = {
		.settings = w->options.settings[way],
		.forward = {send_to_port, to},
		.back = {send_to_port, from},
		.packets = w->options.memory_bytes / (sizeof(struct packet) + frame_max) + 1,
		.frame_max = frame_max,
		.seed = w->options.seed * WAYS + (uint64_t)way,
	};
	int r = oneway_new(&w->ways[way], &o);

	if (r < 0)
		fail("memory for packets", r);
}

static void open_wire(struct wire *w)
{
	for (int way = 0; way < WAYS; way++) {
		int r = port_open(&w->ports[way], w->options.interfaces[way]);

		if (r < 0)
			fail(w->options.interfaces[way], r);
	}
	for (int way = 0; way < WAYS; way++)
		open_way(w, way);
	w->control.fd = -1;
	if (w->options.control) {
		int r = control_open(&w->control, w->options.control);

		if (r < 0)
			fail(w->options.control, r);
	}
}

static void close_wire(struct wire *w)
{
	control_close(&w->control);
	for (int way = 0; way < WAYS; way++) {
		oneway_free(w->ways[way]);
		port_close(&w->ports[way]);
	}
	options_deinit(&w->options);
}

/* Real wires don't wait for a processor. */
static void hurry(void)
{
	struct sched_param least = {.sched_priority = sched_get_priority_min(SCHED_RR)};

	if (sched_setscheduler(0, SCHED_RR, &least) < 0)
		(void)setpriority(PRIO_PROCESS, 0, -20);
	(void)prctl(PR_SET_TIMERSLACK, 1);
}

/* Stop signals come in while the thread waits, and only then. */
static void catch_signals(sigset_t *ret_waiting)
{
	struct sigaction action = {.sa_handler = stop};
	sigset_t stops;

	sigemptyset(&stops);
	sigaddset(&stops, SIGTERM);
	sigaddset(&stops, SIGINT);
	sigprocmask(SIG_BLOCK, &stops, ret_waiting);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigdelset(ret_waiting, SIGTERM);
	sigdelset(ret_waiting, SIGINT);
}

int main(int argc, char **argv)
{
	static struct wire wire;
	sigset_t waiting;

	options_parse(&wire.options, argc, argv);
	catch_signals(&waiting);
	hurry();
	open_wire(&wire);
	run(&wire, &waiting);
	report(&wire, stdout);
	close_wire(&wire);
	return 0;
}
