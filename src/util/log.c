/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "util/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 1024

/* Written once more when a daemon leaves its terminal, while threads may be logging. */
static _Atomic enum log_sink sink = LOG_SINK_STDERR;
static _Atomic int max_level = LOG_INFO;
static bool has_priority_prefix;
static int channel = -1; /* set before the sink */

void log_init(enum log_sink to, int level)
{
	if (to == LOG_SINK_SYSLOG)
		openlog("vtrunkd", LOG_PID, LOG_DAEMON);
	else
		has_priority_prefix = getenv("JOURNAL_STREAM") != NULL;
	atomic_store_explicit(&max_level, level, memory_order_relaxed);
	atomic_store_explicit(&sink, to, memory_order_relaxed);
}

void log_init_channel(int fd)
{
	channel = fd;
	atomic_store(&sink, LOG_SINK_CHANNEL);
}

void log_set_level(int level)
{
	atomic_store_explicit(&max_level, level, memory_order_relaxed);
}

bool log_enabled(int level)
{
	return level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

int log_level(void)
{
	return atomic_load_explicit(&max_level, memory_order_relaxed);
}

const char *log_level_name(int level)
{
	if (level <= LOG_ERR)
		return "error";
	if (level == LOG_WARNING)
		return "warning";
	if (level == LOG_NOTICE)
		return "notice";
	return level == LOG_INFO ? "info" : "debug";
}

static void send_line(int level, const char *format, va_list args)
{
	char line[LINE_MAX_BYTES];
	int n = vsnprintf(line + 1, sizeof(line) - 1, format, args);

	if (n < 0)
		return;
	line[0] = (char)level;
	if ((size_t)n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	if (send(channel, line, (size_t)n + 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return; /* nobody is left to tell */
}

/* "<3>error: ..." for a service manager, "12:00:00.000 error: ..." for a person. */
static size_t write_head(char *line, size_t size, int level)
{
	struct timespec ts;
	struct tm tm;
	char time_text[16];
	int n;

	if (has_priority_prefix) {
		n = snprintf(line, size, "<%d>%s: ", level, log_level_name(level));
	} else {
		clock_gettime(CLOCK_REALTIME, &ts);
		localtime_r(&ts.tv_sec, &tm);
		strftime(time_text, sizeof(time_text), "%H:%M:%S", &tm);
		n = snprintf(line, size, "%s.%03ld %s: ", time_text, ts.tv_nsec / 1000000,
			     log_level_name(level));
	}
	return (size_t)n;
}

void log_write(int level, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	size_t len;
	int n;
	va_list args;

	if (!log_enabled(level))
		return;
	va_start(args, format);
	if (atomic_load_explicit(&sink, memory_order_relaxed) == LOG_SINK_SYSLOG) {
		vsyslog(level, format, args);
	} else if (atomic_load(&sink) == LOG_SINK_CHANNEL) {
		send_line(level, format, args);
	} else {
		len = write_head(line, sizeof(line), level);
		n = vsnprintf(line + len, sizeof(line) - len - 1, format, args);
		if (n > 0)
			len += (size_t)n < sizeof(line) - len - 1 ? (size_t)n
								  : sizeof(line) - len - 2;
		line[len++] = '\n';
		/* One write, so that the lines of several threads do not mix. */
		if (write(STDERR_FILENO, line, len) < 0)
			(void)errno; /* nobody is left to tell */
	}
	va_end(args);
}

bool log_limit_pass(struct log_limit *limit, nsec_t now, nsec_t interval, unsigned *ret_suppressed)
{
	nsec_t next = atomic_load_explicit(&limit->next, memory_order_relaxed);

	if (now < next ||
	    !atomic_compare_exchange_strong_explicit(&limit->next, &next, now + interval,
						     memory_order_relaxed, memory_order_relaxed)) {
		atomic_fetch_add_explicit(&limit->suppressed, 1, memory_order_relaxed);
		return false;
	}
	*ret_suppressed = atomic_exchange_explicit(&limit->suppressed, 0, memory_order_relaxed);
	return true;
}
