/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef CTL_SCRIPT_H
#define CTL_SCRIPT_H

/*
 * Scripts of commands
 * ===================
 *
 * What `export` prints and `apply` reads: one command a line, words as in a shell, so that such a
 * file can be run with sh as well. Known of the shell's ways: blanks between words, 'quotes',
 * "quotes" with \" and
 * \\ in them, \ ahead of a single character or of the line's end, and # for comments. Anything else
 * that a shell would act on ($, `, ;, |, &, <, >, parentheses, * and ?) is refused outside of
 * quotes, and $ and ` also within "quotes", for it would mean something else there.
 *
 * A line may begin with the word vswitchctl.
 *
 * Thread-safety: no shared state.
 */

#include "lib/error.h"

#include <jansson.h>
#include <stddef.h>

/* Most words in one line. */
#define SCRIPT_WORDS_MAX 256

/*
 * Reads a script into an array of {"line": N, "method": NAME, "params": {...}}. Returns 0, or a
 * negative errno with `e` set to "FILE:LINE: ...".
 */
int script_parse(const char *text, size_t size, const char *file, json_t **commands,
		 struct error *e) WARN_UNUSED;

/*
 * Cuts one line (and the lines that continue it) from *text into words. Words point into `buf`,
 * which is as large as what is left of the text. Moves *text behind it and counts lines. Returns
 * how many words there are, or -EINVAL with `e` set.
 */
int script_split(const char **text, const char *end, char *buf, const char **words,
		 unsigned int *line, struct error *e) WARN_UNUSED;

#endif
