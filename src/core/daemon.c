/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The process that was started: set_up() takes what is held for life (lock, PID file, control
 * socket), then the supervisor runs the engine, and tear_down() gives all back.
 */
#include "core/daemon.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/config_store.h"
#include "core/daemonize.h"
#include "core/engine.h"
#include "core/inherited.h"
#include "core/interface.h"
#include "core/listeners.h"
#include "core/pidfile.h"
#include "netlink/route.h"
#include "netlink/rule.h"
#include "util/log.h"
#include "util/memory.h"
#include "util/warnings.h"

struct daemon {
	const struct cli *cli;
	struct config_store store;
	int log_level;
	struct daemonize launch; /* ready_fd is -1 in the foreground */
	int signal_fd;
	struct pidfile lock;
	struct pidfile pidfile;
	struct listeners listeners;
	struct inherited inherited;
	struct lifecycle lifecycle;
	struct sandbox_user user;
	struct cgroup cgroup;	     /* the engine's */
	struct pidfile_owner killed; /* pid 0 unless the one before us was killed */
};

static int open_signals(struct daemon *d)
{
	int r = supervisor_block_signals(&d->signal_fd);

	if (r < 0)
		log_error("cannot receive signals: %s", strerror(-r));
	return r;
}

static int find_user(struct daemon *d)
{
	const char *name = d->store.config.daemon.user;
	int r = d->store.config.daemon.is_sandboxed ? sandbox_find_user(name, &d->user) : 0;

	if (r == -EPERM)
		log_error("user = %s: found a user or group with the rights of root, allowed: "
			  "another one",
			  name);
	else if (r == -ENOENT)
		log_error("user = %s: there is no such user", *name ? name : "vtrunkd or nobody");
	else if (r < 0)
		log_error("user = %s: %s", *name ? name : "vtrunkd or nobody", strerror(-r));
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
	return make_directory(d->store.config.daemon.state_dir, 0700);
}

static int make_parent_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *directory;
	int r;

	if (!slash || slash == path)
		return 0;
	directory = strndup(path, (size_t)(slash - path));
	if (!directory)
		return -ENOMEM;
	r = make_directory(directory, 0755);
	free(directory);
	return r;
}

/* `what` as in messages; `instance` NULL: not in this one. */
static int take_file(struct daemon *d, struct pidfile *ret, const char *what, const char *path,
		     const char *instance)
{
	struct pidfile_owner owner;
	int r = make_parent_directory(path);

	if (r < 0)
		return r;
	r = pidfile_take_patiently(ret, path, instance, &owner);
	if (r == 0 && owner.pid) {
		log_notice("process %d was here before, and was killed", owner.pid);
		/* The lock file tells the instance, the PID file does not. */
		if (!d->killed.pid)
			d->killed = owner;
	}
	if (r == -EBUSY)
		log_error("already running, pid %d (%s)", owner.pid, path);
	else if (r == -EEXIST)
		log_error("%s file %s: something else is there, and left alone", what, path);
	else if (r < 0)
		log_error("%s file %s: %s", what, path, strerror(-r));
	return r;
}

/* Whoever has the same control socket is the same instance, unless the user says otherwise. */
static int take_lock(struct daemon *d)
{
	const struct daemon_settings *s = &d->store.config.daemon;
	char path[CONFIG_PATH_MAX + sizeof(".lock")];
	const char *wanted = d->cli->lock_file ? d->cli->lock_file : s->lock_file;

	snprintf(path, sizeof(path), *wanted ? "%s" : "%s.lock",
		 *wanted ? wanted : s->control_socket);
	return take_file(d, &d->lock, "lock", path, d->lifecycle.instance);
}

static int take_pidfile(struct daemon *d)
{
	const char *path = d->store.config.daemon.pid_file;

	return *path ? take_file(d, &d->pidfile, "PID", path, NULL) : 0;
}

/* The engine inherits it, and has it among the warnings of its start. */
static void warn_of_cgroup(void *ctx, const char *what, int error)
{
	(void)ctx;
	warning_add("cgroup: %s: %s", what, strerror(error));
}

/* Without limits, or a name, there is no need of a group. */
static int make_cgroup(struct daemon *d)
{
	struct cgroup_settings s = d->store.config.daemon.cgroup;
	char root[PATH_MAX];
	int r;

	if (!*s.name && !s.memory_bytes && !s.cpu_percent && !s.pids)
		return 0;
	if (!*s.name)
		strcpy(s.name, CGROUP_DEFAULT);
	r = cgroup_find_root(root);
	if (r < 0) {
		warn_of_cgroup(NULL, "groups of version 2 are not mounted", -r);
		return 0;
	}
	if (*d->killed.instance)
		cgroup_reclaim(root, &s, d->killed.instance);
	cgroup_make(&d->cgroup, root, &s, d->lifecycle.instance, warn_of_cgroup, NULL);
	return 0;
}

