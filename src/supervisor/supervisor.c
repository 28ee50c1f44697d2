/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * One loop over signals, the engine's requests and its log. An engine is in one of three ways:
 * it runs, it is waited for to end, or it has crashed and the next one is due at restart_at.
 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/channel.h"
#include "broker/server.h"
#include "crypto/keys.h"
#include "supervisor/backoff.h"
#include "supervisor/helper.h"
#include "util/log.h"
#include "util/memory.h"

/* An engine that does not stop in this time is killed. */
#define STOP_TIMEOUT (5 * NSEC_PER_SEC)
#define LOG_LINE_MAX 1024
/* One for each network that has names is enough, with room for those that are just ending. */
#define HELPERS_MAX 128
/* What a daemon that was killed had opened, the kernel takes down within it. */
#define PATIENCE (2 * NSEC_PER_SEC)

struct supervisor {
	const struct supervisor_settings *settings;
	const struct supervisor_calls *calls;
	void *ctx;
	int signal_fd;
	struct broker_server *server; /* outlives engines, and with it the interfaces */
	struct backoff backoff;
	struct lifecycle_exit before; /* of the last engine that has ended */
	pid_t helpers[HELPERS_MAX];   /* 0: a free place */
	pid_t engine;		      /* 0: none */
	int channel;		      /* -1: closed */
	int log;		      /* its log lines; -1: none */
	bool has_been_ready;	      /* some engine */
	bool is_ready;		      /* this one */
	bool is_stopping;
	bool wants_reload; /* SIGHUP has come, and no engine has read the configuration since */
	nsec_t started_at;
	nsec_t restart_at; /* NSEC_NEVER unless one is due */
	nsec_t kill_at;	   /* NSEC_NEVER unless it is waited for */
	int exit_status;   /* -1: go on */
};

static const int passed_on[] = {SIGHUP, SIGUSR1, SIGUSR2};
static const int stopping[] = {SIGTERM, SIGINT, SIGQUIT};

static bool is_in(int number, const int *list, size_t n)
{
	while (n > 0)
		if (list[--n] == number)
			return true;
	return false;
}

int supervisor_block_signals(int *ret_signal_fd)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(*passed_on); i++)
		sigaddset(&set, passed_on[i]);
	for (size_t i = 0; i < sizeof(stopping) / sizeof(*stopping); i++)
		sigaddset(&set, stopping[i]);
	sigaddset(&set, SIGCHLD);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	*ret_signal_fd = fd;
	return 0;
}

static void close_channels(struct supervisor *s)
{
	if (s->channel >= 0)
		close(s->channel);
	if (s->log >= 0)
		close(s->log);
	s->channel = s->log = -1;
}

/* The child's part of a fork: what is the supervisor's alone is closed. */
static int become_engine(struct supervisor *s, const int broker[2], const int log[2], pid_t parent)
{
	const struct engine_channels channels = {broker[1], log[1], parent, s->before};
	int status;

	close(s->signal_fd);
	close(broker[0]);
	if (log[0] >= 0)
		close(log[0]);
	lifecycle_deinit(s->settings->lifecycle);
	broker_server_free(s->server); /* its copies of what the supervisor holds */
	status = s->calls->run_engine(s->ctx, &channels);
	if (log[1] >= 0)
		close(log[1]);
	return status;
}

static int make_channels(const struct supervisor *s, int broker[2], int log[2])
{
	int r = channel_pair(broker);

	log[0] = log[1] = -1;
	if (r < 0 || !s->settings->needs_log)
		return r;
	r = channel_pair(log);
	if (r < 0) {
		close(broker[0]);
		close(broker[1]);
	}
	return r;
}

