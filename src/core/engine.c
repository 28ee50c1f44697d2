/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * set_up() goes through its steps in order, tear_down() takes back in reverse what there is.
 * Between them the main loop waits for signals, clients of the control socket, and a network
 * that cannot go on. The sandbox is entered before there is any thread.
 */
#include "core/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/broker.h"
#include "control/record_json.h"
#include "control/server.h"
#include "core/actions.h"
#include "core/daemonize.h"
#include "core/events.h"
#include "core/exporters.h"
#include "core/networks.h"
#include "core/steer.h"
#include "core/uapi.h"
#include "crypto/aead.h"
#include "sandbox/sandbox.h"
#include "util/log.h"
#include "util/memory.h"
#include "util/rcu.h"
#include "util/thread.h"
#include "util/warnings.h"

/* Then threads and first handshakes have begun, which need what is seldom needed again. */
#define TRIM_AFTER (10 * NSEC_PER_SEC)

struct engine {
	const struct engine_settings *settings;
	const struct engine_channels *channels;
	int signal_fd;
	int null_fd; /* for 0-2, when the terminal is left */
	struct control *control;
	struct actions actions;
	struct broker *broker;
	struct events *events;
	struct exporters exporters;
	struct networks *networks;
	nsec_t alive_at; /* when the watchdog is to be told next */
	nsec_t trim_at;	 /* NSEC_NEVER: it has been done */
	struct uapi uapi;
};

/* Before there are threads that use keys. */
static int choose_aead(struct engine *e)
{
	const char *wanted = e->settings->config->daemon.aead;
	int r = aead_init(wanted);

	if (r == 0)
		log_info("packets are sealed by %s", aead_backend());
	else
		log_error("aead = %s: no back-end passes its check: %s", wanted, strerror(-r));
	return r;
}

/*
 * One descriptor tells of all signals; the threads started later have them blocked anyway. Those
 * that stop the daemon are the supervisor's, which then sends SIGTERM.
 */
static int open_signals(struct engine *e)
{
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	e->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	r = e->signal_fd < 0 ? -errno : 0;
	if (r < 0)
		log_error("cannot receive signals: %s", strerror(-r));
	return r;
}

static int open_control(struct engine *e)
{
	int r;

	actions_init(&e->actions);
	e->actions.pid = e->channels->parent;
	e->actions.instance = e->settings->instance;
	r = control_new(&e->control, e->settings->listeners->control.fd, e->actions.table,
			e->actions.n);
	if (r < 0)
		log_error("control socket %s: %s", e->settings->config->daemon.control_socket,
			  strerror(-r));
	return r;
}

static int open_broker(struct engine *e)
{
	int r = broker_new_remote(&e->broker, e->channels->broker);

	if (r < 0)
		log_error("cannot start: %s", strerror(-r));
	return r;
}

static void warn(void *ctx, const char *what, int error)
{
	(void)ctx;
	warning_add("sandbox: %s: %s", what, strerror(error));
}

/* What needs files is done before. */
static int enter_sandbox(struct engine *e)
{
	int r;

	tzset();
	e->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (e->null_fd < 0) {
		r = -errno;
		log_error("/dev/null: %s", strerror(-r));
		return r;
	}
	sandbox_hide_memory(e->settings->is_debug, warn, NULL);
	if (e->settings->config->daemon.is_sandboxed) {
		r = sandbox_enter(&e->settings->user, e->settings->instance, e->channels->parent,
				  warn, NULL);
	} else {
		log_notice("sandbox = off: all runs with the privilege it was started with");
		r = sandbox_die_with(e->channels->parent);
	}
	if (r < 0)
		log_error("cannot run under the supervisor: %s", strerror(-r));
	return r;
}

static int start_rcu(struct engine *e)
{
	int r = rcu_start();

	(void)e;
	if (r < 0)
		log_error("cannot start a thread: %s", strerror(-r));
	return r;
}