static int check_hooks(struct daemon *d)
{
	config_store_check_hooks(&d->store);
	return 0;
}

/* Interfaces and routes went with a process that was killed here; rules did not. */
static int remove_leftovers(struct daemon *d)
{
	int r = netif_remove_stale_rules(ROUTE_TABLE_TUNNEL);

	if (*d->killed.instance)
		sandbox_reclaim(d->killed.instance);
	if (r < 0)
		log_warn("cannot look for rules that a killed vtrunkd has left: %s", strerror(-r));
	return 0;
}

static int open_listeners(struct daemon *d)
{
	int r = listeners_open(&d->listeners, &d->store.config);

	if (r == 0 && d->cli->interface)
		r = listeners_open_watched_uapi(&d->listeners, d->store.config.networks->interface,
						&d->inherited.uapi);
	return r;
}

static int open_lifecycle(struct daemon *d)
{
	int r = lifecycle_init(&d->lifecycle, d->cli->status_fd, d->cli->status_format);

	if (r < 0)
		log_error("--status-fd %d: %s", d->cli->status_fd, strerror(-r));
	return r;
}

static void tear_down(struct daemon *d)
{
	int r;

	lifecycle_deinit(&d->lifecycle);
	config_store_end_hooks(&d->store);
	r = cgroup_remove(&d->cgroup);
	if (r < 0)
		log_warn("cgroup: cannot be removed: %s", strerror(-r));
	listeners_close(&d->listeners);
	pidfile_release(&d->pidfile);
	pidfile_release(&d->lock);
	if (d->signal_fd >= 0)
		close(d->signal_fd);
}

static int set_up(struct daemon *d)
{
	static int (*const steps[])(struct daemon *) = {
		open_lifecycle, open_signals,	  find_user,   make_state_dir, take_lock,
		take_pidfile,	remove_leftovers, make_cgroup, check_hooks,    open_listeners,
	};
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(steps) / sizeof(*steps); i++)
		r = steps[i](d);
	return r;
}

/* In the child. The lock files stay open: what it holds is held until it has ended, too. */
static int run_engine(void *ctx, const struct engine_channels *channels)
{
	struct daemon *d = ctx;
	const struct engine_settings settings = {
		.config = &d->store.config,
		.listeners = &d->listeners,
		.ends_with_interface = d->cli->interface,
		.instance = d->lifecycle.instance,
		.tells_events = d->cli->status_fd >= 0,
		.user = d->user,
		.is_debug = d->cli->is_debug,
		.leaves_terminal = d->launch.ready_fd >= 0 || channels->log >= 0,
		.watchdog_usecs = d->lifecycle.watchdog_usecs,
	};
	int status;
	int r;

	listeners_forget_uapi(&d->listeners);
	if (d->launch.ready_fd >= 0)
		close(d->launch.ready_fd);
	r = *d->cgroup.path ? cgroup_join(&d->cgroup) : 0;
	if (r < 0)
		warn_of_cgroup(NULL, "the engine is not in it", -r);
	status = engine_run(&settings, channels);
	config_store_forget(&d->store);
	return status;
}

static void forget_secrets(void *ctx)
{
	struct daemon *d = ctx;

	config_store_forget(&d->store);
}

static int read_config(void *ctx, int *ret_fd)
{
	struct daemon *d = ctx;

	return config_store_read(&d->store, ret_fd);
}

static int keep_config(void *ctx)
{
	struct daemon *d = ctx;

	int r = config_store_keep(&d->store);

	if (r == 0)
		listeners_keep_metrics(&d->listeners, &d->store.config.daemon);
	return r;
}

static int open_metrics(void *ctx, enum broker_metrics_kind kind, int *ret_fd)
{
	struct daemon *d = ctx;

	return listeners_give_metrics(&d->listeners, kind, config_store_newest(&d->store), ret_fd);
}

static int next_key(void *ctx, const struct broker_key *q, uint8_t ret_key[32])
{
	struct daemon *d = ctx;

	return config_store_next_key(&d->store, q, ret_key);
}

static int run_hook(void *ctx, const struct broker_hook *q)
{
	struct daemon *d = ctx;

	return config_store_run_hook(&d->store, q);
}

static int open_uapi(void *ctx, const char *interface, int *ret_fd)
{
	struct daemon *d = ctx;

	if (!config_store_has_uapi(&d->store, interface))
		return -EPERM;
	return listeners_give_uapi(&d->listeners, interface, ret_fd);
}

static int close_uapi(void *ctx, const char *interface)
{
	struct daemon *d = ctx;

	return listeners_close_uapi(&d->listeners, interface);
}

static bool has_network(void *ctx, const char *name)
{
	const struct daemon *d = ctx;

	return config_store_has_network(&d->store, name);
}

