/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * The process that was started: set_up() takes what is held for life (lock, PID file, control
 * socket), then the supervisor runs the engine, and tear_down() gives all back.
 */
#include "core/daemon.h"

#include <cap-ng.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "control/socket.h"
#include "core/config.h"
#include "core/config_edit.h"
#include "core/daemonize.h"
#include "core/engine.h"
#include "core/interface.h"
#include "core/paths.h"
#include "core/pidfile.h"
#include "crypto/keys.h"
#include "supervisor/hooks.h"
#include "util/log.h"

/* How long the remains of a daemon that was killed are waited for. */
#define DYING_MS 2000
#define DYING_STEP_MS 20

struct daemon {
	const struct cli *cli;
	struct config config;
	int log_level;
	struct daemonize launch; /* ready_fd is -1 in the foreground */
	int signal_fd;
	struct pidfile lock;
	struct pidfile pidfile;
	struct control_socket control;
	struct control_socket *uapi; /* one for each network; fd -1: none */
	int *uapi_fds;
	int uapi_watch;		       /* -1: none */
	struct control_socket metrics; /* fd -1: none */
	int metrics_tcp;	       /* -1: none */
	struct config next;	       /* read, and given to the engine */
	struct hooks hooks;
	struct lifecycle lifecycle;
	struct sandbox_user user;
	bool follows_crash; /* the one before us was killed */
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
	const char *name = d->config.daemon.user;
	int r = d->config.daemon.is_sandboxed ? sandbox_find_user(name, &d->user) : 0;