static void publish_event(void *ctx, const struct record *r)
{
	const struct engine *e = ctx;
	struct json_object *event = record_json(r);

	if (event && lifecycle_is_own(r->name))
		control_remember(e->control, event);
	else if (event)
		control_publish(e->control, event);
	json_object_put(event);
}

/* Of its own life the supervisor tells itself. */
static void tell_supervisor(void *ctx, const struct record *r)
{
	const struct engine *e = ctx;

	if (!lifecycle_is_own(r->name))
		broker_tell(e->broker, r);
}

/* The hook that an event runs, or -1. */
static int hook_of(const struct record *r)
{
	static const char *const events[] = {
#define X(key, event) event,
		HOOK_KINDS(X)
#undef X
	};

	const char *state = record_find(r, "state");

	for (int i = 0; i < HOOK_KIND_COUNT; i++) {
		size_t len = strcspn(events[i], "=");

		if (strncmp(r->name, events[i], len) != 0 || r->name[len])
			continue;
		if (!events[i][len] || (state && !strcmp(state, events[i] + len + 1)))
			return i;
	}
	return -1;
}

/* If the network has one. */
static void run_hook(void *ctx, const struct record *r)
{
	const struct engine *e = ctx;
	const struct config *c = e->settings->config;
	const char *network = record_find(r, "network");
	const struct network_settings *n = network ? config_find_network(c, network) : NULL;
	int hook = hook_of(r);

	if (n && hook >= 0 && *c->hooks[n - c->networks].paths[hook])
		broker_run_hook(e->broker, network, (enum hook_kind)hook, r);
}

static void post_exit(struct engine *e, const struct lifecycle_exit *exit)
{
	struct record r;

	lifecycle_exit_record(exit, &r);
	events_post(e->events, &r);
}

/* `event`: of those that every engine has. */
static void post_own(struct engine *e, const char *event, int level, const char *message)
{
	struct record r;

	record_init(&r, event);
	record_number(&r, "pid", "%d", getpid());
	record_add(&r, "instance", e->settings->instance);
	log_record(level, message, &r);
	events_post(e->events, &r);
}

static int open_events(struct engine *e)
{
	int r = events_new(&e->events);

	if (r < 0) {
		log_error("cannot start: %s", strerror(-r));
		return r;
	}
	events_listen(e->events, publish_event, e);
	events_listen(e->events, run_hook, e);
	if (e->settings->tells_events)
		events_listen(e->events, tell_supervisor, e);
	if (e->channels->before.engine)
		post_exit(e, &e->channels->before);
	post_own(e, "spawned", LOG_INFO, "engine is there");
	return 0;
}

static const char *cause_of(int status)
{
	if (status == ENGINE_DONE)
		return "its interface or its socket was removed";
	return status == EXIT_SUCCESS ? "told to stop" : "no network is left";
}

/* The last event. */
static void post_end(struct engine *e, int status)
{
	struct lifecycle_exit end = {
		.engine = getpid(), .status = W_EXITCODE(status, 0), .restart_in = NSEC_NEVER};

	strcpy(end.cause, cause_of(status));
	post_exit(e, &end);
}

static int start_networks(struct engine *e)
{
	int r = networks_new(&e->networks, e->settings->config, e->broker, e->events);

	if (r < 0) {
		log_error("cannot start: %s", strerror(-r));
		return r;
	}
	e->actions.networks = e->networks;
	e->actions.exporters = &e->exporters;
	e->actions.config = e->settings->config;
	e->actions.broker = e->broker;
	/* All may have been disabled, by a reload before the crash. */
	return networks_start(e->networks, e->channels->before.engine);
}

/* False when that was the last one. */
static bool survive_failures(struct engine *e)
{
	size_t n_before = networks_active(e->networks);

	networks_handle_failures(e->networks);
	if (networks_active(e->networks) || !n_before)
		return true;
	log_error("no network is left; stopping");
	return false;
}