static int spawn(struct supervisor *s, nsec_t now)
{
	pid_t parent = getpid();
	int broker[2];
	int log[2];
	int r = make_channels(s, broker, log);

	if (r < 0)
		return r;
	s->engine = fork();
	if (s->engine == 0)
		exit(become_engine(s, broker, log, parent));
	r = s->engine < 0 ? -errno : 0;
	close(broker[1]);
	if (log[1] >= 0)
		close(log[1]);
	s->channel = broker[0];
	s->log = log[0];
	if (r < 0) {
		s->engine = 0;
		close_channels(s);
		return r;
	}
	/* An engine gone mad cannot make us wait. */
	fcntl(s->channel, F_SETFL, O_NONBLOCK);
	if (s->log >= 0)
		fcntl(s->log, F_SETFL, O_NONBLOCK);
	s->is_ready = false;
	s->started_at = now;
	s->restart_at = NSEC_NEVER;
	if (s->wants_reload)
		kill(s->engine, SIGHUP); /* blocked until it looks */
	lifecycle_spawned(s->settings->lifecycle, s->engine);
	return 0;
}

static pid_t *find_helper(struct supervisor *s, pid_t pid)
{
	for (size_t i = 0; i < HELPERS_MAX; i++)
		if (s->helpers[i] == pid)
			return &s->helpers[i];
	return NULL;
}

static int open_resolver(void *ctx, int *ret_fd)
{
	struct supervisor *s = ctx;
	pid_t *place = find_helper(s, 0);

	return place ? helper_start(s->settings, s->calls, s->ctx, ret_fd, place) : -EAGAIN;
}

static int take_ready(void *ctx)
{
	struct supervisor *s = ctx;
	int r = 0;

	if (s->is_ready) {
		lifecycle_reloaded(s->settings->lifecycle);
		return 0;
	}
	s->is_ready = true;
	lifecycle_setup_finished(s->settings->lifecycle, s->engine);
	if (!s->has_been_ready)
		r = s->calls->ready(s->ctx);
	s->has_been_ready = true;
	memory_trim();
	return r;
}

/* What only the supervisor can tell is not the engine's to say. */
static void tell(void *ctx, const struct broker_event *e)
{
	const struct supervisor *s = ctx;
	struct record r;

	if (lifecycle_is_own(e->name))
		return;
	record_init(&r, e->name);
	r.len = (uint16_t)e->len;
	memcpy(r.text, e->fields, e->len);
	lifecycle_tell(s->settings->lifecycle, &r);
}

static void take_alive(void *ctx)
{
	struct supervisor *s = ctx;

	lifecycle_notify(s->settings->lifecycle, "WATCHDOG=1");
}

static void take_reloading(void *ctx)
{
	struct supervisor *s = ctx;

	s->wants_reload = false;
	if (s->is_ready)
		lifecycle_reloading(s->settings->lifecycle);
}

static const struct broker_parent_calls parent_calls = {
	.open_resolver = open_resolver,
	.reloading = take_reloading,
	.ready = take_ready,
	.alive = take_alive,
	.tell = tell,
};

/* The engine does what ours would never do. */
static void end_engine(const struct supervisor *s, const char *why)
{
	log_error("the engine %s; it is killed", why);
	kill(s->engine, SIGKILL);
}

static void take_request(struct supervisor *s)
{
	struct broker_request q;
	struct broker_reply reply;
	size_t len;
	int fd;
	int r = channel_receive(s->channel, &q, sizeof(q), &len, &fd);

	if (r == -EAGAIN)
		return;
	if (r == 0 && fd < 0) {
		broker_serve(s->server, &q, len, &reply, &fd);
		r = channel_send(s->channel, &reply, sizeof(reply), fd);
		keys_wipe(&reply, sizeof(reply)); /* there may be one in it */
	} else if (r == 0) {
		r = -EBADMSG;
	}
	if (fd >= 0)
		close(fd);
	if (r == 0)
		return;
	/* -EPIPE: it has ended, or is about to. */
	if (r != -EPIPE)
		end_engine(s, r == -EAGAIN ? "reads no answers" : "sends what is no request");
	close(s->channel);
	s->channel = -1;
}