	if (r == -EPERM)
		log_error("user = %s: found a user or group with the rights of root, allowed: "
			  "another one",
			  name);
	else if (r < 0)
		log_error("user = %s: there is no such user", *name ? name : "vtrunkd or nobody");
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

/* Also where nobody has taken note of its end yet. */
static bool has_ended(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	bool is_over;

	if (fd < 0)
		return errno == ESRCH;
	is_over = poll(&p, 1, 0) > 0;
	close(fd);
	return is_over;
}

/* The engine of one that was killed holds its files a moment longer. */
static int take_from_the_dead(struct pidfile *ret, const char *path, pid_t *owner)
{
	int r = pidfile_take(ret, path, owner);

	for (int i = 0; r == -EBUSY && i < DYING_MS / DYING_STEP_MS; i++) {
		if (!*owner || !has_ended(*owner))
			break;
		poll(NULL, 0, DYING_STEP_MS);
		r = pidfile_take(ret, path, owner);
	}
	return r;
}

/* `what` as in messages. */
static int take_file(struct daemon *d, struct pidfile *ret, const char *what, const char *path)
{
	pid_t owner;
	int r = make_parent_directory(path);

	if (r < 0)
		return r;
	r = take_from_the_dead(ret, path, &owner);
	if (r == 0 && owner) {
		log_notice("process %d was here before, and was killed", owner);
		d->follows_crash = true;
	}
	if (r == -EBUSY)
		log_error("already running, pid %d (%s)", owner, path);
	else if (r == -EEXIST)
		log_error("%s file %s: something else is there, and left alone", what, path);
	else if (r < 0)
		log_error("%s file %s: %s", what, path, strerror(-r));
	return r;
}

/* Whoever has the same control socket is the same instance, unless the user says otherwise. */
static int take_lock(struct daemon *d)
{
	const struct daemon_settings *s = &d->config.daemon;
	char path[CONFIG_PATH_MAX + sizeof(".lock")];
	const char *wanted = d->cli->lock_file ? d->cli->lock_file : s->lock_file;

	snprintf(path, sizeof(path), *wanted ? "%s" : "%s.lock",
		 *wanted ? wanted : s->control_socket);
	return take_file(d, &d->lock, "lock", path);
}

static int take_pidfile(struct daemon *d)
{
	const char *path = d->config.daemon.pid_file;

	return *path ? take_file(d, &d->pidfile, "PID", path) : 0;
}

static int open_control(struct daemon *d)
{
	const char *path = d->config.daemon.control_socket;
	int r = control_socket_listen(&d->control, path);

	if (r == -EADDRINUSE)
		log_error("control socket %s: another daemon listens there", path);
	else if (r == -EEXIST)
		log_error("control socket %s: a file of another kind is in the way", path);
	else if (r < 0)
		log_error("control socket %s: %s", path, strerror(-r));
	return r;
}

/* Where wg(8) finds the interface. Of use, but needed only where nothing else sets it up. */
static int open_uapi_socket(struct daemon *d, const char *directory, size_t i)
{
	const struct network_settings *n = &d->config.networks[i];
	char path[CONFIG_PATH_MAX];
	int r;

	d->uapi[i].fd = d->uapi_fds[i] = -1;
	if (!n->has_uapi || !n->is_enabled)
		return 0;
	snprintf(path, sizeof(path), "%s/%s.sock", directory, n->interface);
	r = control_socket_listen(&d->uapi[i], path);
	if (r == 0)
		d->uapi_fds[i] = d->uapi[i].fd;
	else
		log_write(d->cli->interface ? LOG_ERR : LOG_INFO,
			  "network %s: wg(8) cannot reach it by %s: %s", n->name, path,
			  r == -EADDRINUSE ? "another WireGuard listens there" : strerror(-r));
	return d->cli->interface ? r : 0;
}

static int open_uapi(struct daemon *d)
{
	const char *directory = getenv("VTRUNKD_UAPI_DIR");
	size_t n = d->config.n_networks;
	int r = 0;

	directory = directory && *directory ? directory : UAPI_DIR;
	d->uapi = calloc(n, sizeof(*d->uapi));
	d->uapi_fds = calloc(n, sizeof(*d->uapi_fds));
	if (!d->uapi || !d->uapi_fds)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		d->uapi[i].fd = d->uapi_fds[i] = -1;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = open_uapi_socket(d, directory, i);
	if (r < 0 || !d->cli->interface)
		return r;
	d->uapi_watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (d->uapi_watch < 0 ||
	    inotify_add_watch(d->uapi_watch, directory, IN_DELETE | IN_MOVED_FROM) < 0)
		log_warn("%s: cannot be watched: %m", directory);
	return 0;
}

static void close_uapi(struct daemon *d)
{
	for (size_t i = 0; d->uapi && i < d->config.n_networks; i++)
		control_socket_close(&d->uapi[i]);
	if (d->uapi_watch >= 0)
		close(d->uapi_watch);
	free(d->uapi);
	free(d->uapi_fds);
}

static int listen_tcp(const struct addr *a)
{
	const int on = 1;
	int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, &a->sa, addr_len(a)) == 0 && listen(fd, SOMAXCONN) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

static int open_metrics(struct daemon *d)
{
	const struct daemon_settings *s = &d->config.daemon;
	char text[ADDR_TEXT_MAX];
	int r = 0;

	if (*s->metrics_socket)
		r = control_socket_listen(&d->metrics, s->metrics_socket);
	if (r < 0)
		log_error("metrics socket %s: %s", s->metrics_socket, strerror(-r));
	if (r < 0 || !addr_is_set(&s->metrics_listen))
		return r;
	d->metrics_tcp = listen_tcp(&s->metrics_listen);
	r = d->metrics_tcp < 0 ? d->metrics_tcp : 0;
	if (r < 0)
		log_error("metrics_listen = %s: %s", addr_format(&s->metrics_listen, text),
			  strerror(-r));
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
	lifecycle_deinit(&d->lifecycle);
	hooks_end(&d->hooks);
	if (d->metrics_tcp >= 0)
		close(d->metrics_tcp);
	control_socket_close(&d->metrics);
	control_socket_close(&d->control);
	close_uapi(d);
	pidfile_release(&d->pidfile);
	pidfile_release(&d->lock);
	if (d->signal_fd >= 0)
		close(d->signal_fd);
}

static int set_up(struct daemon *d)
{
	static int (*const steps[])(struct daemon *) = {
		open_lifecycle, open_signals, find_user,    make_state_dir, take_lock,
		take_pidfile,	open_control, open_metrics, open_uapi,
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
		.config = &d->config,
		.control_fd = d->control.fd,
		.metrics_fds = {d->metrics.fd, d->metrics_tcp},
		.uapi_fds = d->uapi_fds,
		.uapi_watch = d->uapi_watch,
		.ends_with_interface = d->cli->interface,
		.instance = d->lifecycle.instance,
		.user = d->user,
		.is_debug = d->cli->is_debug,
		.leaves_terminal = d->launch.ready_fd >= 0 || channels->log >= 0,
		.watchdog_usecs = d->lifecycle.watchdog_usecs,
	};
	int status;

	if (d->launch.ready_fd >= 0)
		close(d->launch.ready_fd);
	status = engine_run(&settings, channels);
	config_deinit(&d->config);
	return status;
}

static void forget_secrets(void *ctx)
{
	struct daemon *d = ctx;

	config_deinit(&d->config);
	config_deinit(&d->next);
}

/* A file in memory with that text behind a letter. */
static int memory_file(int *ret_fd, char letter, const char *text, size_t len)
{
	int fd = memfd_create("vtrunkd", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, &letter, 1) != 1 || write(fd, text, len) != (ssize_t)len ||
	    lseek(fd, 0, SEEK_SET) < 0) {
		close(fd);
		return -EIO;
	}
	*ret_fd = fd;
	return 0;
}

static int tell_errors(const struct config_errors *errors, int *ret_fd)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	int r;

	if (!out)
		return -ENOMEM;
	config_errors_print(errors, out);
	fclose(out);
	r = memory_file(ret_fd, 'E', text, len);
	free(text);
	return r;
}

static int read_config(void *ctx, int *ret_fd)
{
	struct daemon *d = ctx;
	struct config_errors errors = {0};
	struct buffer text = {0};
	int r;

	config_deinit(&d->next);
	r = config_read(&d->next, d->cli->config, &errors);
	if (r < 0) {
		r = tell_errors(&errors, ret_fd);
		config_errors_deinit(&errors);
		return r;
	}
	config_errors_deinit(&errors);
	r = config_edit_write(&d->next.ini, &text);
	if (r == 0)
		r = memory_file(ret_fd, 'C', text.data, text.len);
	if (text.data)
		keys_wipe(text.data, text.room);
	buffer_deinit(&text);
	return r;
}

