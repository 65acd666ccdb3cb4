/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LIB_LOG_H
#define LIB_LOG_H

/*
 * The log
 * =======
 *
 * One line an event, for the person who runs the switch: what happened, where, and what to do. Four
 * levels; a message above the set level costs one relaxed load and nothing else, its arguments are
 * not evaluated. Lines go to standard error (with a time of day) or to syslog.
 *
 *	log_open(LOG_TO_STDERR, "vswitchd");
 *	log_set_level(LOG_LEVEL_DEBUG);
 *	log_info("bridge %s: created", name);
 *
 * Events that someone outside can cause as often as he likes (bad requests, a link that flaps) use
 * the _limited macros: each place in the source has a token bucket of its own, LOG_LIMIT_BURST
 * messages at once and LOG_LIMIT_PER_SECOND on average. The first line after a pause says how many
 * were suppressed, so nothing vanishes without a trace:
 *
 *	log_warn_limited("port %s: frame of %u bytes does not fit", name, length);
 *
 * Packets are never logged, limited or not: they are counted under a named reason.
 *
 * A line never contains control characters: bytes below 0x20 and 0x7f are printed as '?', so that
 * text from outside cannot forge a second line. It is cut at LOG_LINE_SIZE.
 *
 * Life cycle: before log_open() lines go to standard error. log_close() returns to that state.
 *
 * Thread-safety: every function, any thread, any time; a line comes out whole. log_open() and
 * log_close() are for the main thread while it is alone. errno is preserved, `%m` prints it.
 */

#include "lib/mutex.h"
#include "lib/util.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LOG_LINE_SIZE 1024 /* bytes of one message, with the NUL */
#define LOG_LIMIT_BURST 10 /* messages that one place may write at once */
#define LOG_LIMIT_PER_SECOND 1 /* messages that it may write on average */

enum log_level {
	LOG_LEVEL_ERROR, /* something that was asked for is not there */
	LOG_LEVEL_WARN, /* it works, but not as a person would want */
	LOG_LEVEL_INFO, /* life cycle: started, stopped, created, removed */
	LOG_LEVEL_DEBUG, /* for developers */
	LOG_N_LEVELS,
};

enum log_target {
	LOG_TO_STDERR,
	LOG_TO_SYSLOG, /* facility daemon */
};

/* The token bucket of one place; a zeroed one is full. */
struct log_limit {
	struct spinlock lock;
	uint64_t refilled_ns GUARDED; /* clock_now() of the last token; 0: never used */
	uint32_t spent GUARDED; /* tokens gone, 0 to LOG_LIMIT_BURST */
	uint32_t suppressed GUARDED; /* messages lost since the last one let through */
};

/* Highest level that is written; read through log_get_level(). */
extern _Atomic int log_level_now;

/* Choose where lines go. `ident` is copied (31 bytes) and stands in each line. */
void log_open(enum log_target target, const char *ident);
void log_close(void);

void log_set_level(enum log_level level);

static inline enum log_level log_get_level(void)
{
	return (enum log_level)atomic_load_explicit(&log_level_now, memory_order_relaxed);
}

/* "error", "warning", "info", "debug"; "?" outside the enum. */
const char *log_level_format(enum log_level level);

/* The level of that name ("warn" is taken too) into *level; -EINVAL if there is none. */
int log_level_parse(const char *name, enum log_level *level) WARN_UNUSED;

/* Write one line, whatever the level set; use the macros below. */
void log_write(enum log_level level, const char *fmt, ...) PRINTF_FORMAT(2, 3);

/*
 * Take a token at time `now_ns` (clock_now(), or a test's own time, never 0). Returns false if
 * there is none; else *suppressed is the number of messages refused since the last true.
 */
bool log_limit_admit(struct log_limit *limit, uint64_t now_ns, uint32_t *suppressed) WARN_UNUSED;

/* Write one line if `limit` has a token; use the _limited macros below. */
void log_write_limited(struct log_limit *limit, enum log_level level, const char *fmt, ...)
	PRINTF_FORMAT(3, 4);

#define LOG_AT(level, ...)                                                                         \
	do {                                                                                       \
		if (unlikely((level) <= log_get_level()))                                          \
			log_write(level, __VA_ARGS__);                                             \
	} while (0)

#define LOG_LIMITED_AT(level, ...)                                                                 \
	do {                                                                                       \
		static struct log_limit log_limit_;                                                \
		if (unlikely((level) <= log_get_level()))                                          \
			log_write_limited(&log_limit_, level, __VA_ARGS__);                        \
	} while (0)

#define log_error(...) LOG_AT(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) LOG_AT(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) LOG_AT(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) LOG_AT(LOG_LEVEL_DEBUG, __VA_ARGS__)

#define log_error_limited(...) LOG_LIMITED_AT(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn_limited(...) LOG_LIMITED_AT(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info_limited(...) LOG_LIMITED_AT(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug_limited(...) LOG_LIMITED_AT(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
