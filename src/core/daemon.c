/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * set_up() goes through its steps in order, tear_down() takes back in reverse what there is.
 * Between them the main loop waits for signals, clients of the control socket, and a network
 * that cannot go on.
 */
#include "core/daemon.h"

#include <cap-ng.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/server.h"
#include "core/actions.h"
#include "core/config.h"
#include "core/daemonize.h"
#include "core/networks.h"
#include "core/pidfile.h"
#include "crypto/aead.h"
#include "util/log.h"
#include "util/thread.h"

struct daemon {
	struct config config;
	int log_level;
	struct daemonize launch; /* ready_fd is -1 in the foreground */
	int signal_fd;
	struct pidfile pidfile;
	struct control *control;
	struct actions actions;
	struct broker_server *broker_server;
	struct broker *broker;
	struct networks *networks;
};

/* Before there are threads that use keys. */
static int choose_aead(struct daemon *d)
{
	const char *wanted = d->config.daemon.aead;
	int r = aead_init(wanted);

	if (r == 0)
		log_info("packets are sealed by %s", aead_backend());
	else
		log_error("aead = %s: no back-end passes its check: %s", wanted, strerror(-r));
	return r;
}

/* One descriptor tells of all signals; the threads started later have them blocked anyway. */
static int open_signals(struct daemon *d)
{
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) == 0)
		d->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	r = d->signal_fd < 0 ? -errno : 0;
	if (r < 0)
		log_error("cannot receive signals: %s", strerror(-r));
	return r;
}

/* Its parent must be there: a missing one is more likely a mistake in the path. */
static int make_directory(const char *path, mode_t mode)
{
	struct stat st;
	int r = 0;

	if (mkdir(path, mode) < 0)
		r = errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? 0 : -errno;
	if (r < 0)
		log_error("cannot make the directory %s: %s", path, strerror(-r));
	return r;
}

static int make_state_dir(struct daemon *d)
{
	return make_directory(d->config.daemon.state_dir, 0700);
}

static int make_parent_directory(const char *path)
{
	char directory[CONFIG_PATH_MAX];
	char *slash;

	snprintf(directory, sizeof(directory), "%s", path);
	slash = strrchr(directory, '/');
	if (!slash || slash == directory)
		return 0;
	*slash = '\0';
	return make_directory(directory, 0755);
}

static int take_pidfile(struct daemon *d)
{
	const char *path = d->config.daemon.pid_file;
	pid_t owner;
	int r;

	if (!*path)
		return 0;
	r = make_parent_directory(path);
	if (r < 0)
		return r;
	r = pidfile_take(&d->pidfile, path, &owner);
	if (r == -EBUSY)
		log_error("already running, pid %d (%s)", owner, path);
	else if (r == -EEXIST)
		log_error("PID file %s: something else is there, and left alone", path);
	else if (r < 0)
		log_error("PID file %s: %s", path, strerror(-r));
	return r;
}

static int open_control(struct daemon *d)
{
	const char *path = d->config.daemon.control_socket;
	int r;

	actions_init(&d->actions);
	r = control_new(&d->control, path, d->actions.table, d->actions.n);
	if (r == -EADDRINUSE)
		log_error("control socket %s: another daemon listens there", path);
	else if (r == -EEXIST)
		log_error("control socket %s: a file of another kind is in the way", path);
	else if (r < 0)
		log_error("control socket %s: %s", path, strerror(-r));
	return r;
}

/* What needs privilege is done here, in this process. */
static int open_broker(struct daemon *d)
{
	int r = broker_server_new(&d->broker_server, d->config.daemon.state_dir, NULL, NULL);

	if (r == 0)
		r = broker_new_direct(&d->broker, d->broker_server);
	return r;
}

static int start_networks(struct daemon *d)
{
	int r = networks_new(&d->networks, &d->config, d->broker);

	if (r < 0) {
		log_error("cannot start: %s", strerror(-r));
		return r;
	}
	d->actions.networks = d->networks;
	return networks_start(d->networks);
}

/* False when that was the last one. */
static bool survive_failures(struct daemon *d)
{
	size_t n_before = networks_active(d->networks);

	networks_handle_failures(d->networks);
	if (networks_active(d->networks) || !n_before)
		return true;
	log_error("no network is left; stopping");
	return false;
}

