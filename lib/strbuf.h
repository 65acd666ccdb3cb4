/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LIB_STRBUF_H
#define LIB_STRBUF_H

/*
 * Text that grows
 * ===============
 *
 * For writing lines whose length nobody knows ahead. Appending never fails by itself: when memory
 * runs out the buffer remembers it, keeps what it has and takes no more, and the writer asks once,
 * at the end:
 *
 *	struct strbuf out = STRBUF_INIT;
 *
 *	strbuf_puts(&out, "actions=");
 *	strbuf_printf(&out, "output:%u", port);
 *	if (out.failed)
 *		err = -ENOMEM;
 *	...
 *	strbuf_uninit(&out);
 *
 * Life cycle: STRBUF_INIT (all zero), append, strbuf_clear() to start over with the memory kept,
 * strbuf_uninit(). strbuf_detach() hands the text over to somebody who will free() it.
 *
 * Thread-safety: one thread at a time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "lib/util.h"

struct strbuf {
	char *text;      /* owned, malloc, NUL-terminated; NULL until the first append */
	size_t length;   /* bytes ahead of the NUL */
	size_t capacity; /* bytes allocated, with the NUL */
	bool failed;     /* memory ran out: text is cut */
};

#define STRBUF_INIT {0}

void strbuf_uninit(struct strbuf *sb);
void strbuf_clear(struct strbuf *sb);

/* The text; "" when nothing was appended. Good until the next append. */
const char *strbuf_get(const struct strbuf *sb);

/* Empties `sb` and returns its text, the caller's to free(); NULL when memory ran out. */
char *strbuf_detach(struct strbuf *sb) WARN_UNUSED;

void strbuf_put(struct strbuf *sb, const char *text, size_t length);
void strbuf_puts(struct strbuf *sb, const char *text);
void strbuf_putc(struct strbuf *sb, char c);
void strbuf_printf(struct strbuf *sb, const char *fmt, ...) PRINTF_FORMAT(2, 3);

/* %llu and %0*llx, without printf's price; `digits`: at least as many, 0 to 16. */
void strbuf_put_decimal(struct strbuf *sb, uint64_t number);
void strbuf_put_hex(struct strbuf *sb, uint64_t number, unsigned int digits);

#endif
