/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LIB_ERROR_H
#define LIB_ERROR_H

/*
 * What went wrong, in words
 * =========================
 *
 * A function that can fail returns 0 or a negative errno, for the caller's code; if a person will
 * read the reason, it also takes a `struct error *` as its last argument and fills in one sentence:
 * what was refused, where, and what to do about it. The struct lies on the caller's stack; nothing
 * is allocated, so reporting an error cannot fail in turn.
 *
 *	int port_open(const char *name, struct error *e)
 *	{
 *		int fd = open(name, O_RDWR | O_CLOEXEC);
 *
 *		if (fd < 0)
 *			return error_set(e, errno, "cannot open %s: %m", name);
 *		...
 *	}
 *
 *	err = port_open(name, e);
 *	if (err)
 *		return error_prefix(e, err, "port %s", name);	// "port p0: cannot open ..."
 *
 * Life cycle: `struct error e = ERROR_INIT;` and it is ready. The text is only meaningful after a
 * function returned an error; it is one line, without a full stop or a newline at its end, and it
 * is cut, on a whole UTF-8 character, where it does not fit.
 *
 * NULL is a valid `struct error *` everywhere: the caller does not want the words.
 *
 * Thread-safety: a struct error belongs to one thread. errno is preserved by each function here.
 */

#include "lib/util.h"

#define ERROR_TEXT_SIZE 512 /* bytes, with the NUL */

struct error {
	char text[ERROR_TEXT_SIZE]; /* one line, NUL-terminated; empty: nothing was said */
};

#define ERROR_INIT {.text = {0}}

/*
 * Replace the text of `e` and return the negative of `err` (an errno; its sign does not matter, so
 * that both errno and a callee's return value can be given; 0 becomes -EINVAL, for an error is
 * never a success). `%m` in `fmt` prints errno as it was on entry. Arguments may point into
 * e->text.
 */
int error_set(struct error *e, int err, const char *fmt, ...) PRINTF_FORMAT(3, 4);

/*
 * Put "CONTEXT: " ahead of the text of `e` and return the negative of `err`, as above. Where the
 * sum does not fit, the end of the old text is lost.
 */
int error_prefix(struct error *e, int err, const char *fmt, ...) PRINTF_FORMAT(3, 4);

#endif
