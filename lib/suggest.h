/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LIB_SUGGEST_H
#define LIB_SUGGEST_H

/*
 * "Did you mean ...?"
 * ===================
 *
 * Picks, out of the words that would have been right, the one nearest to what a person typed. Near
 * is the number of letters inserted, removed, changed or swapped with their neighbour; more than a
 * third of the word's length is too far, and then nothing is suggested. A candidate that starts
 * with what was typed (two letters at least) counts as one step away.
 *
 *	struct suggest s;
 *
 *	suggest_init(&s, word);
 *	for (each name that would do)
 *		suggest_offer(&s, name);
 *	error_set(e, EINVAL, "unknown word '%s'%s", word, suggest_format(&s, buf, sizeof(buf)));
 *
 * Life cycle: the struct lies on the stack, owns nothing; `word` and candidates must outlive it.
 *
 * Thread-safety: none needed, no shared state.
 */

#include <stddef.h>

struct suggest {
	const char *word; /* what was typed; not owned */
	const char *best; /* nearest candidate so far, NULL: none near enough; not owned */
	unsigned int distance; /* steps from word to best; the next one must be nearer */
};

void suggest_init(struct suggest *s, const char *word);
void suggest_offer(struct suggest *s, const char *candidate);

/* Writes ", did you mean 'BEST'?" into `buf`, or "" when nothing is near. Returns `buf`. */
const char *suggest_format(const struct suggest *s, char *buf, size_t size);

#endif
