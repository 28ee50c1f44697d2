/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
#include "util/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "util/journal.h"

#define LINE_MAX_BYTES 1024
/* Places in the code that share a ration by chance share it; there are about two hundred. */
#define RATIONS 256

struct ration {
	_Atomic nsec_t since;
	_Atomic unsigned used;
	_Atomic unsigned suppressed;
};

/* Written once more when a daemon leaves its terminal, while threads may be logging. */
static _Atomic enum log_sink sink = LOG_SINK_STDERR;
static _Atomic int max_level = LOG_INFO;
static int journal_fd = -1;
static bool has_priority_prefix;
static int channel = -1; /* set before the sink */
static struct ration rations[RATIONS];

void log_init(enum log_sink to, int level)
{
	if (to == LOG_SINK_SYSLOG)
		openlog("vtrunkd", LOG_PID, LOG_DAEMON);
	else
		has_priority_prefix = getenv("JOURNAL_STREAM") != NULL;
	if (to == LOG_SINK_STDERR && journal_fd < 0 && journal_reads(STDERR_FILENO))
		journal_fd = journal_open(JOURNAL_SOCKET);
	if (to == LOG_SINK_STDERR && journal_fd >= 0)
		to = LOG_SINK_JOURNAL;
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

static bool is_enabled(int level)
{
	return level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

static void send_line(int level, const char *message)
{
	char line[LINE_MAX_BYTES];
	size_t len = strnlen(message, sizeof(line) - 1);

	line[0] = (char)level;
	memcpy(line + 1, message, len);
	if (send(channel, line, len + 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
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

static void write_stderr(int level, const char *message)
{
	char line[LINE_MAX_BYTES];
	size_t room = sizeof(line) - 1;
	size_t head = write_head(line, room, level);
	size_t len = strnlen(message, room - head);

	memcpy(line + head, message, len);
	line[head + len] = '\n';
	/* One write, so that the lines of several threads do not mix. */
	if (write(STDERR_FILENO, line, head + len + 1) < 0)
		(void)errno; /* nobody is left to tell */
}

/* The message with its fields behind it, where the sink has no others. */
static void deliver_text(enum log_sink to, int level, const char *message,
			 const struct record *record)
{
	char line[LINE_MAX_BYTES];

	if (record) {
		size_t len = (size_t)snprintf(line, sizeof(line), "%.200s: ", message);

		record_write(record, line + len, sizeof(line) - len);
		message = line;
	}
	if (to == LOG_SINK_SYSLOG)
		syslog(level, "%s", message);
	else if (to == LOG_SINK_CHANNEL)
		send_line(level, message);
	else
		write_stderr(level, message);
}

static void deliver(int level, const char *message, const struct record *record)
{
	enum log_sink to = atomic_load_explicit(&sink, memory_order_relaxed);

	if (to == LOG_SINK_JOURNAL)
		journal_send(journal_fd, level, message, record);
	else
		deliver_text(to, level, message, record);
}

static struct ration *ration_of(const char *place)
{
	return &rations[((uintptr_t)place >> 3 ^ (uintptr_t)place >> 11) % RATIONS];
}

/* False if the place has used up its ration; else *ret_suppressed is what was held back before. */
static bool take_ration(const char *place, int level, unsigned *ret_suppressed)
{
	struct ration *ration = ration_of(place);
	nsec_t now = clock_now();
	nsec_t since = atomic_load_explicit(&ration->since, memory_order_relaxed);

	*ret_suppressed = 0;
	if (level >= LOG_DEBUG)
		return true;
	if (now - since >= LOG_RATION_TIME &&
	    atomic_compare_exchange_strong_explicit(&ration->since, &since, now,
						    memory_order_relaxed, memory_order_relaxed)) {
		atomic_store_explicit(&ration->used, 0, memory_order_relaxed);
		*ret_suppressed =
			atomic_exchange_explicit(&ration->suppressed, 0, memory_order_relaxed);
	}
	if (atomic_fetch_add_explicit(&ration->used, 1, memory_order_relaxed) < LOG_RATION)
		return true;
	atomic_fetch_add_explicit(&ration->suppressed, 1, memory_order_relaxed);
	return false;
}

static bool may_log(int level, const char *place)
{
	char message[64];
	unsigned suppressed;

	if (!is_enabled(level) || !take_ration(place, level, &suppressed))
		return false;
	if (suppressed) {
		snprintf(message, sizeof(message), "%u messages like the next one were suppressed",
			 suppressed);
		deliver(level, message, NULL);
	}
	return true;
}

void log_write(int level, const char *format, ...)
{
	char message[LINE_MAX_BYTES];
	va_list args;

	if (!may_log(level, format))
		return;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	deliver(level, message, NULL);
}

void log_relay(int level, const char *message)
{
	if (is_enabled(level))
		deliver(level, message, NULL);
}

void log_record(int level, const char *message, const struct record *record)
{
	if (may_log(level, message))
		deliver(level, message, record);
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