static int keep_config(void *ctx)
{
	struct daemon *d = ctx;

	if (!d->next.n_networks)
		return -EINVAL;
	config_deinit(&d->config);
	d->config = d->next;
	d->next = (struct config){0};
	return 0;
}

static const struct network_hooks *find_hooks(const struct daemon *d, const char *network)
{
	for (size_t i = 0; i < d->config.n_networks; i++)
		if (!strcmp(d->config.networks[i].name, network))
			return &d->config.hooks[i];
	return NULL;
}

/* "link" becomes VTRUNKD_LINK. */
static void set_variable(struct hook *h, const char *key, const char *value)
{
	char name[64];

	snprintf(name, sizeof(name), "VTRUNKD_%s", key);
	for (char *c = name; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	hook_set(h, name, value);
}

static void set_variables(struct hook *h, const struct broker_hook *q,
			  const struct network_hooks *hooks)
{
	struct record fields = {.len = (uint16_t)q->len};
	struct record_field f;

	memcpy(fields.text, q->fields, q->len);
	set_variable(h, "event", q->event);
	for (size_t pos = 0; record_next(&fields, &pos, &f);)
		set_variable(h, f.key, f.value);
	if (*hooks->dns)
		set_variable(h, "dns", hooks->dns);
}

static int run_hook(void *ctx, const struct broker_hook *q)
{
	struct daemon *d = ctx;
	const struct network_hooks *hooks = find_hooks(d, q->network);
	struct hook h = {0};
	int r = 0;

	if (!hooks || !*hooks->paths[q->hook])
		return -ENOENT;
	strcpy(h.path, hooks->paths[q->hook]);
	strcpy(h.event, q->event);
	set_variables(&h, q, hooks);
	if (d->hooks.fd < 0)
		r = hooks_start(forget_secrets, d, &d->hooks);
	if (r == 0)
		r = hooks_run(&d->hooks, &h);
	if (r < 0)
		log_warn("hook %s (%s): not run: %s", h.path, h.event, strerror(-r));
	return r;
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

static bool config_has_network(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->n_networks; i++)
		if (!strcmp(c->networks[i].name, name))
			return true;
	return false;
}

static bool config_has_table(const struct config *c, const char *interface, uint32_t table)
{
	for (size_t i = 0; i < c->n_networks; i++)
		if (!strcmp(c->networks[i].interface, interface))
			return table && c->networks[i].route_table == table;
	return false;
}

/* The engine may be about to take over what has been read last. */
static bool has_network(void *ctx, const char *name)
{
	const struct daemon *d = ctx;

	return config_has_network(&d->config, name) || config_has_network(&d->next, name);
}

static bool may_route(void *ctx, const char *interface, uint32_t table)
{
	const struct daemon *d = ctx;

	return config_has_table(&d->config, interface, table) ||
	       config_has_table(&d->next, interface, table);
}

static int live(struct daemon *d)
{
	static const struct supervisor_calls calls = {
		.run_engine = run_engine,
		.forget_secrets = forget_secrets,
		.has_network = has_network,
		.may_route = may_route,
		.read_config = read_config,
		.keep_config = keep_config,
		.run_hook = run_hook,
		.ready = get_ready,
	};
	struct supervisor_settings settings = {
		.state_dir = d->config.daemon.state_dir,
		.is_sandboxed = d->config.daemon.is_sandboxed,
		.needs_log = d->launch.ready_fd >= 0,
		.restarts = d->config.daemon.restarts,
		.restart_limit = d->config.daemon.restart_limit,
		.lifecycle = &d->lifecycle,
	};
	int status = EXIT_FAILURE;

	sandbox_hide_memory(d->cli->is_debug, ignore, NULL);
	if (set_up(d) == 0) {
		settings.user = d->user;
		settings.follows_crash = d->follows_crash;
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

int daemon_run(const struct cli *cli)
{
	struct daemon d = {
		.cli = cli,
		.launch.ready_fd = -1,
		.signal_fd = -1,
		.lock.fd = -1,
		.pidfile.fd = -1,
		.control.fd = -1,
		.metrics.fd = -1,
		.uapi_watch = -1,
		.metrics_tcp = -1,
		.hooks.fd = -1,
		.lifecycle = {.status_fd = -1, .notify_fd = -1},
	};
	int status = EXIT_FAILURE;

	umask(022);
	if (daemonize_reserve_stdio() < 0)
		return status;
	if ((cli->interface ? interface_config(&d.config, cli->interface)
			    : load_config(&d.config, cli->config)) < 0)
		return status;
	d.log_level = cli->is_debug ? LOG_DEBUG : d.config.daemon.log_level;
	log_init(LOG_SINK_STDERR, d.log_level);
	if (has_capabilities())
		status = is_foreground(cli) ? live(&d) : live_in_background(&d);
	config_deinit(&d.config);
	return status;
}