/* From here on messages go to syslog. The terminal is let go before the parent returns. */
static int leave_for_background(struct daemon *d)
{
	int r = daemonize_leave_terminal();

	if (r < 0) {
		log_error("cannot leave the terminal: %s", strerror(-r));
		return r;
	}
	log_init(LOG_SINK_SYSLOG, d->log_level);
	r = daemonize_tell_ready(&d->launch);
	if (r < 0)
		log_error("whoever started the daemon did not wait for it; stopping");
	return r;
}

static int get_ready(struct daemon *d)
{
	int r = survive_failures(d) ? 0 : -EIO;

	if (!r && d->launch.ready_fd >= 0)
		r = leave_for_background(d);
	if (!r)
		log_notice("ready");
	return r;
}

static int set_up(struct daemon *d)
{
	static int (*const steps[])(struct daemon *) = {
		choose_aead,  open_signals, make_state_dir, take_pidfile,
		open_control, open_broker,  start_networks, get_ready,
	};
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(steps) / sizeof(*steps); i++)
		r = steps[i](d);
	return r;
}

static void tear_down(struct daemon *d)
{
	networks_free(d->networks);
	broker_free(d->broker);
	broker_server_free(d->broker_server);
	control_free(d->control);
	pidfile_release(&d->pidfile);
	if (d->signal_fd >= 0)
		close(d->signal_fd);
}

static bool is_told_to_stop(const struct daemon *d)
{
	struct signalfd_siginfo info;

	while (read(d->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGHUP) {
			log_notice("stopping: SIG%s", sigabbrev_np((int)info.ssi_signo));
			return true;
		}
		log_warn("reload is not supported yet; restart to apply changes");
	}
	return false;
}

/* The exit status. */
static int main_loop(struct daemon *d)
{
	struct pollfd fds[] = {
		{.fd = networks_failure_fd(d->networks), .events = POLLIN},
		{.fd = d->signal_fd, .events = POLLIN},
		{.fd = control_fd(d->control), .events = POLLIN},
	};

	for (;;) {
		if (poll(fds, 3, -1) < 0) {
			if (errno == EINTR)
				continue;
			log_error("poll: %m; stopping");
			return EXIT_FAILURE;
		}
		if (fds[0].revents && !survive_failures(d))
			return EXIT_FAILURE;
		if (fds[1].revents && is_told_to_stop(d))
			return EXIT_SUCCESS;
		if (fds[2].revents)
			control_dispatch(d->control);
	}
}

static int live(struct daemon *d)
{
	int status = EXIT_FAILURE;
	int r = thread_adopt();

	if (r < 0) {
		log_error("cannot start: %s", strerror(-r));
		return status;
	}
	if (set_up(d) == 0)
		status = main_loop(d);
	tear_down(d);
	thread_disown();
	return status;
}

static int live_in_background(struct daemon *d)
{
	int r = daemonize_fork(&d->launch);

	if (r < 0) {
		log_error("cannot go to the background: %s", strerror(-r));
		return EXIT_FAILURE;
	}
	return d->launch.child ? daemonize_wait(&d->launch) : live(d);
}

static bool has_capabilities(void)
{
	capng_get_caps_process();
	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_NET_ADMIN))
		return true;
	log_error("Missing required capabilities: CAP_NET_ADMIN");
	return false;
}

/* Keys are in memory, and must not end in a core dump or be read by a debugger. */
static void hide_memory(void)
{
	static const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		log_warn("cannot switch core dumps off: %m");
}

static int load_config(struct config *ret, const char *path)
{
	struct config_errors errors = {.file = path};
	int r = config_read(ret, path, &errors);

	if (r < 0)
		config_errors_print(&errors, stderr);
	config_errors_deinit(&errors);
	return r;
}

int daemon_run(const struct cli *cli)
{
	struct daemon d = {.launch.ready_fd = -1, .signal_fd = -1, .pidfile.fd = -1};
	int status = EXIT_FAILURE;

	umask(022);
	if (daemonize_reserve_stdio() < 0)
		return status;
	if (!cli->is_debug)
		hide_memory();
	if (load_config(&d.config, cli->config) < 0)
		return status;
	d.log_level = cli->is_debug ? LOG_DEBUG : d.config.daemon.log_level;
	log_init(LOG_SINK_STDERR, d.log_level);
	if (has_capabilities())
		status = cli->is_foreground ? live(&d) : live_in_background(&d);
	config_deinit(&d.config);
	return status;
}
