/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/log.h"

#include "lib/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

/* One entry a level: its name, and what syslog calls it. */
static const struct {
	const char *name;
	int priority;
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error", LOG_ERR},
	[LOG_LEVEL_WARN] = {"warning", LOG_WARNING},
	[LOG_LEVEL_INFO] = {"info", LOG_INFO},
	[LOG_LEVEL_DEBUG] = {"debug", LOG_DEBUG},
};
ASSERT_ENTRIES(levels, LOG_N_LEVELS);

_Atomic int log_level_now = LOG_LEVEL_INFO;

/* Set by log_open() before there are other threads, read by all. */
static enum log_target log_target_now = LOG_TO_STDERR;
static char log_ident[32] = "vswitch";

void log_open(enum log_target target, const char *ident)
{
	snprintf(log_ident, sizeof(log_ident), "%s", ident);
	log_target_now = target;
	if (target == LOG_TO_SYSLOG)
		openlog(log_ident, LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void log_close(void)
{
	if (log_target_now == LOG_TO_SYSLOG)
		closelog();
	log_target_now = LOG_TO_STDERR;
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&log_level_now, (int)level, memory_order_relaxed);
}

const char *log_level_format(enum log_level level)
{
	return (unsigned int)level < LOG_N_LEVELS ? levels[level].name : "?";
}

int log_level_parse(const char *name, enum log_level *level)
{
	if (strcasecmp(name, "warn") == 0) {
		*level = LOG_LEVEL_WARN;
		return 0;
	}
	for (int i = 0; i < LOG_N_LEVELS; i++) {
		if (strcasecmp(name, levels[i].name) == 0) {
			*level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* One write(2), so that lines of several threads do not mix; a full or closed stderr loses it. */
static void write_stderr(enum log_level level, const char *message)
{
	char line[LOG_LINE_SIZE + 128];
	struct timespec now;
	struct tm tm;
	size_t used;
	int length;
	ssize_t written;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	used = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
	length = snprintf(line + used, sizeof(line) - used, ".%03ldZ %s %s: %s\n",
			  now.tv_nsec / 1000000, log_ident, log_level_format(level), message);
	if (length < 0)
		return;
	used += MIN((size_t)length, sizeof(line) - used - 1);
	do
		written = write(STDERR_FILENO, line, used);
	while (written < 0 && errno == EINTR);
}

static void write_message(enum log_level level, uint32_t suppressed, const char *fmt, va_list args)
	PRINTF_FORMAT(3, 0);

static void write_message(enum log_level level, uint32_t suppressed, const char *fmt, va_list args)
{
	char message[LOG_LINE_SIZE];
	int saved = errno;
	int length = vsnprintf(message, sizeof(message), fmt, args);
	size_t used = length < 0 ? 0 : MIN((size_t)length, sizeof(message) - 1);

	message[used] = '\0';
	if (suppressed)
		snprintf(message + used, sizeof(message) - used,
			 " (%u more like this suppressed)", suppressed);
	for (char *c = message; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	}
	if (log_target_now == LOG_TO_SYSLOG)
		syslog((unsigned int)level < LOG_N_LEVELS ? levels[level].priority : LOG_ERR, "%s",
		       message);
	else
		write_stderr(level, message);
	errno = saved;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	write_message(level, 0, fmt, args);
	va_end(args);
}

bool log_limit_admit(struct log_limit *limit, uint64_t now_ns, uint32_t *suppressed)
{
	const uint64_t token_ns = CLOCK_NS_PER_S / LOG_LIMIT_PER_SECOND;
	uint64_t tokens;
	bool admitted;

	spinlock_lock(&limit->lock);
	if (limit->refilled_ns == 0)
		limit->refilled_ns = now_ns;
	if (now_ns > limit->refilled_ns) {
		tokens = (now_ns - limit->refilled_ns) / token_ns;
		limit->refilled_ns += tokens * token_ns;
		limit->spent -= (uint32_t)MIN(tokens, (uint64_t)limit->spent);
	}
	admitted = limit->spent < LOG_LIMIT_BURST;
	if (admitted) {
		limit->spent++;
		*suppressed = limit->suppressed;
		limit->suppressed = 0;
	} else if (limit->suppressed < UINT32_MAX) {
		limit->suppressed++;
	}
	spinlock_unlock(&limit->lock);
	return admitted;
}

void log_write_limited(struct log_limit *limit, enum log_level level, const char *fmt, ...)
{
	uint32_t suppressed;
	va_list args;

	if (!log_limit_admit(limit, clock_now(), &suppressed))
		return;
	va_start(args, fmt);
	write_message(level, suppressed, fmt, args);
	va_end(args);
}
