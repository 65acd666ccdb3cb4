/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scan.h - takes rule text apart: words, KEY=VALUE pairs, actions, numbers and addresses.
 *
 * Text is never copied and need not end in a NUL: a span is a pointer and a length, and every
 * function here stays inside of it, whatever bytes it holds. Nothing recurses.
 *
 * Separators are commas, spaces and tabs, any number of them, as for ovs-ofctl. Double quotes keep
 * them together with the word that they stand in; a backslash inside of quotes takes the next
 * character as it is.
 *
 * Thread-safety: pure functions.
 */
#ifndef VSWITCH_OPENFLOW_SCAN_H
#define VSWITCH_OPENFLOW_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A piece of somebody's text. */
struct span {
	const char *p; /* NULL: not there at all, as opposed to empty */
	size_t length; /* bytes */
};

static inline bool span_equals(struct span span, const char *word)
{
	if (span.length > 0 && span.p[0] != word[0])
		return false;
	return strlen(word) == span.length && memcmp(span.p, word, span.length) == 0;
}

/* The same, letter case aside. */
bool span_equals_nocase(struct span span, const char *word);

/* Cuts `span` at the first `c`: `head` is what stands ahead of it, `tail` behind. Without a `c`,
 * `head` is all of it and `tail` is not there; returns false. */
bool span_split(struct span span, char c, struct span *head, struct span *tail);

/* Enough for span_text(). */
#define SPAN_TEXT_SIZE 64

/* The span as a C string for messages, in `buf`: control characters and bytes that are not ASCII
 * become '?', and a long one is cut ("..."). Returns `buf`. */
const char *span_text(struct span span, char buf[SPAN_TEXT_SIZE]);
#define SPAN_TEXT(span) span_text(span, (char[SPAN_TEXT_SIZE]){0})

/* The next KEY or KEY=VALUE of `rest`, which is moved behind it. Without '=' the value is not
 * there. False: nothing is left. */
bool scan_pair(struct span *rest, struct span *key, struct span *value);

/* The next action of `rest`: NAME, NAME:ARG, NAME=ARG or NAME(ARGS). */
struct scan_action {
	struct span name;
	struct span arg;     /* not there: none was given */
	bool is_parenthesised; /* ARGS came in parentheses, which `arg` does not include */
};

/* Returns 1, 0 when nothing is left, or -1 when a parenthesis is not closed. */
int scan_action(struct span *rest, struct scan_action *action);

/* Decimal without leading zeros, or hexadecimal after 0x; at most `max`. */
bool scan_number(struct span text, uint64_t max, uint64_t *number);

bool scan_mac(struct span text, uint8_t mac[6]);
bool scan_ipv4(struct span text, uint8_t address[4]);
bool scan_ipv6(struct span text, uint8_t address[16]);

#endif /* VSWITCH_OPENFLOW_SCAN_H */