static int open_metrics(struct engine *e)
{
	const struct listeners *l = e->settings->listeners;
	int r = 0;

	e->exporters.broker = e->broker;
	e->exporters.networks = e->networks;
	for (int i = 0; !r && i < BROKER_METRICS_KINDS; i++)
		if (l->metrics[i].fd >= 0)
			r = exporters_open(&e->exporters, (enum broker_metrics_kind)i,
					   l->metrics[i].fd);
	if (r < 0)
		log_error("cannot serve metrics: %s", strerror(-r));
	return r;
}

static int open_uapi(struct engine *e)
{
	int r = uapi_init(&e->uapi, e->networks, e->broker);

	if (r < 0)
		log_error("cannot serve wg(8): %s", strerror(-r));
	else
		uapi_follow(&e->uapi);
	return r;
}

static int judge_warnings(const struct engine *e)
{
	if (!warnings_count() || !e->settings->config->daemon.fails_on_warnings)
		return 0;
	log_error("fail_on_init_warnings = on: %zu warnings while starting; stopping",
		  warnings_count());
	return -ECANCELED;
}

/* The supervisor tells who waits for it; from here on it also writes the log. */
static int get_ready(struct engine *e)
{
	int r = survive_failures(e) ? judge_warnings(e) : -EIO;

	if (r < 0)
		return r;
	events_dispatch(e->events); /* what led to it comes before it */
	r = broker_ready(e->broker);
	if (r < 0) {
		log_error("whoever started the daemon did not wait for it; stopping");
		return r;
	}
	if (e->settings->leaves_terminal) {
		log_init_channel(e->channels->log);
		r = daemonize_leave_terminal(e->null_fd);
	}
	e->trim_at = clock_now() + TRIM_AFTER;
	post_own(e, "setup_finished", LOG_NOTICE, "ready");
	return r;
}

static int set_up(struct engine *e)
{
	static int (*const steps[])(struct engine *) = {
		choose_aead, open_signals,   open_control, open_events, open_broker, enter_sandbox,
		start_rcu,   start_networks, open_metrics, open_uapi,	get_ready,
	};
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(steps) / sizeof(*steps); i++)
		r = steps[i](e);
	return r;
}

static void tear_down(struct engine *e, int status)
{
	exporters_close(&e->exporters);
	uapi_deinit(&e->uapi);
	networks_free(e->networks);
	if (e->events && e->control) {
		post_end(e, status);
		events_dispatch(e->events);
	}
	events_free(e->events);
	broker_free(e->broker);
	control_free(e->control);
	if (e->null_fd >= 0)
		close(e->null_fd);
	if (e->signal_fd >= 0)
		close(e->signal_fd);
}

static void reload(struct engine *e)
{
	struct control_reply reply = {0};

	if (steer_reload(&e->actions, &reply))
		log_error("the configuration is not reloaded: %s", reply.message);
	else
		log_notice("the configuration is reloaded");
	json_object_put(reply.data);
}

static bool is_told_to_stop(struct engine *e)
{
	struct signalfd_siginfo info;

	while (read(e->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGHUP)
			return true;
		reload(e);
	}
	return false;
}

/*
 * Half of the time that the service manager gives us, what the metrics' clients have left, and the
 * end of the start.
 */
static int wait_ms(const struct engine *e)
{
	nsec_t now = clock_now();
	nsec_t until = nsec_max(e->trim_at, now);

	if (e->settings->watchdog_usecs)
		until = nsec_min(until, nsec_max(e->alive_at, now));
	until = nsec_min(until, exporters_deadline(&e->exporters, now));
	return until == NSEC_NEVER ? -1
				   : (int)nsec_min((until - now) / NSEC_PER_MSEC + 1, INT32_MAX);
}

/* Twice in the time that the service manager gives us, however much there is to do. */
static void tell_alive(struct engine *e, nsec_t now)
{
	if (!e->settings->watchdog_usecs || now < e->alive_at)
		return;
	broker_alive(e->broker);
	e->alive_at = now + (nsec_t)e->settings->watchdog_usecs * NSEC_PER_USEC / 2;
}

