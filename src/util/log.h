/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * Logging: one line per call, any thread. Never in the path of a packet. Each place in the code
 * that logs has a ration; what goes beyond it is counted, and told with the next line from there.
 * Keys are never logged.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <syslog.h>

#include "util/clock.h"
#include "util/record.h"

enum log_sink {
	LOG_SINK_STDERR, /* with "<N>" priority prefixes where a service manager reads it; or */
	LOG_SINK_SYSLOG,
	LOG_SINK_CHANNEL, /* by log_init_channel() */
	LOG_SINK_JOURNAL, /* ... in place of the first, where the journal reads it */
};

/*
 * What one place in the code may log in LOG_RATION_TIME; at the level of debug there is no limit.
 */
#define LOG_RATION 100
#define LOG_RATION_TIME (10 * NSEC_PER_SEC)

/*
 * `max_level` is a syslog priority: LOG_INFO, or LOG_DEBUG to see all. Again to change the sink,
 * by the main thread, while others log.
 */
void log_init(enum log_sink sink, int max_level);
/*
 * From now on each line is a message on a socket: a byte with the priority, then the text. What
 * finds the socket full is lost.
 */
void log_init_channel(int fd);
/* Any thread: from now on. */
void log_set_level(int max_level);
int log_level(void);
/* "info"; LOG_NOTICE counts as that. */
const char *log_level_name(int level);

__attribute__((format(printf, 2, 3))) void log_write(int level, const char *format, ...);
/* "message: network=home link=lte ...": the message is a constant, the record has the rest. */
void log_record(int level, const char *message, const struct record *record);
/* A line that another process has made, and rationed. */
void log_relay(int level, const char *message);

#define log_error(...) log_write(LOG_ERR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_write(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

/* At most one message per interval; counts what it held back. Zero-initialised; any thread. */
struct log_limit {
	_Atomic nsec_t next;
	_Atomic unsigned suppressed;
};

/* True if a message may be written now; `ret_suppressed` gets what was held back before it. */
bool log_limit_pass(struct log_limit *limit, nsec_t now, nsec_t interval, unsigned *ret_suppressed);
