/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "vtrunkctl/live.h"

#include <err.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "control/client.h"
#include "vtrunkctl/ask.h"
#include "vtrunkctl/follow.h"
#include "vtrunkctl/show.h"
#include "vtrunkctl/view.h"
#include "vtrunkctl/watch.h"

/* The alternate screen, without a cursor; what was there before comes back in the end. */
#define ENTER "\033[?1049h\033[?25l"
#define LEAVE "\033[?25h\033[?1049l"

struct live {
	const struct options *options;
	struct view view;
	struct control_stream events;
	bool has_events;
	bool is_terminal;
	bool is_first;
	struct termios before;
	bool has_termios;
	int signal_fd;
};

/* Keys come one by one, and are not shown. */
static void enter(struct live *l)
{
	struct termios raw;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	l->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (!l->is_terminal)
		return;
	l->has_termios = tcgetattr(STDIN_FILENO, &l->before) == 0;
	if (l->has_termios) {
		raw = l->before;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	}
	fputs(ENTER, stdout);
}

static void leave(struct live *l)
{
	if (l->has_termios)
		tcsetattr(STDIN_FILENO, TCSANOW, &l->before);
	if (l->is_terminal)
		fputs(LEAVE, stdout);
	fflush(stdout);
	if (l->has_events)
		control_stream_close(&l->events);
	view_deinit(&l->view);
	close(l->signal_fd);
}

/* The view does without events if it must. */
static void subscribe(struct live *l)
{
	struct json_object *request = ask_new_request(l->options, "events");

	l->has_events =
		control_stream_open(&l->events, l->options->socket_path, request, ASK_TIMEOUT) == 0;
	json_object_put(request);
}

static void take_events(struct live *l)
{
	struct json_object *event;
	char *line = NULL;
	size_t len;
	FILE *out;
	int r;

	while ((r = control_stream_next(&event, &l->events, clock_now() + NSEC_PER_MSEC)) == 0) {
		out = json_object_object_get(event, "event") ? open_memstream(&line, &len) : NULL;
		if (out) {
			follow_print(out, event);
			fclose(out);
			line[strcspn(line, "\n")] = '\0';
			view_add_event(&l->view, line);
		}
		json_object_put(event);
	}
	if (r != -ETIMEDOUT) {
		control_stream_close(&l->events);
		l->has_events = false;
	}
}

static void print_heading(FILE *out, const struct screen *screen, struct json_object *status)
{
	char when[32];
	time_t now = time(NULL);
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%H:%M:%S", &tm);
	screen_print(screen, STYLE_FAINT, "vtrunkd%s%s  %s  q quits", status ? " " : "",
		     status ? field_text(status, "version", "?").s : "", when);
	fputs("\n\n", out);
}

/* `status` NULL: the problem is all there is to show. */
static void show(struct live *l, struct json_object *status, const struct problem *problem)
{
	struct screen screen = show_screen(NULL);
	unsigned rows = show_rows();
	char *text = NULL;
	size_t len;

	screen.out = open_memstream(&text, &len);
	if (!screen.out)
		err(EXIT_FAILURE, "frame");
	print_heading(screen.out, &screen, status);
	if (status)
		view_render(&l->view, &screen, status);
	else
		screen_print(&screen, STYLE_BAD, "%s; waiting for it\n", problem->text);
	fclose(screen.out);
	watch_show(stdout, text, l->is_terminal, rows, l->is_first);
	l->is_first = false;
	free(text);
}

/* False when it is time to leave. */
static bool take_key(struct live *l)
{
	char key;

	return read(STDIN_FILENO, &key, 1) != 1 ? !l->is_terminal : key != 'q' && key != 'Q';
}

static bool take_signal(struct live *l)
{
	struct signalfd_siginfo info;

	return read(l->signal_fd, &info, sizeof(info)) != sizeof(info) ||
	       info.ssi_signo == SIGWINCH;
}

/* Until the next frame is due, or the terminal has another size; false when it is time to leave. */
static bool wait_for(struct live *l, nsec_t until)
{
	struct pollfd fds[] = {
		{.fd = l->signal_fd, .events = POLLIN},
		{.fd = l->has_termios ? STDIN_FILENO : -1, .events = POLLIN},
		{.fd = -1, .events = POLLIN},
	};
	nsec_t left;

	while ((left = until - clock_now()) > 0) {
		fds[2].fd = l->has_events ? l->events.fd : -1;
		if (poll(fds, 3, (int)(left / NSEC_PER_MSEC + 1)) <= 0)
			continue;
		if (fds[0].revents)
			return take_signal(l);
		if (fds[1].revents && !take_key(l))
			return false;
		if (fds[2].revents)
			take_events(l);
	}
	return true;
}

static void show_next(struct live *l)
{
	struct problem problem;
	struct json_object *status = ask_status(l->options, &problem);

	if (status && !l->has_events)
		subscribe(l);
	if (status)
		view_sample(&l->view, status);
	show(l, status, &problem);
	json_object_put(status);
}

int live_watch(const struct options *o)
{
	struct live l = {.options = o, .is_terminal = isatty(STDOUT_FILENO), .is_first = true};
	struct problem problem;
	struct json_object *status = ask_status(o, &problem);

	if (!status)
		return problem_print(&problem);
	json_object_put(status);
	setlocale(LC_CTYPE, "");
	l.view.is_utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	enter(&l);
	do
		show_next(&l);
	while (wait_for(&l, clock_now() + o->interval) && !ferror(stdout));
	leave(&l);
	return finish_output();
}