static void trim(struct engine *e, nsec_t now)
{
	if (now < e->trim_at)
		return;
	memory_trim();
	e->trim_at = NSEC_NEVER;
}

/* That is how wg-quick(8) and its like end a WireGuard in user space. */
static bool is_socket_removed(const struct engine *e)
{
	const struct listeners *l = e->settings->listeners;
	const char *wanted = strrchr(l->uapi->socket.address.sun_path, '/') + 1;
	_Alignas(struct inotify_event) char events[4096];
	ssize_t len = read(l->uapi_watch, events, sizeof(events));
	const struct inotify_event *event;

	for (char *at = events; at < events + len; at += sizeof(*event) + event->len) {
		event = (const void *)at;
		if (event->len && !strcmp(event->name, wanted)) {
			log_notice("%s has been removed; stopping", wanted);
			return true;
		}
	}
	return false;
}

/* What the main thread waits for. */
enum wait {
	WAIT_FAILURES,
	WAIT_SIGNALS,
	WAIT_CONTROL,
	WAIT_EVENTS,
	WAIT_UAPI,
	WAIT_UAPI_REMOVED,
	WAIT_METRICS,
	WAIT_COUNT = WAIT_METRICS + BROKER_METRICS_KINDS,
};

/* A reload may open others for the metrics. */
static void list_waits(const struct engine *e, struct pollfd fds[WAIT_COUNT])
{
	for (int i = 0; i < WAIT_COUNT; i++)
		fds[i] = (struct pollfd){.events = POLLIN};
	fds[WAIT_FAILURES].fd = networks_failure_fd(e->networks);
	fds[WAIT_SIGNALS].fd = e->signal_fd;
	fds[WAIT_CONTROL].fd = control_fd(e->control);
	fds[WAIT_EVENTS].fd = events_fd(e->events);
	fds[WAIT_UAPI].fd = uapi_server_fd(e->uapi.server);
	fds[WAIT_UAPI_REMOVED].fd = e->settings->listeners->uapi_watch;
	for (int i = 0; i < BROKER_METRICS_KINDS; i++)
		fds[WAIT_METRICS + i].fd = exporters_fd(&e->exporters, (enum broker_metrics_kind)i);
}

/* The exit status. */
static int main_loop(struct engine *e)
{
	struct pollfd fds[WAIT_COUNT];

	for (;;) {
		int n;

		list_waits(e, fds);
		n = poll(fds, WAIT_COUNT, wait_ms(e));
		if (n < 0) {
			if (errno == EINTR)
				continue;
			log_error("poll: %m; stopping");
			return EXIT_FAILURE;
		}
		tell_alive(e, clock_now());
		trim(e, clock_now());
		exporters_dispatch(&e->exporters);
		if (n == 0)
			continue;
		if (fds[WAIT_FAILURES].revents && !survive_failures(e))
			return e->settings->ends_with_interface ? ENGINE_DONE : EXIT_FAILURE;
		if (fds[WAIT_SIGNALS].revents && is_told_to_stop(e))
			return EXIT_SUCCESS;
		if (fds[WAIT_CONTROL].revents)
			control_dispatch(e->control);
		if (fds[WAIT_EVENTS].revents)
			events_dispatch(e->events);
		if (fds[WAIT_UAPI].revents)
			uapi_server_dispatch(e->uapi.server);
		if (fds[WAIT_UAPI_REMOVED].revents && is_socket_removed(e))
			return ENGINE_DONE;
		uapi_follow(&e->uapi);
	}
}

int engine_run(const struct engine_settings *s, const struct engine_channels *channels)
{
	struct engine e = {.settings = s, .channels = channels, .signal_fd = -1, .null_fd = -1};
	int status = EXIT_FAILURE;
	int r = thread_adopt();

	if (r < 0) {
		log_error("cannot start: %s", strerror(-r));
		return status;
	}
	if (set_up(&e) == 0)
		status = main_loop(&e);
	tear_down(&e, status);
	thread_disown();
	return status;
}