/* Nothing that the engine says makes a second line, or a terminal do something. */
static void make_printable(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
}

/* A priority and a text: see log_init_channel(). */
static void take_log(struct supervisor *s)
{
	char line[LOG_LINE_MAX + 1];
	size_t len;
	int fd;
	int r = channel_receive(s->log, line, LOG_LINE_MAX, &len, &fd);

	if (r == 0 && fd >= 0)
		close(fd);
	if (r == 0) {
		line[len] = '\0';
		make_printable(line + 1);
		log_relay(line[0] & LOG_PRIMASK, line + 1);
	} else if (r == -EPIPE) {
		close(s->log);
		s->log = -1;
	}
}

static void begin_stop(struct supervisor *s, int number, nsec_t now)
{
	log_notice("stopping: SIG%s", sigabbrev_np(number));
	lifecycle_notify(s->settings->lifecycle, "STOPPING=1");
	s->is_stopping = true;
	s->kill_at = nsec_min(s->kill_at, now + STOP_TIMEOUT);
	if (s->engine)
		kill(s->engine, SIGTERM);
	else
		s->exit_status = EXIT_SUCCESS;
}

static void describe_end(int status, char *to, size_t size)
{
	const char *name = WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : NULL;

	if (name)
		snprintf(to, size, "killed by SIG%s", name);
	else if (WIFSIGNALED(status))
		snprintf(to, size, "killed by signal %d", WTERMSIG(status));
	else
		snprintf(to, size, "ended with status %d", WEXITSTATUS(status));
}

static bool has_ended(int status, int code)
{
	return WIFEXITED(status) && WEXITSTATUS(status) == code;
}

static void handle_crash(struct supervisor *s, struct lifecycle_exit *e, nsec_t now)
{
	const char *how = e->cause;
	nsec_t delay;

	s->exit_status = EXIT_FAILURE;
	if (!s->has_been_ready) {
		log_error("engine %s before it was ready", how);
	} else if (!s->settings->restarts) {
		log_error("engine %s; stopping, since restart = off", how);
	} else if (!backoff_crashed(&s->backoff, now - s->started_at, &delay)) {
		log_error("engine %s, after %u crashes in a row; giving up", how, s->backoff.limit);
	} else {
		e->restart_in = delay;
		log_error("engine %s; started again in %lld ms (crash %u of at most %u in a row)",
			  how, (long long)(delay / NSEC_PER_MSEC), s->backoff.n_crashes,
			  s->backoff.limit);
		lifecycle_notify(s->settings->lifecycle, "STATUS=the engine is started again");
		s->restart_at = now + delay;
		s->exit_status = -1;
	}
	e->crashes = s->backoff.n_crashes;
	e->limit = s->backoff.limit;
}

static void take_last_words(struct supervisor *s)
{
	struct pollfd fd = {.fd = s->log, .events = POLLIN};

	while (s->log >= 0 && poll(&fd, 1, 0) > 0)
		take_log(s);
}

/* What its end means for us. */
static void judge_end(struct supervisor *s, struct lifecycle_exit *e, nsec_t now)
{
	int status = e->status;

	if (s->is_stopping && WIFEXITED(status)) {
		s->exit_status = WEXITSTATUS(status);
	} else if (s->is_stopping) {
		log_error("engine %s while it stopped", e->cause);
		s->exit_status = EXIT_FAILURE;
	} else if (has_ended(status, ENGINE_DONE)) {
		s->exit_status = EXIT_SUCCESS;
	} else if (has_ended(status, EXIT_FAILURE)) {
		s->exit_status = EXIT_FAILURE; /* it has given up, and has said why */
	} else {
		handle_crash(s, e, now);
	}
}

static void engine_ended(struct supervisor *s, int status, nsec_t now)
{
	struct lifecycle_exit e = {.engine = s->engine, .status = status, .restart_in = NSEC_NEVER};

	take_last_words(s);
	close_channels(s);
	s->engine = 0;
	describe_end(status, e.cause, sizeof(e.cause));
	judge_end(s, &e, now);
	lifecycle_exited(s->settings->lifecycle, &e);
	s->before = e;
}