static bool has_peer(void *ctx, const char *network, const uint8_t public_key[32])
{
	const struct daemon *d = ctx;

	return config_store_has_peer(&d->store, network, public_key);
}

static bool may_have_address(void *ctx, const char *interface, const struct prefix *address,
			     const struct prefix *destination)
{
	const struct daemon *d = ctx;

	return config_store_may_have_address(&d->store, interface, address, destination);
}

static bool may_route(void *ctx, const char *interface, uint32_t table)
{
	const struct daemon *d = ctx;

	return config_store_may_route(&d->store, interface, table);
}

/* In the background messages go to syslog, and the terminal is let go before the parent returns. */
static int get_ready(void *ctx)
{
	struct daemon *d = ctx;
	int fd;
	int r;

	if (d->launch.ready_fd < 0)
		return 0;
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	r = fd < 0 ? -errno : daemonize_leave_terminal(fd);
	if (fd >= 0)
		close(fd);
	if (r < 0) {
		log_error("cannot leave the terminal: %s", strerror(-r));
		return r;
	}
	log_init(LOG_SINK_SYSLOG, d->log_level);
	return daemonize_tell_ready(&d->launch);
}

/* The engine will say the same of itself. */
static void ignore(void *ctx, const char *what, int error)
{
	(void)ctx;
	log_debug("supervisor: %s: %s", what, strerror(error));
}

static int live(struct daemon *d)
{
	static const struct supervisor_calls calls = {
		.run_engine = run_engine,
		.forget_secrets = forget_secrets,
		.ready = get_ready,
		.broker =
			{
				.has_network = has_network,
				.has_peer = has_peer,
				.may_have_address = may_have_address,
				.may_route = may_route,
				.read_config = read_config,
				.keep_config = keep_config,
				.open_metrics = open_metrics,
				.next_key = next_key,
				.run_hook = run_hook,
				.open_uapi = open_uapi,
				.close_uapi = close_uapi,
			},
	};
	struct supervisor_settings settings = {
		.state_dir = d->store.config.daemon.state_dir,
		.tun = d->inherited.tun,
		.is_sandboxed = d->store.config.daemon.is_sandboxed,
		.needs_log = d->launch.ready_fd >= 0,
		.restarts = d->store.config.daemon.restarts,
		.restart_limit = d->store.config.daemon.restart_limit,
		.lifecycle = &d->lifecycle,
	};
	int status = EXIT_FAILURE;

	sandbox_hide_memory(d->cli->is_debug, ignore, NULL);
	if (set_up(d) == 0) {
		settings.user = d->user;
		settings.follows_crash = d->killed.pid;
		d->inherited.tun.fd = -1; /* the supervisor's now */
		status = supervisor_run(&settings, d->signal_fd, &calls, d);
	}
	tear_down(d);
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

static int load_config(struct config *ret, const char *path)
{
	struct config_errors errors = {.file = path};
	int r = config_read(ret, path, &errors);

	if (r < 0)
		config_errors_print(&errors, stderr);
	config_errors_deinit(&errors);
	return r;
}

/* The variable is what wireguard-go has. */
static bool is_foreground(const struct cli *cli)
{
	const char *wanted = cli->interface ? getenv("WG_PROCESS_FOREGROUND") : NULL;

	return cli->is_foreground || (wanted && !strcmp(wanted, "1"));
}

/* What the daemon is to be; the cause of a failure is told. */
static int configure(struct daemon *d)
{
	const char *interface = d->cli->interface;
	int r;

	if (!interface)
		return load_config(&d->store.config, d->cli->config);
	r = inherited_take(&d->inherited);
	if (r < 0)
		return r;
	/* As with wireguard-go, an interface that is there already has its name. */
	return interface_config(&d->store.config,
				d->inherited.tun.fd >= 0 ? d->inherited.tun.name : interface);
}

int daemon_run(const struct cli *cli)
{
	struct daemon d = {
		.cli = cli,
		.launch.ready_fd = -1,
		.signal_fd = -1,
		.lock.fd = -1,
		.pidfile.fd = -1,
		.lifecycle = {.status_fd = -1, .notify_fd = -1},
	};
	int status = EXIT_FAILURE;

	config_store_init(&d.store, cli->config);
	listeners_init(&d.listeners);
	inherited_init(&d.inherited);
	umask(022);
	memory_share_heap();
	if (daemonize_reserve_stdio() < 0)
		return status;
	if (configure(&d) == 0) {
		d.log_level = cli->is_debug ? LOG_DEBUG : d.store.config.daemon.log_level;
		log_init(LOG_SINK_STDERR, d.log_level);
		if (has_capabilities())
			status = is_foreground(cli) ? live(&d) : live_in_background(&d);
	}
	inherited_close(&d.inherited);
	config_store_forget(&d.store);
	return status;
}