/* Helpers too; and, as process 1, what others have left. */
static void reap(struct supervisor *s, nsec_t now)
{
	pid_t *helper;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		helper = find_helper(s, pid);
		if (helper)
			*helper = 0;
		if (pid == s->engine)
			engine_ended(s, status, now);
	}
}

static void take_signals(struct supervisor *s, nsec_t now)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		int number = (int)info.ssi_signo;

		s->wants_reload |= number == SIGHUP;
		if (number == SIGCHLD)
			reap(s, now);
		else if (is_in(number, stopping, sizeof(stopping) / sizeof(*stopping)))
			begin_stop(s, number, now);
		else if (s->engine)
			kill(s->engine, number);
	}
}

static void handle_time(struct supervisor *s, nsec_t now)
{
	int r;

	if (now >= s->kill_at && s->engine) {
		end_engine(s, "does not stop");
		s->kill_at = NSEC_NEVER;
	}
	if (now < s->restart_at || s->is_stopping)
		return;
	r = spawn(s, now);
	if (r < 0) {
		log_error("cannot start the engine: %s", strerror(-r));
		s->exit_status = EXIT_FAILURE;
	}
}

static void wait_for_work(const struct supervisor *s, struct pollfd fds[3], nsec_t now)
{
	nsec_t until = nsec_min(s->kill_at, s->restart_at);
	nsec_t left = nsec_max(until - now, 0);
	struct timespec timeout = {.tv_sec = left / NSEC_PER_SEC, .tv_nsec = left % NSEC_PER_SEC};

	fds[0] = (struct pollfd){.fd = s->signal_fd, .events = POLLIN};
	fds[1] = (struct pollfd){.fd = s->channel, .events = POLLIN};
	fds[2] = (struct pollfd){.fd = s->log, .events = POLLIN};
	if (ppoll(fds, 3, until == NSEC_NEVER ? NULL : &timeout, NULL) < 0)
		fds[0].revents = fds[1].revents = fds[2].revents = 0;
}

static int loop(struct supervisor *s)
{
	struct pollfd fds[3];

	while (s->exit_status < 0) {
		nsec_t now;

		wait_for_work(s, fds, clock_now());
		now = clock_now();
		if (fds[1].revents)
			take_request(s);
		if (fds[2].revents)
			take_log(s);
		if (fds[0].revents)
			take_signals(s, now);
		if (s->exit_status < 0)
			handle_time(s, now);
	}
	return s->exit_status;
}

int supervisor_run(const struct supervisor_settings *settings, int signal_fd,
		   const struct supervisor_calls *calls, void *ctx)
{
	struct supervisor s = {
		.settings = settings,
		.calls = calls,
		.ctx = ctx,
		.signal_fd = signal_fd,
		.backoff = {.limit = settings->restart_limit},
		.channel = -1,
		.log = -1,
		.restart_at = NSEC_NEVER,
		.kill_at = NSEC_NEVER,
		.exit_status = -1,
	};
	int status = EXIT_FAILURE;
	int r = broker_server_new(&s.server, settings->state_dir, &calls->broker, ctx);

	if (r == 0)
		broker_server_set_parent(s.server, &parent_calls, &s);
	if (r == 0 && settings->tun.fd >= 0)
		broker_server_adopt_tun(s.server, &settings->tun);
	if (r == 0 && settings->follows_crash)
		broker_server_be_patient(s.server, clock_now() + PATIENCE);
	if (r == 0)
		r = spawn(&s, clock_now());
	if (r < 0)
		log_error("cannot start the engine: %s", strerror(-r));
	else
		status = loop(&s);
	close_channels(&s);
	if (s.server)
		broker_server_remove_rules(s.server);
	broker_server_free(s.server);
	return status;
}
